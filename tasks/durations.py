"""How long tasks took lately: a worker fetches more, and lays more before its processes, while they are short."""

from __future__ import annotations

from collections import defaultdict

SHORT_SECONDS = 0.02
"""Tasks that take no longer may have others behind them in their process's pipe."""

FEW = 0.15
"""Such a share of the tasks of a short kind may be longer: one refills a runway, another waits for a processor."""

WEIGHT = 0.05
"""How much the newest task counts in the moving average: some forty must be short before they count as that."""


class Durations:
    """What share of the last tasks of each kind, such as `job.stage`, and of all, was long."""

    def __init__(self) -> None:
        self._long_of: defaultdict[str, float] = defaultdict(lambda: 1.0)
        self._long = 1.0

    def note(self, kind: str, seconds: float) -> None:
        """Note that a task took so long."""
        newest = WEIGHT * (seconds > SHORT_SECONDS)
        self._long_of[kind] = (1 - WEIGHT) * self._long_of[kind] + newest
        self._long = (1 - WEIGHT) * self._long + newest

    def are_short(self, kind: str) -> bool:
        """Tell whether nearly all of the last tasks of a kind were short."""
        return self._long_of.get(kind, 1.0) < FEW

    def all_are_short(self) -> bool:
        """Tell whether nearly all of the last tasks were short."""
        return self._long < FEW


DURATIONS = Durations()
"""Those of this worker."""
