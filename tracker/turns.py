"""
Turns to write: one advisory lock beside the database, on which every writer queues.

A lock that is let go goes to nobody: whoever waits for it is first woken, and who runs already takes it again before
that. So one process could keep others waiting for hundreds of milliseconds. Here whoever waits says so, by sharing
a second lock, and whoever has gone on for a while lets them go first. That costs nothing while nobody waits, and no one
waits for the one that waits: it may be stopped, or killed.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOES_ON_SECONDS = 0.001
"""For so long one may take turn after turn while others wait: the pages that it has read are its own still."""

LONG_SECONDS = 0.004
"""Whoever had to wait for so long takes one turn alone: there are many who wait."""

LETS_GO_SECONDS = 0.0001
"""How long one stays away to let others go first: where a processor is free, another is woken within that time."""

LETS_GO_AT_MOST_SECONDS, LETS_GO_SHARE = 0.002, 0.1
"""It stays away until another has it, so long at most or for this share of its last turn: who waits may be stopped."""


class Turns:
    """One connection's turns. Not for sharing between threads, and never across a fork."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None
        self._waiting: int | None = None
        self._checkpoint: int | None = None
        self._goes_on_until = self._had_seconds = 0.0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the turn, and give it up at the end. A killed holder's is free."""
        if self._lock is None or self._waiting is None:
            self._lock, self._waiting = self._open("lock"), self._open("waiting")
        try:
            self._wait(self._lock, self._waiting)  # an interruption may strike just after it is ours
            begun = time.monotonic()
            yield
            self._had_seconds = time.monotonic() - begun
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def try_checkpoint(self) -> Iterator[bool]:
        """Give False when somebody else makes a checkpoint; else nobody does within the block. It takes no turn."""
        if self._checkpoint is None:
            self._checkpoint = self._open("checkpoint")
        is_ours = _try(self._checkpoint, fcntl.LOCK_EX)
        try:
            yield is_ours
        finally:
            fcntl.flock(self._checkpoint, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the locks' files. Safe to call twice."""
        for file in (self._lock, self._waiting, self._checkpoint):
            if file is not None:
                os.close(file)
        self._lock = self._waiting = self._checkpoint = None

    def _open(self, suffix: str) -> int:
        return os.open(f"{self._path}.{suffix}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _wait(self, lock: int, waiting: int) -> None:
        if time.monotonic() >= self._goes_on_until:
            if _try(waiting, fcntl.LOCK_EX):  # nobody shares it
                fcntl.flock(waiting, fcntl.LOCK_UN)
            else:
                self._let_go_first(lock)
            self._goes_on_until = time.monotonic() + GOES_ON_SECONDS
        if _try(lock, fcntl.LOCK_EX):
            return
        begun = time.monotonic()
        try:
            _try(waiting, fcntl.LOCK_SH)  # in vain only while somebody looks whether anybody waits
            fcntl.flock(lock, fcntl.LOCK_EX)
        finally:
            fcntl.flock(waiting, fcntl.LOCK_UN)
        now = time.monotonic()
        self._goes_on_until = now + GOES_ON_SECONDS if now - begun < LONG_SECONDS else now

    def _let_go_first(self, lock: int) -> None:
        until = time.monotonic() + max(LETS_GO_AT_MOST_SECONDS, LETS_GO_SHARE * self._had_seconds)
        while True:
            time.sleep(LETS_GO_SECONDS)
            if not _try(lock, fcntl.LOCK_EX):
                return  # another has it
            fcntl.flock(lock, fcntl.LOCK_UN)
            if time.monotonic() >= until:
                return


def _try(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
