"""Bring some items to the list of stages that the tracker knows: reopen, skip, recount."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.lifecycle import REOPEN, SKIP, Move
from tracker.clock import now_ms
from tracker.cutoff import release_waiting
from tracker.events import append_event
from tracker.plan import SWITCHED_OFF

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracker.connection import Connection
    from tracker.rows import Row

ADD_STAGES = """
INSERT INTO item_stages (item_id, stage, job_id, position, priority, backfill, needs_left, status)
SELECT i.item_id, p.stage, i.job_id, p.position, i.priority, 1 - i.fresh, 0, 'pending'
  FROM json_each(:item_ids) chosen
 CROSS JOIN work_items i ON i.item_id = chosen.value
 CROSS JOIN job_stages p ON p.job_id = i.job_id AND p.switched_on
 WHERE i.job_id = :job_id AND i.opened_at IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM item_stages s WHERE s.item_id = i.item_id AND s.stage = p.stage)
RETURNING item_id, stage, 0
"""

SWITCH_ON = """
UPDATE item_stages
   SET status = 'pending', ended_at = NULL, reason = NULL, retries = 0, crashes = 0
 WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND +job_id = :job_id
   AND stage IN (SELECT stage FROM job_stages WHERE job_id = :job_id AND switched_on)
   AND status = 'skipped' AND reason = :switched_off
RETURNING item_id, stage, attempt
"""

SWITCH_OFF = """
UPDATE item_stages
   SET status = 'skipped', ended_at = :now, reason = :switched_off, queued_at = NULL, resend_at = NULL,
       retry_at = NULL, over_budget = 0
 WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND +job_id = :job_id
   AND stage NOT IN (SELECT stage FROM job_stages WHERE job_id = :job_id AND switched_on)
   AND status = 'pending'
RETURNING item_id, stage, attempt
"""

RECOUNT = """
UPDATE item_stages
   SET needs_left = (SELECT count(*)
                       FROM stage_needs n
                       JOIN item_stages needed ON needed.item_id = item_stages.item_id AND needed.stage = n.need
                      WHERE n.job_id = item_stages.job_id AND n.stage = item_stages.stage
                        AND needed.status NOT IN ('done', 'skipped')),
       position = coalesce((SELECT p.position FROM job_stages p
                             WHERE p.job_id = item_stages.job_id AND p.stage = item_stages.stage), 1000)
 WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND +job_id = :job_id
"""

Moved = Sequence["Row"]
"""Stages that moved, as (item, stage, attempt)."""


def bring_items(
    conn: Connection, job_id: str, item_ids: Sequence[int], moves: Collection[Move] = (REOPEN, SKIP)
) -> dict[Move, Moved]:
    """
    Bring the opened ones of some items to the list of stages that the tracker knows; what moved, by these moves.

    In the caller's transaction.
    """
    asked = {
        "job_id": job_id,
        "item_ids": json.dumps(list(item_ids)),
        "now": now_ms(),
        "switched_off": SWITCHED_OFF,
    }
    moved: dict[Move, Moved] = {REOPEN: (), SKIP: ()}
    if REOPEN in moves:
        moved[REOPEN] = [
            *conn.execute(ADD_STAGES, asked).fetchall(),
            *conn.execute(SWITCH_ON, asked).fetchall(),
        ]
        _log_moves(conn, job_id, moved[REOPEN], REOPEN, "its stage is new in jobs.yaml")
    if SKIP in moves:
        moved[SKIP] = conn.execute(SWITCH_OFF, asked).fetchall()
        _log_moves(conn, job_id, moved[SKIP], SKIP, SWITCHED_OFF)
    conn.execute(RECOUNT, asked)
    release_waiting(conn, item_ids, None)
    return moved


def _log_moves(conn: Connection, job_id: str, moved: Moved, move: Move, reason: str) -> None:
    for item_id, stage, attempt in moved:
        append_event(conn, job_id, move.name, item_id, stage, attempt, None, {"reason": reason})
