"""What a discovery run has brought so far, counted in its row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import StaleRunError

if TYPE_CHECKING:
    from tracker.connection import Connection
    from tracker.discoveries import RunLease


@dataclass(frozen=True, slots=True)
class Counts:
    """
    What a run has brought so far: things found; of those new, and changed since they were seen last; new ones
    that wait for approval.
    """

    found: int = 0
    new: int = 0
    changed: int = 0
    held: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Add up what two batches brought."""
        return Counts(
            self.found + other.found,
            self.new + other.new,
            self.changed + other.changed,
            self.held + other.held,
        )


ADD_TO_RUN = """
UPDATE discovery_runs
   SET found = found + :found, new = new + :new, changed = changed + :changed, held = held + :held
 WHERE run_id = :run_id AND attempt = :attempt AND leased_until IS NOT NULL
"""


def add_to_run(conn: Connection, run: RunLease, counts: Counts) -> None:
    """
    Add what a batch brought to its run, in the caller's transaction.

    Raises `StaleRunError`, with which the caller's transaction ends too, when the run is not this process's.
    """
    conn.execute(
        ADD_TO_RUN,
        {
            "run_id": run.run_id,
            "attempt": run.attempt,
            "found": counts.found,
            "new": counts.new,
            "changed": counts.changed,
            "held": counts.held,
        },
    )
    if conn.changes() != 1:
        raise StaleRunError(run.job_id, run.run_id, run.attempt)


READ_COUNTS = "SELECT found, new, changed, held FROM discovery_runs WHERE run_id = :run_id"


def read_counts(conn: Connection, run_id: int) -> Counts:
    """Read what a run has brought so far, in all its attempts."""
    return Counts(*conn.execute(READ_COUNTS, {"run_id": run_id}).fetchone())
