"""
A child process for the bytes of strangers: whatever they are made for, it can be stopped, and takes only so much.

The child is a module whose `main` calls `answer_questions`. It is asked on its standard input, each question a line
of JSON and then a body, and answers each with a line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import resource
except ImportError:  # not on Windows: there it may use what it likes, and only its time is bounded
    resource = None  # type: ignore[assignment]

MAX_ANSWER_BYTES = 256 * 1024 * 1024

_ORPHAN_SECONDS = 5
"""So much later it ends of itself, when nobody is left to stop it."""

_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TZ")
"""All of the environment that it needs to know; the secrets are not among it."""


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """What a question cost the child its life by: time, or else memory or a fault of its own."""

    late: bool


class ConfinedChild:
    """
    Asks a module in a process of its own, one question after another; use it in a `with`.

    A question that costs the process its life is answered by `ChildEnd`; the next one gets a new process. No process
    is started before there is a question.
    """

    def __init__(self, module: str, memory_bytes: int) -> None:
        self._module, self._memory_bytes = module, memory_bytes
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ask(self, question: dict[str, Any], body: bytes, seconds: float) -> dict[str, Any] | ChildEnd:
        """Ask, and wait for the answer at most so many seconds."""
        asked = json.dumps({"bytes": len(body), "seconds": seconds, "question": question}).encode()
        self._child = child = self._child or self._start()
        late = threading.Event()

        def stop() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            line = _exchange(child, asked + b"\n", body)
        finally:
            timer.cancel()
            timer.join()
        if line.endswith(b"\n") and not late.is_set():
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.end()
        return ChildEnd(late=late.is_set())

    def _start(self) -> subprocess.Popen[bytes]:
        # Modules are found as they were found here, wherever that was; it says nothing but its answers.
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", self._module, str(self._memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def end(self) -> None:
        """Stop the process, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with child:  # closes its pipes and waits for its end
                pass


def _exchange(child: subprocess.Popen[bytes], *question: bytes) -> bytes:
    assert child.stdin is not None  # noqa: S101  tells the type checker
    assert child.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError, ConnectionError):  # it has ended, and its output says so too
        child.stdin.writelines(question)
        child.stdin.flush()
    return child.stdout.readline(MAX_ANSWER_BYTES)


# -- in the child -----------------------------------------------------------------------------------------


def answer_questions(answer: Callable[[dict[str, Any], bytes], dict[str, Any]]) -> None:
    """
    Answer until the input ends, or this process does; the memory it may take is the process's first argument.

    What `answer` raises ends the process, and tells its parent.
    """
    _bound_memory(int(sys.argv[1]))
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        body = sys.stdin.buffer.read(asked["bytes"])
        _set_alarm(math.ceil(asked["seconds"]) + _ORPHAN_SECONDS)
        answered = answer(asked["question"], body)
        _set_alarm(0)
        print(json.dumps(answered), flush=True)  # noqa: T201  this is how it answers


def _set_alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):  # not on Windows
        signal.alarm(seconds)


def _bound_memory(memory_bytes: int) -> None:
    if resource is not None:
        with contextlib.suppress(ValueError, OSError):  # a lower bound is in force, or the system knows none
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
