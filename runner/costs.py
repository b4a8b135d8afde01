"""What an attempt spends, put on record as soon as its handler says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.room import wait_for_room
from tracker.events import log_cost

if TYPE_CHECKING:
    from handlers.spent import Spent
    from runner.runtime import Runtime
    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class Costs:
    """
    The costs of one attempt.

    Each is written at once in its own transaction, so that neither a killed process nor a lost lease loses it:
    the money is gone all the same.
    """

    runtime: Runtime
    job: str
    item_id: int
    stage: str
    attempt: int
    _unwritten: dict[str, Spent] = field(default_factory=dict)

    def record(self, spent: Spent) -> None:
        """Record a cost; on a full disk this waits."""
        self.note(spent)
        wait_for_room(self.write)

    def note(self, spent: Spent) -> None:
        """Have a cost written with the next `write`."""
        self._unwritten[spent.receipt] = spent

    def write(self) -> None:
        """Write what an interruption, such as a time limit, has kept from being written. Raises `TrackerFullError`."""
        for spent in list(self._unwritten.values()):
            log_spent(self.runtime.tracker, self.job, self.item_id, self.stage, spent, self.attempt)
            self._unwritten.pop(spent.receipt, None)


def log_spent(
    conn: Connection, job: str, item_id: int, stage: str, spent: Spent, attempt: int | None = None
) -> None:
    """Put on record what a handler said that it spent on an item; what ran aside has no `attempt`. Commits."""
    log_cost(
        conn,
        job,
        spent.usd,
        spent.provider,
        item_id=item_id,
        stage=stage,
        attempt=attempt,
        units=spent.units,
        model=spent.model,
        price=spent.price,
        receipt=spent.receipt,
    )
