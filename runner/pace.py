"""How long a runway should be: a second of work, so that it never runs dry and priority still counts."""

from __future__ import annotations

SHORTEST, LONGEST = 8, 256
UNKNOWN_SECONDS = 1 / 64
"""What a stage is taken to last until this process has run one."""


class Pace:
    """The moving average of how long stages take in this process, by (job, queue)."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], float] = {}

    def note(self, job: str, queue: str, seconds: float) -> None:
        """Take in how long one attempt took."""
        known = self._seconds.get((job, queue), seconds)
        self._seconds[job, queue] = 0.9 * known + 0.1 * seconds

    def marks(self, job: str, queue: str, running: int) -> tuple[int, int]:
        """
        Tell the low-water mark, below which a runway is refilled, and the mark up to which it is.

        The low mark stays above twice what runs, because each worker has fetched a message or two already.
        """
        seconds = self._seconds.get((job, queue), UNKNOWN_SECONDS)
        batch = max(SHORTEST, min(LONGEST, int(1 / max(seconds, 1e-4))))
        low = max(SHORTEST + 2 * running, batch // 4)
        return low, low + batch
