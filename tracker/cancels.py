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

LIFT_CANCELS = """
UPDATE item_stages
   SET cancelled_by = NULL
 WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND cancelled_by IS NOT NULL
"""


def lift_cancels(conn: Connection, item_ids: Iterable[int], by: str) -> None:
    """
    Let what was cancelled of these items follow other results again.

    What still runs ends as it would have, only at once, and its attempt is fenced off. In the caller's transaction.
    Whoever has something of an item done again calls this.
    """
    asked = {"item_ids": json.dumps(list(item_ids))}
    stopping = [
        Ended(item_id, stage, attempt, Ending.skipped(f"cancelled by {cancelled_by}"))
        for item_id, stage, attempt, cancelled_by in conn.execute(LIST_STOPPING, asked).fetchall()
    ]
    settle_together(conn, stopping, by=by)
    conn.execute(LIFT_CANCELS, asked)
