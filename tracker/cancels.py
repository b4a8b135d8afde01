"""Lift what was cancelled: when an item is done again, all of it follows other results again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracker.endings import Ending
from tracker.moves import Ended, settle_together

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.connection import Connection

LIST_STOPPING = """
SELECT item_id, stage, attempt, cancelled_by
  FROM item_stages
 WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND status = 'in_progress' AND cancelled_by IS NOT NULL
"""

# What is not remembered as changed already; of that, an undo only cancels again what is as it was.
REMEMBER_CANCELLED = """
INSERT INTO action_stages (action_id, item_id, stage, made, attempts, status, ended_at, reason, retries, crashes,
                           retry_at, backfill, again, cancelled_by)
SELECT :action_id, s.item_id, s.stage, 'lifted',
       (SELECT sum(every.attempt) FROM item_stages every WHERE every.item_id = s.item_id),
       s.status, s.ended_at, s.reason, s.retries, s.crashes, s.retry_at, s.backfill, s.again, s.cancelled_by
  FROM item_stages s
 WHERE s.item_id IN (SELECT value FROM json_each(:item_ids)) AND s.cancelled_by IS NOT NULL
    ON CONFLICT DO NOTHING
"""

LIFT_CANCELS = """
UPDATE item_stages
   SET cancelled_by = NULL
 WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND cancelled_by IS NOT NULL
"""


def lift_cancels(conn: Connection, item_ids: Iterable[int], by: str, action_id: int | None = None) -> None:
    """
    Let what was cancelled of these items follow other results again; an action remembers it, for its undo.

    What still runs ends as it would have, only at once, and its attempt is fenced off. In the caller's transaction.
    Whoever has something of an item done again calls this.
    """
    asked = {"item_ids": json.dumps(list(item_ids))}
    stopping = [
        Ended(item_id, stage, attempt, Ending.skipped(f"cancelled by {cancelled_by}"))
        for item_id, stage, attempt, cancelled_by in conn.execute(LIST_STOPPING, asked).fetchall()
    ]
    settle_together(conn, stopping, by=by)
    if action_id is not None:
        conn.execute(REMEMBER_CANCELLED, asked | {"action_id": action_id})
    conn.execute(LIFT_CANCELS, asked)
