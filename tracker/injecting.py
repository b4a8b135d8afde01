"""Items that somebody let start in the middle: on record as actions, so that an undo takes them back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracker.clock import now_ms
from tracker.held import hold_again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.connection import Connection

NEW, KNOWN, HELD = "new", "known", "held"
"""What an injection began with: an item that was new, known and not yet opened, or that waited for approval."""

RECORD_INJECTION = """
INSERT INTO actions (act, job_id, stage, choice, by, asked_at, worked_at, finished_at, total, done, detail)
VALUES ('inject', :job_id, :stage, :choice, :by, :now, :now, :now, 1, 1,
        iif(:held IS NULL, json_object(), json_object('held', :held)))
RETURNING action_id
"""

REMEMBER_INJECTED = """
INSERT INTO action_stages (action_id, item_id, stage, made, attempts, status)
VALUES (:action_id, :item_id, '', :made, 0, 'pending')
"""


def record_injection(
    conn: Connection, job_id: str, item_id: int, stage: str, *, by: str, is_new: bool, held: str | None = None
) -> int:
    """
    Put on record that an item was let start at a stage, in the caller's transaction; the action's number.

    `held` is the item as it waited for approval until then, if it did; see `read_held`.
    """
    choice = json.dumps({"by": "items", "items": [item_id]})
    asked = {"job_id": job_id, "stage": stage, "choice": choice, "by": by, "now": now_ms(), "held": held}
    action_id = int(conn.execute(RECORD_INJECTION, asked).fetchone()[0])
    made = HELD if held is not None else NEW if is_new else KNOWN
    conn.execute(REMEMBER_INJECTED, {"action_id": action_id, "item_id": item_id, "made": made})
    return action_id


LIST_NOT_BEGUN = """
SELECT a.item_id, a.made
  FROM json_each(:item_ids) chosen
 CROSS JOIN action_stages a ON a.action_id = :action_id AND a.item_id = chosen.value AND a.stage = ''
 WHERE NOT EXISTS (SELECT 1 FROM item_stages s WHERE s.item_id = a.item_id AND s.attempt > 0)
   AND EXISTS (SELECT 1 FROM work_items i WHERE i.item_id = a.item_id)
"""

DROP_ITEMS = "DELETE FROM work_items WHERE item_id IN (SELECT value FROM json_each(:item_ids))"

READ_HELD_BEFORE = "SELECT job_id, detail ->> 'held' FROM actions WHERE action_id = :action_id"

DROP_STAGES = "DELETE FROM item_stages WHERE item_id IN (SELECT value FROM json_each(:item_ids))"

DROP_RESULTS = "DELETE FROM results WHERE item_id IN (SELECT value FROM json_each(:item_ids))"

CLOSE_ITEMS = (
    "UPDATE work_items SET opened_at = NULL WHERE item_id IN (SELECT value FROM json_each(:item_ids))"
)


def take_back_injected(conn: Connection, action_id: int, item_ids: Sequence[int]) -> int:
    """
    Take out the items that an injection added, and close those that it opened, if nothing was begun in them; how many.

    One that waited for approval waits again, as it was found. In the caller's transaction.
    """
    asked = {"action_id": action_id, "item_ids": json.dumps(list(item_ids))}
    found = conn.execute(LIST_NOT_BEGUN, asked).fetchall()
    added = {"item_ids": json.dumps([item_id for item_id, made in found if made != KNOWN])}
    opened = {"item_ids": json.dumps([item_id for item_id, made in found if made == KNOWN])}
    conn.execute(DROP_ITEMS, added)
    for sql in (DROP_STAGES, DROP_RESULTS, CLOSE_ITEMS):
        conn.execute(sql, opened)
    if any(made == HELD for _, made in found):
        hold_again(conn, *conn.execute(READ_HELD_BEFORE, asked).fetchone())
    return len(found)
