"""
Early cutoff: what needs a stage that is done again follows only if the result is another one.

A stage that is to be done again is marked, in `item_stages.again`. It `waits` as it ended, with its result, while
anything that it needs, at any distance, is open or waits too; then it is pending and `runs`. When it ends with the
same hash as before, what needs it is left as it is; else that is marked in turn. So no stage runs before what it
needs has settled, and none runs twice. All of it happens in the transaction that settles.

What was cancelled follows no result, until somebody has its item done again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from pipeline.lifecycle import RESET, SKIP
from tracker.events import append_event, append_moves
from tracker.followers import advance_needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from tracker.connection import Connection
    from tracker.endings import Ending
    from tracker.followers import Attempt

EVENT = "cutoff"
"""The kind of the event that says which stages were spared; it is no move."""


class Place(NamedTuple):
    """One stage of one item, with its last attempt."""

    item_id: int
    stage: str
    attempt: int


# -- when a stage that was done again has ended -----------------------------------------------------------

READ_OUTPUT_HASH = "SELECT output_hash FROM results WHERE item_id = :item_id AND stage = :stage"


class Before(NamedTuple):
    """What a stage that is done again had made before."""

    has_result: bool
    output_hash: str | None


def read_before(conn: Connection, item_id: int, stage: str) -> Before:
    """Read what a stage has made, before the result of the attempt that ends now replaces it."""
    row = conn.execute(READ_OUTPUT_HASH, {"item_id": item_id, "stage": stage}).fetchone()
    return Before(row is not None, row[0] if row else None)


def follow_rerun(conn: Connection, attempt: Attempt, before: Before, ending: Ending, by: str | None) -> None:
    """
    Have done again what needs a stage whose result is another one, or note what was spared.

    In the caller's transaction.
    """
    is_changed = _is_changed(before, ending)
    if is_changed and ending.skips_rest:
        _reset_rest(conn, attempt, by)
    elif is_changed:
        _mark_children(conn, attempt, by)
    release_waiting(conn, [attempt.item_id], by)
    if not is_changed:
        _note_spared(conn, attempt, by)


def _is_changed(before: Before, ending: Ending) -> bool:
    if (
        ending.result_json is None
    ):  # no new result: what needs it would see the old one, unless it was left out
        return ending.move is SKIP and before.has_result
    return before.output_hash is None or before.output_hash != ending.output_hash


MARK_CHILDREN = """
UPDATE item_stages
   SET again = 'waits'
 WHERE item_id = :item_id AND status IN ('done', 'failed', 'skipped') AND cancelled_by IS NULL
   AND stage IN (SELECT n.stage
                   FROM stage_needs n
                   JOIN job_stages p ON p.job_id = n.job_id AND p.stage = n.stage AND p.switched_on
                  WHERE n.job_id = :job_id AND n.need = :stage)
"""

# An attempt that runs has the old result in its hands: it is fenced off. One that was cancelled ends by itself.
RESET_RUNNING_CHILDREN = """
UPDATE item_stages
   SET status = 'pending', again = 'runs', leased_until = NULL, reason = NULL, retries = 0, crashes = 0,
       backfill = 1
 WHERE item_id = :item_id AND status = 'in_progress' AND cancelled_by IS NULL
   AND stage IN (SELECT n.stage
                   FROM stage_needs n
                   JOIN job_stages p ON p.job_id = n.job_id AND p.stage = n.stage AND p.switched_on
                  WHERE n.job_id = :job_id AND n.need = :stage)
RETURNING item_id, stage, attempt
"""


def _mark_children(conn: Connection, attempt: Attempt, by: str | None) -> None:
    asked = {"item_id": attempt.item_id, "job_id": attempt.job_id, "stage": attempt.stage}
    conn.execute(MARK_CHILDREN, asked)
    _record(
        conn, attempt.job_id, conn.execute(RESET_RUNNING_CHILDREN, asked).fetchall(), by, _because(attempt)
    )


RESET_REST = """
WITH RECURSIVE rest (stage) AS (
    SELECT stage FROM stage_needs WHERE job_id = :job_id AND need = :stage
    UNION
    SELECT n.stage FROM rest JOIN stage_needs n ON n.job_id = :job_id AND n.need = rest.stage
)
UPDATE item_stages
   SET status = 'pending', again = 'runs', ended_at = NULL, leased_until = NULL, reason = NULL, retries = 0,
       crashes = 0, cancelled_by = NULL
 WHERE item_id = :item_id AND status <> 'pending'
   AND stage IN (SELECT p.stage FROM rest JOIN job_stages p ON p.job_id = :job_id AND p.stage = rest.stage
                  WHERE p.switched_on)
