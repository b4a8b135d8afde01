"""Notice when the clock is set forward, as when a suspended machine wakes: leases must not be judged by it then."""

from __future__ import annotations

import time

from tracker.claims import LEASE_SECONDS
from tracker.clock import now_ms

NOTICED_SECONDS = 5.0
"""A step of less does not make a lease run out that is renewed."""


class ClockSteps:
    """How the wall clock goes beside one that is never set. One for each process."""

    def __init__(self) -> None:
        self._ahead_seconds = _compare()
        self._stepped_at = float("-inf")

    def was_set_forward(self) -> bool:
        """
        Tell whether that happened since the last question, or less than a lease before it.

        In that time whoever lives renews what it has claimed, however old it looks by the new time.
        """
        ahead_seconds, now = _compare(), time.monotonic()
        if ahead_seconds - self._ahead_seconds > NOTICED_SECONDS:
            self._stepped_at = now
        self._ahead_seconds = ahead_seconds
        return now - self._stepped_at < LEASE_SECONDS


def _compare() -> float:
    return now_ms() / 1000 - time.monotonic()
