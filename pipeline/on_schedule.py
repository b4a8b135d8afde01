"""What discovery does while its job is paused."""

from __future__ import annotations

from enum import StrEnum


class OnSchedule(StrEnum):
    """What becomes of a scheduled time that comes while the job is paused."""

    HOLD = "hold"
    """Nothing is discovered; when the pause is lifted, one discovery makes up for all that was missed."""

    SKIP = "skip"
    """Nothing is discovered, and what was missed is not made up."""

    QUEUE = "queue"
    """Discovery goes on; what it finds waits."""