RETURNING item_id, stage, attempt
"""


def _reset_rest(conn: Connection, attempt: Attempt, by: str | None) -> None:
    asked = {"item_id": attempt.item_id, "job_id": attempt.job_id, "stage": attempt.stage}
    _record(conn, attempt.job_id, conn.execute(RESET_REST, asked).fetchall(), by, _because(attempt))


def _because(attempt: Attempt) -> dict[str, str]:
    return {"reason": f"the result of {attempt.stage} is another one"}


LIST_SPARED = """
WITH RECURSIVE rest (stage) AS (
    SELECT stage FROM stage_needs WHERE job_id = :job_id AND need = :stage
    UNION
    SELECT n.stage FROM rest JOIN stage_needs n ON n.job_id = :job_id AND n.need = rest.stage
), before (stage, need) AS (
    SELECT rest.stage, n.need FROM rest JOIN stage_needs n ON n.job_id = :job_id AND n.stage = rest.stage
    UNION
    SELECT before.stage, n.need FROM before JOIN stage_needs n ON n.job_id = :job_id AND n.stage = before.need
)
SELECT s.stage
  FROM rest
  JOIN item_stages s ON s.item_id = :item_id AND s.stage = rest.stage
 WHERE s.status IN ('done', 'skipped') AND s.again IS NULL
   AND NOT EXISTS (SELECT 1
                     FROM before
                     JOIN item_stages needed ON needed.item_id = :item_id AND needed.stage = before.need
                    WHERE before.stage = s.stage
                      AND (needed.status NOT IN ('done', 'skipped') OR needed.again IS NOT NULL))
 ORDER BY s.position
"""


def _note_spared(conn: Connection, attempt: Attempt, by: str | None) -> None:
    asked = {"item_id": attempt.item_id, "job_id": attempt.job_id, "stage": attempt.stage}
    spared = [row[0] for row in conn.execute(LIST_SPARED, asked)]
    if spared:
        place = attempt.item_id, attempt.stage, attempt.number
        append_event(conn, attempt.job_id, EVENT, *place, by, {"spared": spared})


# -- what waited ------------------------------------------------------------------------------------------

HAS_WAITING = """
SELECT 1
  FROM json_each(:item_ids) chosen
 CROSS JOIN item_stages s INDEXED BY idx_item_stages_again ON s.item_id = chosen.value
 WHERE s.again = 'waits'
 LIMIT 1
"""

RELEASE_WAITING = """
WITH RECURSIVE before (job_id, stage, need) AS (
    SELECT job_id, stage, need
      FROM stage_needs
     WHERE job_id IN (SELECT i.job_id
                        FROM json_each(:item_ids) chosen
                       CROSS JOIN work_items i ON i.item_id = chosen.value)
    UNION
    SELECT before.job_id, before.stage, n.need
      FROM before
      JOIN stage_needs n ON n.job_id = before.job_id AND n.stage = before.need
)
UPDATE item_stages
   SET status = 'pending', again = 'runs', ended_at = NULL, reason = NULL, retries = 0, crashes = 0,
       needs_left = 0, cancelled_by = NULL
 WHERE again = 'waits' AND item_id IN (SELECT value FROM json_each(:item_ids))
   AND EXISTS (SELECT 1 FROM job_stages p
                WHERE p.job_id = item_stages.job_id AND p.stage = item_stages.stage AND p.switched_on)
   AND NOT EXISTS (SELECT 1
                     FROM before
                     JOIN item_stages needed ON needed.item_id = item_stages.item_id AND needed.stage = before.need
                     LEFT JOIN job_stages p ON p.job_id = needed.job_id AND p.stage = needed.stage
                    WHERE before.job_id = item_stages.job_id AND before.stage = item_stages.stage
                      AND (needed.status NOT IN ('done', 'skipped')
                           OR (needed.again = 'waits' AND p.switched_on)))
RETURNING item_id, stage, attempt, job_id
"""


def release_waiting(
    conn: Connection, item_ids: Iterable[int], by: str | None, detail: Mapping[str, Any] | None = None
) -> list[Place]:
    """
    Let run what waited in these items, if nothing that it needs is open or waits; which stages.

    In the caller's transaction. Each is an event of its own, with `detail`. Whoever ends or skips stages other than by
    settling calls this after.
    """
    asked = {"item_ids": json.dumps(list(item_ids))}
    if conn.execute(HAS_WAITING, asked).fetchone() is None:
        return []
    rows = conn.execute(RELEASE_WAITING, asked).fetchall()
    for item_id, stage, attempt, job_id in rows:
        _record(conn, job_id, [(item_id, stage, attempt)], by, detail or {"reason": "done again"})
        advance_needs(conn, [(item_id, stage, job_id)])
    return [Place(item_id, stage, attempt) for item_id, stage, attempt, _ in rows]


def _record(
    conn: Connection, job_id: str, places: list[Any], by: str | None, detail: Mapping[str, Any]
) -> None:
    append_moves(conn, job_id, RESET.name, places, by, detail)
