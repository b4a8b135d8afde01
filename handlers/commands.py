"""Run a command to its end, within a deadline and a bound on what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from handlers.process_tree import ProcessTree
from pipeline.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

LOOK_SECONDS = 0.05
MARK = "CELERIAC_COMMAND"
"""The variable by which what a command started is found again."""


class TooMuchOutputError(PluginError):
    """A command printed more than it may."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: an argument list, no shell; `environment` is all that it sees of one."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    stdin: bytes = b""
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Printed:
    """How a command ended, and the files, at their beginning, that hold what it printed."""

    exit_code: int
    stdout: IO[bytes]
    stderr: IO[bytes]


@contextmanager
def run_command(command: Command, max_bytes: int, should_stop: Callable[[], bool]) -> Iterator[Printed]:
    """
    Run a command, and end all that it started, when it ends itself, and when it must.

    It is not waited for output: a child that holds on to it keeps nobody. Raises TimeoutError when `should_stop`,
    `TooMuchOutputError` for more than `max_bytes` on either output, OSError when it cannot be started, and
    `PluginError` in a process that cannot know how its children end.
    """
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        raise PluginError(
            "this process ignores the end of its children, so no command's exit code can be had"
        )
    # Files, not pipes: nothing blocks, whoever holds them open.
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        stdin.write(command.stdin)
        stdin.seek(0)
        code = _run(command, (stdin, out, err), max_bytes, should_stop)
        _check_size((out, err), max_bytes)
        out.seek(0)
        err.seek(0)
        yield Printed(code, out, err)


def _run(
    command: Command, files: Sequence[IO[bytes]], max_bytes: int, should_stop: Callable[[], bool]
) -> int:
    identity, process = uuid.uuid4().hex, None
    try:
        process = subprocess.Popen(
            list(command.arguments),
            stdin=files[0],
            stdout=files[1],
            stderr=files[2],
            cwd=command.folder,
            env={**command.environment, MARK: identity},
            start_new_session=True,
        )
        while True:
            try:
                return process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                _check_size(files[1:], max_bytes)
                if should_stop():
                    raise TimeoutError("still running when its time was up; it was stopped") from None
    finally:
        # also when the worker's time limit was raised right here, or while the process was being made
        _end(ProcessTree(f"{MARK}={identity}", None if process is None else process.pid))
        if process is not None:
            process.poll()


def _end(tree: ProcessTree) -> None:
    try:
        tree.end()
    except BaseException:  # a time limit, which is raised once, and may be so in the middle of this
        tree.end()
        raise


def _check_size(outputs: Sequence[IO[bytes]], max_bytes: int) -> None:
    if any(os.fstat(file.fileno()).st_size > max_bytes for file in outputs):
        raise TooMuchOutputError(f"it printed more than {max_bytes:,} bytes")
