"""The processes that a command started, found and ended together, wherever they have gone."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TERM_SECONDS = 3.0
"""How long those that were asked to end may take; a worker is killed 10 seconds after its time is up."""

KILL_SECONDS = 2.0
_LOOK_SECONDS = 0.02
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessTree:
    """
    A command, whose first process leads a session and a group of its own, and all that came of it.

    `mark` is a variable of its environment, `NAME=value`, which children inherit: by it, on Linux, those are found too
    that left the session. What wiped its environment, or runs as another user, is not.
    """

    mark: str
    leader: int | None = None

    def end(self) -> None:
        """Ask all to end, and kill those that do not; return when they are gone or cannot be killed."""
        for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            until, told = time.monotonic() + seconds, set[int]()
            while self._signal(number, told) and time.monotonic() < until:
                time.sleep(_LOOK_SECONDS)

    def _signal(self, number: int, told: set[int]) -> bool:
        """Signal all that live and were not told yet: a second signal means "at once" to some. Were there any?"""
        if not _PROC.joinpath("self").exists():
            return self._signal_group(number, told)
        found = set(self._find())
        for pid in found - told:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        told |= found
        return bool(found)

    def _signal_group(self, number: int, told: set[int]) -> bool:
        if self.leader is None:
            return False
        try:
            os.killpg(self.leader, 0 if self.leader in told else number)
        except (ProcessLookupError, PermissionError):
            return False
        told.add(self.leader)
        return True

    def _find(self) -> Iterator[int]:
        mark = self.mark.encode()
        for folder in _PROC.iterdir():
            if not folder.name.isdigit():
                continue
            with suppress(OSError):  # it has ended, or is another user's
                state, group, session = _read_stat(folder)
                if state in "ZX":
                    continue
                ours = self.leader is not None and self.leader in (group, session)
                if ours or mark in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)


def _read_stat(folder: Path) -> tuple[str, int, int]:
    """
    Read a process's state, process group and session.

    Source: proc_pid_stat(5): the fields after the last parenthesis, since a name may hold anything.
    """
    fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
    return fields[0].decode(), int(fields[2]), int(fields[3])
