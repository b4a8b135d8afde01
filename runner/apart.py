"""
Run handlers for a page in a process of their own: whatever they do to it, the process of the page goes on.

A call is JSON on standard input, its answer a line of JSON for each thing that it gives on standard output, which what
runs cannot write to otherwise, and one that says that it is through.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.errors import CeleriacError, OperatorError
from pipeline.settings import Settings
from runner.canary import run_canary
from runner.context import RunContext
from runner.logs import configure_logs
from runner.replay import replay_aside
from runner.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

AT_ONCE = 2
"""How many such processes one process starts at once."""

MORE_SECONDS = 30.0
"""What a process needs beside what it runs."""

MOST_SECONDS = 900.0

MOST_CANARY_SECONDS = 3600.0

_room = threading.BoundedSemaphore(AT_ONCE)


def replay_apart(settings: Settings, job: str, key: str, stage: str, seconds: float) -> dict[str, Any]:
    """
    Run a stage on what is stored, as `runner.replay.replay_aside` does; its `Replayed` as a mapping.

    Raises `OperatorError` for what is not there, and when it takes longer than `seconds`: then it is ended.
    """
    asked = {"call": "replay", "job": job, "key": key, "stage": stage}
    (replayed,) = _call(settings, min(seconds + MORE_SECONDS, MOST_SECONDS), asked)
    return replayed


def canary_apart(
    settings: Settings, job: str, how: Mapping[str, Any], count: int, seconds: float
) -> Generator[dict[str, Any]]:
    """
    Run what is meant of the first `count` items aside, as `runner.canary.run_canary` does.

    Gives each item, once it is done, as a mapping. Raises as `replay_apart`. Whoever reads on no more ends it.
    """
    asked = {"call": "canary", "job": job, "how": dict(how), "count": count}
    yield from _call(settings, min(seconds + MORE_SECONDS, MOST_CANARY_SECONDS), asked)


def _call(settings: Settings, seconds: float, asked: dict[str, Any]) -> Generator[dict[str, Any]]:
    if not _room.acquire(blocking=False):
        raise OperatorError(f"{AT_ONCE} of these run already: wait until one has ended")
    try:
        with closing(_run(json.dumps({**asked, "settings": _write_settings(settings)}), seconds)) as lines:
            for line in lines:
                answer = json.loads(line)
                if "refused" in answer:
                    raise OperatorError(answer["refused"])
                if "gave" not in answer:
                    return
                yield answer["gave"]
    finally:
        _room.release()


def _write_settings(settings: Settings) -> dict[str, Any]:
    said = settings.model_dump(mode="json", exclude={"broker_url", "token"}, exclude_none=True)
    return said | {"allow_hosts": ",".join(settings.allow_hosts)}  # as the environment has it


def _run(text: str, seconds: float) -> Generator[str]:
    """Give each line that is answered. Raises `OperatorError` when the last one never comes."""
    is_late = threading.Event()
    with subprocess.Popen(
        [sys.executable, "-m", "runner.apart"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # what it starts ends with it
    ) as process:

        def end(reason: threading.Event | None = None) -> None:
            if reason is not None:
                reason.set()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        clock = threading.Timer(seconds, end, [is_late])
        clock.start()
        try:
            _say(process, text)
            yield from process.stdout or ()
        finally:
            clock.cancel()
            end()
    if is_late.is_set():
        raise OperatorError(f"it was still running after {seconds:g} s, and was ended")
    raise OperatorError(
        f"what ran has ended its process (exit code {process.returncode}): nothing more was recorded"
    )


def _say(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None  # noqa: S101 - it was asked for
    with suppress(BrokenPipeError), process.stdin as pipe:  # it may have ended already; then it says why
        pipe.write(text)


# -- in the process of its own ----------------------------------------------------------------------------


def _replay(runtime: Runtime, asked: Mapping[str, Any]) -> Iterator[Any]:
    yield replay_aside(runtime, asked["job"], asked["key"], asked["stage"])


def _canary(runtime: Runtime, asked: Mapping[str, Any]) -> Iterator[Any]:
    yield from run_canary(runtime, runtime.jobs.get_job(asked["job"]), asked["how"], asked["count"])


_CALLS: dict[str, tuple[Callable[[Runtime, Mapping[str, Any]], Iterator[Any]], RunContext]] = {
    "replay": (_replay, RunContext(mode="dry_run")),
    "canary": (_canary, RunContext()),
}
"""Each call, and the run in which it is made."""


def main() -> None:
    """Answer one call."""
    asked = json.loads(sys.stdin.read())
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a handler prints is no answer
    configure_logs(logging.ERROR)
    call, run = _CALLS[asked["call"]]
    settings = Settings(**asked["settings"])
    runtime = Runtime(settings, publisher=None, run=run)
    try:
        for gave in call(runtime, asked):
            answers.write(json.dumps({"gave": asdict(gave)}, default=str) + "\n")
        last: dict[str, Any] = {"ended": True}
    except CeleriacError as error:
        last = {"refused": str(error)}
    answers.write(json.dumps(last) + "\n")
    answers.close()
    runtime.close()
    os._exit(0)  # threads that a handler left behind hold nothing up


if __name__ == "__main__":
    main()
