"""
How a handler ends when it ends as expected.

A handler returns a result (a dict), or one of `Skip`, `RetryLater`, `GiveUp`. Anything else, an exception
included, is unexpected and is retried by the stage's own policy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isnan

from pipeline.durations import DURATION_UNITS
from pipeline.errors import CeleriacError

DEFAULT_RETRY_DELAY_SECONDS = 300.0
_RETRY_IN = re.compile(r"retry in\s+(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Skip:
    """
    Leave this stage out. What needs it goes on without its result.

    With `rest=True` every stage that needs this one, at any distance, is skipped too: the item is finished.
    """

    reason: str
    rest: bool = False


@dataclass(frozen=True, slots=True)
class RetryLater:
    """
    Try again after `delay` (seconds or a timedelta), or `at` an aware instant. Uses no retry of the stage's.

    `host` is the paused one that it waits for, if that is why: when its pause is lifted, it is tried at once.
    """

    delay: float | timedelta | None = None
    reason: str = ""
    at: datetime | None = None
    host: str | None = None

    def __post_init__(self) -> None:
        """Refuse an ending that names no time, or two."""
        if (self.delay is None) == (self.at is None):
            raise ValueError("RetryLater takes either a delay or an instant")
        if isinstance(self.delay, float) and isnan(self.delay):
            raise ValueError("RetryLater takes a delay that is a number")
        if self.at is not None and self.at.tzinfo is None:
            raise ValueError("RetryLater(at=…) takes an aware datetime")

    def delay_seconds(self, now: datetime | None = None) -> float:
        """Tell how long to wait from `now`: never negative, and never longer than a timedelta can be."""
        if self.at is not None:
            return max(0.0, (self.at - (now or datetime.now(UTC))).total_seconds())
        if isinstance(self.delay, timedelta):
            return max(0.0, self.delay.total_seconds())
        return min(max(0.0, float(self.delay or 0)), timedelta.max.total_seconds())


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Fail this stage now, whatever retries are left."""

    reason: str


class RetryLaterError(CeleriacError):
    """
    Ask for another try later, in the older words: `raise RetryLaterError("quota used up, retry in 5m")`.

    The delay is read from the text: a number and a unit after `retry in` (`ms`, `s`, `m`, `h`, `d`, `w`, or
    their English names). A text without one means five minutes.
    """

    def as_outcome(self) -> RetryLater:
        """Give the same ending as a value."""
        text = str(self)
        return RetryLater(delay=_read_delay(text), reason=text)


def _read_delay(text: str) -> float:
    found = _RETRY_IN.search(text)
    if not found or (unit := DURATION_UNITS.get(found[2].lower())) is None:
        return DEFAULT_RETRY_DELAY_SECONDS
    return float(found[1]) * unit


Outcome = dict[str, object] | Skip | RetryLater | GiveUp
