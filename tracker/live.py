"""The numbers that move while somebody watches: all counters at once, by name, for whoever shows the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lifecycle import Status
from tracker.retention import LAST_EVENT

if TYPE_CHECKING:
    from tracker.connection import Connection

READ_DATA_VERSION = "PRAGMA data_version"


def read_data_version(conn: Connection) -> int:
    """Read a number that is another one when somebody else has committed since. Costs no look at the file's pages."""
    return int(conn.execute(READ_DATA_VERSION).fetchone()[0])


# What waits at a stage: not what waits for another one; where an item begins, also those not opened yet.
READ_STAGE_COUNTS = """
SELECT c.job_id, c.stage, c.pending, c.in_progress, c.done, c.failed, c.skipped,
       c.pending - c.blocked + iif(p.stage IS NOT NULL AND n.stage IS NULL, coalesce(i.unopened, 0), 0)
  FROM stage_counts c
  LEFT JOIN job_stages p ON p.job_id = c.job_id AND p.stage = c.stage AND p.switched_on
  LEFT JOIN stage_needs n ON n.job_id = c.job_id AND n.stage = c.stage
                         AND EXISTS (SELECT 1 FROM job_stages q
                                      WHERE q.job_id = n.job_id AND q.stage = n.need AND q.switched_on)
  LEFT JOIN item_counts i ON i.job_id = c.job_id
 GROUP BY c.job_id, c.stage
"""

READ_ITEM_COUNTS = "SELECT job_id, pending, in_progress, done, failed, skipped, held FROM item_counts"


def read_counts(conn: Connection) -> dict[str, int]:
    """
    Read every counter, as `{"job.done": n, "job/stage.done": n, …}`. Costs the number of stages, not of items.

    `job/stage.waiting` are those that wait at a stage, and for no other; `events` is the id of the newest event.
    """
    counts: dict[str, int] = {"events": conn.execute(LAST_EVENT).fetchone()[0] or 0}
    names = [str(status) for status in Status]
    for job, *numbers in conn.execute(READ_ITEM_COUNTS):
        counts |= {f"{job}.{name}": n for name, n in zip([*names, "held"], numbers, strict=True)}
    for job, stage, *numbers in conn.execute(READ_STAGE_COUNTS):
        counts |= {f"{job}/{stage}.{name}": n for name, n in zip([*names, "waiting"], numbers, strict=True)}
    return counts
