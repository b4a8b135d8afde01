"""
Run handlers for a page in a process of their own: whatever they do to it, the process of the page goes on.

A call is JSON on standard input, its answer JSON on standard output, which what runs cannot write to otherwise.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
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
    from collections.abc import Callable, Mapping

AT_ONCE = 2
"""How many such processes one process starts at once."""

MORE_SECONDS = 30.0
"""What a process needs beside what it runs."""

MOST_SECONDS = 900.0

_room = threading.BoundedSemaphore(AT_ONCE)


def replay_apart(settings: Settings, job: str, key: str, stage: str, seconds: float) -> dict[str, Any]:
    """
    Run a stage on what is stored, as `runner.replay.replay_aside` does; its `Replayed` as a mapping.

    Raises `OperatorError` for what is not there, and when it takes longer than `seconds`: then it is ended.
    """
    return _call(settings, seconds, {"call": "replay", "job": job, "key": key, "stage": stage})


def canary_apart(
    settings: Settings, job: str, how: Mapping[str, Any], count: int, seconds: float
) -> list[dict[str, Any]]:
    """
    Run what is meant of the first `count` items aside, as `runner.canary.run_canary` does; its items as mappings.

    Raises as `replay_apart`.
    """
    asked = {"call": "canary", "job": job, "how": dict(how), "count": count}
    return list(_call(settings, seconds, asked)["items"])


def _call(settings: Settings, seconds: float, asked: dict[str, Any]) -> dict[str, Any]:
    if not _room.acquire(blocking=False):
        raise OperatorError(f"{AT_ONCE} of these run already: wait until one has ended")
    try:
        text = _run(
            json.dumps({**asked, "settings": _write_settings(settings)}),
            min(seconds + MORE_SECONDS, MOST_SECONDS),
        )
    finally:
        _room.release()
    answer: dict[str, Any] = json.loads(text)
    if "refused" in answer:
        raise OperatorError(answer["refused"])
    return answer


def _write_settings(settings: Settings) -> dict[str, Any]:
    said = settings.model_dump(mode="json", exclude={"broker_url"}, exclude_none=True)
    return said | {"allow_hosts": ",".join(settings.allow_hosts)}  # as the environment has it


def _run(text: str, seconds: float) -> str:
    with subprocess.Popen(
        [sys.executable, "-m", "runner.apart"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # what it starts ends with it
    ) as process:
        try:
            answer, _ = process.communicate(text, seconds)
        except subprocess.TimeoutExpired:
            raise OperatorError(f"it was still running after {seconds:g} s, and was ended") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if not answer:
        raise OperatorError(
            f"what ran has ended its process (exit code {process.returncode}): nothing was recorded"
        )
    return answer


# -- in the process of its own ----------------------------------------------------------------------------


def _replay(runtime: Runtime, asked: Mapping[str, Any]) -> dict[str, Any]:
    return asdict(replay_aside(runtime, asked["job"], asked["key"], asked["stage"]))


def _canary(runtime: Runtime, asked: Mapping[str, Any]) -> dict[str, Any]:
    job = runtime.jobs.get_job(asked["job"])
    return {"items": [asdict(one) for one in run_canary(runtime, job, asked["how"], asked["count"])]}


_CALLS: dict[str, tuple[Callable[[Runtime, Mapping[str, Any]], dict[str, Any]], str]] = {
    "replay": (_replay, "dry_run"),
    "canary": (_canary, "production"),
}
"""Each call, and the mode of the run in which it is made."""


def main() -> None:
    """Answer one call."""
    asked = json.loads(sys.stdin.read())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a handler prints is no answer
    configure_logs(logging.ERROR)
    call, mode = _CALLS[asked["call"]]
    settings = Settings(**asked["settings"])
    runtime = Runtime(settings, publisher=None, run=RunContext(mode=mode))  # type: ignore[arg-type]
    try:
        answer = call(runtime, asked)
    except CeleriacError as error:
        answer = {"refused": str(error)}
    answers.write(json.dumps(answer, default=str))
    answers.close()
    runtime.close()
    os._exit(0)  # threads that a handler left behind hold nothing up


if __name__ == "__main__":
    main()
