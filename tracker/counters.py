"""
Counters against recounts: where they differ, and putting them right while everything runs.

A difference is read in one statement, of one moment. It does not change afterwards, whatever runs: triggers move the
counter with the rows. So it is added in a short transaction, and nobody waits for a recount.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.connection import write
from tracker.followers import recount_needs
from tracker.notes import find_note, set_note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracker.connection import Connection
    from tracker.rows import Row

MENDED = "counters_mended"
"""The note that counts how often counters were put right: who recounted before another did so adds nothing."""

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter that is wrong: `off` must be added to it. `stage` is '' for a counter of items."""

    job: str
    stage: str
    counter: str
    off: int


# What does not end is in partial indexes, and what ended in a covering one: this reads no more than those.
DRIFT_OF_STAGES = """
SELECT c.stage,
       (SELECT count(*) FROM item_stages s INDEXED BY idx_item_stages_leased
         WHERE s.status = 'in_progress' AND s.job_id = c.job_id AND s.stage = c.stage) - c.in_progress AS in_progress,
       (SELECT count(*) FROM item_stages s INDEXED BY idx_item_stages_sent
         WHERE s.status = 'pending' AND s.queued_at IS NOT NULL AND s.retry_at IS NULL
           AND s.job_id = c.job_id AND s.stage = c.stage) - c.queued AS queued,
       (SELECT count(*) FROM item_stages s INDEXED BY idx_item_stages_sent
         WHERE s.status = 'pending' AND s.queued_at IS NOT NULL AND s.retry_at IS NOT NULL
           AND s.job_id = c.job_id AND s.stage = c.stage) - c.countdown AS countdown,
       (SELECT count(*) FROM item_stages s INDEXED BY idx_item_stages_status
         WHERE s.job_id = c.job_id AND s.stage = c.stage AND s.status = 'pending'
           AND s.status <> 'in_progress') - c.pending AS pending,
       (SELECT count(*) FROM item_stages s INDEXED BY idx_item_stages_status
         WHERE s.job_id = c.job_id AND s.stage = c.stage AND s.status = 'failed'
           AND s.status <> 'in_progress') - c.failed AS failed,
       (SELECT count(*) FROM item_stages s INDEXED BY idx_item_stages_status
         WHERE s.job_id = c.job_id AND s.stage = c.stage AND s.status = 'skipped'
           AND s.status <> 'in_progress') - c.skipped AS skipped
  FROM stage_counts c
 WHERE c.job_id = :job_id
"""

DRIFT_OF_STAGES_IN_FULL = """
SELECT coalesce(c.stage, t.stage) AS stage,
       coalesce(t.pending, 0) - coalesce(c.pending, 0) AS pending,
       coalesce(t.in_progress, 0) - coalesce(c.in_progress, 0) AS in_progress,
       coalesce(t.done, 0) - coalesce(c.done, 0) AS done,
       coalesce(t.failed, 0) - coalesce(c.failed, 0) AS failed,
       coalesce(t.skipped, 0) - coalesce(c.skipped, 0) AS skipped,
       coalesce(t.queued, 0) - coalesce(c.queued, 0) AS queued,
       coalesce(t.countdown, 0) - coalesce(c.countdown, 0) AS countdown,
       coalesce(t.blocked, 0) - coalesce(c.blocked, 0) AS blocked,
       coalesce(t.parked, 0) - coalesce(c.parked, 0) AS parked
  FROM (SELECT * FROM stage_counts WHERE job_id = :job_id) c
  FULL JOIN (SELECT s.stage,
                    sum(s.status = 'pending') AS pending, sum(s.status = 'in_progress') AS in_progress,
                    sum(s.status = 'done') AS done, sum(s.status = 'failed') AS failed,
                    sum(s.status = 'skipped') AS skipped,
                    sum(s.queued_at IS NOT NULL AND s.retry_at IS NULL) AS queued,
                    sum(s.queued_at IS NOT NULL AND s.retry_at IS NOT NULL) AS countdown,
                    sum(s.status = 'pending' AND s.queued_at IS NULL AND s.needs_left > 0) AS blocked,
                    sum(s.status = 'pending' AND s.queued_at IS NULL AND s.needs_left = 0
                        AND s.retry_at IS NOT NULL) AS parked
               FROM work_items i
              CROSS JOIN item_stages s ON s.item_id = i.item_id
              WHERE i.job_id = :job_id
              GROUP BY s.stage) t ON t.stage = c.stage
"""

# What the index of statuses has not is in progress.
DRIFT_OF_ITEMS = """
SELECT '' AS stage,
       coalesce(t.pending, 0) - coalesce(c.pending, 0) AS pending,
       (SELECT count(*) FROM work_items i INDEXED BY idx_work_items_job WHERE i.job_id = :job_id)
           - t.ended_or_waits - coalesce(c.in_progress, 0) AS in_progress,
       coalesce(t.done, 0) - coalesce(c.done, 0) AS done,
       coalesce(t.failed, 0) - coalesce(c.failed, 0) AS failed,
       coalesce(t.skipped, 0) - coalesce(c.skipped, 0) AS skipped,
       (SELECT count(*) FROM work_items u INDEXED BY idx_work_items_unopened
         WHERE u.job_id = :job_id AND u.opened_at IS NULL) - coalesce(c.unopened, 0) AS unopened,
       (SELECT count(*) FROM held_items WHERE job_id = :job_id) - coalesce(c.held, 0) AS held
  FROM (SELECT count(*) AS ended_or_waits, sum(status = 'pending') AS pending, sum(status = 'done') AS done,
               sum(status = 'failed') AS failed, sum(status = 'skipped') AS skipped
          FROM work_items INDEXED BY idx_work_items_job_status
         WHERE job_id = :job_id AND status <> 'in_progress') t
  LEFT JOIN item_counts c ON c.job_id = :job_id
"""


