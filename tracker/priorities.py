"""The priority of items, and of their stages along with them; by an action, it can be put back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.connection import Connection

SET_ITEM_PRIORITIES = """
UPDATE work_items SET priority = :priority WHERE item_id IN (SELECT value FROM json_each(:item_ids))
"""

SET_STAGE_PRIORITIES = """
UPDATE item_stages SET priority = :priority WHERE item_id IN (SELECT value FROM json_each(:item_ids))
"""


def give_priority(conn: Connection, item_ids: Sequence[int], priority: int) -> None:
    """Give items and their stages a priority, in the caller's transaction."""
    asked = {"item_ids": json.dumps(list(item_ids)), "priority": priority}
    conn.execute(SET_ITEM_PRIORITIES, asked)
    conn.execute(SET_STAGE_PRIORITIES, asked)


COUNT_OTHERS = """
SELECT count(*)
  FROM json_each(:item_ids) chosen
 CROSS JOIN work_items i ON i.item_id = chosen.value
 WHERE i.priority <> :priority
"""


def count_others(conn: Connection, item_ids: Sequence[int], priority: int) -> int:
    """Count the items that have another priority."""
    asked = {"item_ids": json.dumps(list(item_ids)), "priority": priority}
    return int(conn.execute(COUNT_OTHERS, asked).fetchone()[0])


REMEMBER_PRIORITIES = """
INSERT INTO action_stages (action_id, item_id, stage, made, attempts, status, priority)
SELECT :action_id, i.item_id, '', i.status, 0, i.status, i.priority
  FROM json_each(:item_ids) chosen
 CROSS JOIN work_items i ON i.item_id = chosen.value
 WHERE i.priority <> :priority
    ON CONFLICT DO NOTHING
RETURNING item_id
"""


def set_priorities(conn: Connection, action_id: int, item_ids: Sequence[int], priority: int) -> int:
    """Give items a priority, and remember which they had, in the caller's transaction; how many had another."""
    asked = {"action_id": action_id, "item_ids": json.dumps(list(item_ids)), "priority": priority}
    changed = [row[0] for row in conn.execute(REMEMBER_PRIORITIES, asked).fetchall()]
    give_priority(conn, changed, priority)
    return len(changed)


RESTORE_ITEM_PRIORITIES = """
UPDATE work_items
   SET priority = a.priority
  FROM json_each(:item_ids) chosen
 CROSS JOIN action_stages a ON a.action_id = :action_id AND a.item_id = chosen.value AND a.stage = ''
 WHERE work_items.item_id = a.item_id AND work_items.priority = :made
RETURNING work_items.item_id
"""

FOLLOW_ITEM_PRIORITIES = """
UPDATE item_stages
   SET priority = (SELECT priority FROM work_items WHERE work_items.item_id = item_stages.item_id)
 WHERE item_id IN (SELECT value FROM json_each(:item_ids))
"""


def restore_priorities(conn: Connection, action_id: int, item_ids: Sequence[int], made: int) -> int:
    """Give items the priority that they had before an action made it `made`, in the caller's transaction; how many."""
    asked = {"action_id": action_id, "item_ids": json.dumps(list(item_ids)), "made": made}
    restored = [row[0] for row in conn.execute(RESTORE_ITEM_PRIORITIES, asked).fetchall()]
    conn.execute(FOLLOW_ITEM_PRIORITIES, {"item_ids": json.dumps(restored)})
    return len(restored)
