"""How long a host is left alone that asked for it."""

from __future__ import annotations

OWN_WAIT_SECONDS, LONGEST_OWN_WAIT_SECONDS = 60.0, 3600.0
"""The wait for a host that did not say for how long; it doubles each time in a row."""

LEAST_WISH_SECONDS, LONGEST_WISH_SECONDS = 1.0, 86_400.0
"""A host's own wish is heard between these: less says nothing, and nobody is served by a wait of a year."""

LONGEST_APPOINTMENT_SECONDS = 3600.0
"""Who is turned away from a busy host is told a time of its own, at most so long after the host is free."""


def choose_wait(seconds: float | None, throttles: int) -> float:
    """
    Tell how long to leave a host alone: as long as it wished, else longer each time in a row.

    >>> choose_wait(120, 0), choose_wait(None, 0), choose_wait(None, 3), choose_wait(0, 9)
    (120, 60.0, 480.0, 3600.0)
    """
    if seconds is not None and seconds >= LEAST_WISH_SECONDS:
        return min(seconds, LONGEST_WISH_SECONDS)
    return min(OWN_WAIT_SECONDS * 2.0 ** min(throttles, 30), LONGEST_OWN_WAIT_SECONDS)
