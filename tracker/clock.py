"""Instants as the tracker keeps them: UTC Unix milliseconds."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000

AHEAD_MS = 2_000
"""What this machine noted for so much later than now was noted before its clock was set back."""

CLOCKS_DIFFER_MS = 300_000
"""The clocks of those who work on one file differ by less: what is further ahead was noted by one that was wrong."""


def now_ms() -> int:
    """Tell the present instant."""
    return time.time_ns() // 1_000_000


def latest_ms() -> int:
    """Tell the latest instant that anybody's clock can show now, unless it is wrong."""
    return now_ms() + CLOCKS_DIFFER_MS


class OwnInstants:
    """Tells the present instant (Unix ms), but never the same one twice: a little later, then. For any thread."""

    def __init__(self) -> None:
        self._lock, self._last = threading.Lock(), 0

    def next(self) -> int:
        """Tell the next one."""
        with self._lock:
            now = now_ms()
            self._last = now if self._last > now + AHEAD_MS else max(now, self._last + 1)
            return self._last


def to_ms(instant: datetime) -> int:
    """Turn an aware datetime into milliseconds; a naive one raises ValueError."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone")
    return (instant - EPOCH) // timedelta(milliseconds=1)


def to_datetime(at_ms: int) -> datetime:
    """Turn milliseconds into an aware UTC datetime."""
    return EPOCH + timedelta(milliseconds=at_ms)


def format_ms(at_ms: int | None) -> str:
    """Write an instant in UTC as people read it, to the second; an absent one is empty."""
    return "" if at_ms is None else to_datetime(at_ms).strftime("%Y-%m-%d %H:%M:%S")
