"""
What every peer is given to do: three stages for each item, each of which does nothing and gives a kilobyte.

Runs in each peer's own environment, with nothing but Python's own library. A stage writes two readings of the clock
that all processes of a machine share into a log, and from this log comes what is told of the peer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

STAGES = ("first", "second", "third")
KILOBYTE = "x" * 1011
"""As `{"text": "…"}` it is a kilobyte."""

PROCESSES = int(os.environ.get("PEER_PROCESSES", "2"))
FOLDER = Path(os.environ.get("PEER_FOLDER", "."))
"""An empty folder, for all that the peer keeps on disk."""

REDIS_SOCKET = os.environ.get("PEER_REDIS_SOCKET", "")
VARIANT = os.environ.get("PEER_VARIANT", "")
"""Which way of several, for a peer that is measured in more than one."""


@cache
def _log() -> int:
    return os.open(FOLDER / "stages.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def do_stage() -> dict[str, str]:
    """Do nothing, and give a kilobyte: the whole work of a stage."""
    begun = time.monotonic_ns()
    result = {"text": KILOBYTE}
    os.write(_log(), b"%020d %020d\n" % (begun, time.monotonic_ns()))
    return result


LINE_BYTES = 42


def count_done() -> int:
    """Count the stages that have been done."""
    path = FOLDER / "stages.log"
    return path.stat().st_size // LINE_BYTES if path.exists() else 0


def read_log() -> list[tuple[int, int]]:
    """Read when each stage began and ended, in nanoseconds, in the order of their beginnings."""
    lines = (FOLDER / "stages.log").read_text().splitlines()
    return sorted((int(line[:20]), int(line[21:])) for line in lines)


@dataclass(frozen=True, slots=True)
class Peer:
    """
    One way to do the workload.

    `put` sends items on their way, or takes them all the way where there is nobody else to do it; `workers` runs
    whoever works on them, `server` what both need. `count_results` counts the results that the peer has on record.
    """

    settings: str
    on_disk: bool
    put: Callable[[Iterable[int]], None]
    count_results: Callable[[], int]
    workers: Callable[[], AbstractContextManager[None]] = nullcontext
    server: Callable[[], AbstractContextManager[None]] = nullcontext


@contextmanager
def running(*commands: list[str]) -> Iterator[None]:
    """Run commands of the peer's environment while the block runs."""
    started = [
        subprocess.Popen(
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            cwd=Path(__file__).parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