def list_drifts(conn: Connection, job_id: str, *, full: bool = False) -> list[Drift]:
    """
    List the counters of a job that are wrong.

    Without `full`, those that indexes can tell: all of its items', and of its stages' all but done, blocked, parked.
    With it every row of the job is read.
    """
    asked = {"job_id": job_id}
    rows = conn.execute(DRIFT_OF_ITEMS, asked).fetchall()
    rows += conn.execute(DRIFT_OF_STAGES_IN_FULL if full else DRIFT_OF_STAGES, asked).fetchall()
    return [drift for row in rows for drift in _read(job_id, row)]


def _read(job_id: str, row: Row) -> Iterator[Drift]:
    for counter in row.keys()[1:]:
        if row[counter]:
            yield Drift(job_id, row["stage"], counter, row[counter])


INTRODUCE_STAGE = "INSERT INTO stage_counts (job_id, stage) VALUES (:job_id, :stage) ON CONFLICT DO NOTHING"

INTRODUCE_ITEMS = "INSERT INTO item_counts (job_id) VALUES (:job_id) ON CONFLICT DO NOTHING"

ADD_TO_STAGE = """
UPDATE stage_counts
   SET pending = pending + :pending, in_progress = in_progress + :in_progress, done = done + :done,
       failed = failed + :failed, skipped = skipped + :skipped, queued = queued + :queued,
       countdown = countdown + :countdown, blocked = blocked + :blocked, parked = parked + :parked
 WHERE job_id = :job_id AND stage = :stage
"""

ADD_TO_ITEMS = """
UPDATE item_counts
   SET pending = pending + :pending, in_progress = in_progress + :in_progress, done = done + :done,
       failed = failed + :failed, skipped = skipped + :skipped, unopened = unopened + :unopened, held = held + :held
 WHERE job_id = :job_id
"""

STAGE_COUNTERS = (
    "pending",
    "in_progress",
    "done",
    "failed",
    "skipped",
    "queued",
    "countdown",
    "blocked",
    "parked",
)
ITEM_COUNTERS = ("pending", "in_progress", "done", "failed", "skipped", "unopened", "held")


def mend_drifts(conn: Connection, job_id: str) -> int:
    """Recount a job and put its counters right; how many were wrong. Commits, in one short transaction."""
    mended = find_note(conn, MENDED)
    drifts = list_drifts(conn, job_id, full=True)
    if not drifts:
        return 0
    with write(conn):
        if find_note(conn, MENDED) != mended:
            return 0  # another has put counters right since they were read
        set_note(conn, MENDED, str(int(mended or 0) + 1))
        for stage in sorted({drift.stage for drift in drifts}):
            _add(conn, job_id, stage, {one.counter: one.off for one in drifts if one.stage == stage})
    return len(drifts)


def _add(conn: Connection, job_id: str, stage: str, off: dict[str, int]) -> None:
    key = {"job_id": job_id, "stage": stage}
    if stage:
        conn.execute(INTRODUCE_STAGE, key)
        conn.execute(ADD_TO_STAGE, dict.fromkeys(STAGE_COUNTERS, 0) | off | key)
    else:
        conn.execute(INTRODUCE_ITEMS, {"job_id": job_id})
        conn.execute(ADD_TO_ITEMS, dict.fromkeys(ITEM_COUNTERS, 0) | off | {"job_id": job_id})


LIST_WRONG_STATUSES = """
SELECT i.item_id
  FROM work_items i
 CROSS JOIN item_derived_status d ON d.item_id = i.item_id
 WHERE i.job_id = :job_id AND i.status <> d.derived_status
"""

LIST_WRONG_NEEDS = """
SELECT DISTINCT s.item_id
  FROM work_items i
 CROSS JOIN item_stages s ON s.item_id = i.item_id
 WHERE i.job_id = :job_id AND s.status = 'pending'
   AND NOT EXISTS (SELECT 1 FROM plan_changes p WHERE p.job_id = i.job_id)
   AND s.needs_left <> (SELECT count(*)
                          FROM stage_needs n
                          JOIN item_stages needed ON needed.item_id = s.item_id AND needed.stage = n.need
                         WHERE n.job_id = s.job_id AND n.stage = s.stage
                           AND needed.status NOT IN ('done', 'skipped'))
"""


def list_wrong_items(conn: Connection, job_id: str) -> tuple[list[int], list[int]]:
    """List the items of a job whose status is not that of their stages, and those that wait for what is done."""
    asked = {"job_id": job_id}
    statuses = [row[0] for row in conn.execute(LIST_WRONG_STATUSES, asked)]
    return statuses, [row[0] for row in conn.execute(LIST_WRONG_NEEDS, asked)]


MEND_STATUSES = """
UPDATE work_items
   SET status = (SELECT d.derived_status FROM item_derived_status d WHERE d.item_id = work_items.item_id)
 WHERE item_id IN (SELECT value FROM json_each(:item_ids))
   AND status <> (SELECT d.derived_status FROM item_derived_status d WHERE d.item_id = work_items.item_id)
"""


def mend_items(conn: Connection, job_id: str) -> int:
    """Put right what `list_wrong_items` finds; how many items. Commits in batches; safe to be done again."""
    statuses, needs = list_wrong_items(conn, job_id)
    for batch in _split(needs):
        with write(conn):
            recount_needs(conn, batch)
    for batch in _split(statuses):
        with write(conn):
            conn.execute(MEND_STATUSES, {"item_ids": json.dumps(list(batch))})
    return len({*statuses, *needs})


def _split(item_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(item_ids), AT_ONCE):
        yield item_ids[start : start + AT_ONCE]
