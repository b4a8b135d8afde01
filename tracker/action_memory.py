"""What is remembered of actions, so that they can be undone: not for ever, and forgotten in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.clock import DAY_MS, now_ms
from tracker.connection import Connection, write

if TYPE_CHECKING:
    from tracker.actions import Action


REMEMBERED_ACTIONS = 20
REMEMBERED_DAYS = 7
"""How many actions can be undone, the last ones, and how long after they were asked for."""

NEWEST_BUT = "SELECT action_id FROM actions ORDER BY action_id DESC LIMIT 1 OFFSET :kept"


def _find_kept(conn: Connection, kept: int, days: float) -> dict[str, int]:
    """Find which actions are remembered: those after the `last`, unless they were asked for `before` that time."""
    last = conn.execute(NEWEST_BUT, {"kept": kept}).fetchone()
    return {"before": now_ms() - int(days * DAY_MS), "last": last[0] if last else 0}


HAS_MEMORY = "SELECT 1 FROM action_stages WHERE action_id = :action_id LIMIT 1"


def is_forgotten(conn: Connection, action: Action) -> bool:
    """Tell whether what an action changed is forgotten, or may be at any time: that takes a while, batch by batch."""
    if action.finished_at is not None:
        kept = _find_kept(conn, REMEMBERED_ACTIONS, REMEMBERED_DAYS)
        if action.asked_at < kept["before"] or action.action_id <= kept["last"]:
            return True
    return bool(action.done) and conn.execute(HAS_MEMORY, {"action_id": action.action_id}).fetchone() is None


# From one remembered action to the next, past all whose stages are forgotten. An undo that is under way needs them.
FIND_FORGETTABLE = """
WITH RECURSIVE remembered (action_id) AS (
    SELECT min(action_id) FROM action_stages
    UNION ALL
    SELECT (SELECT min(s.action_id) FROM action_stages s WHERE s.action_id > remembered.action_id)
      FROM remembered
     WHERE remembered.action_id IS NOT NULL
)
SELECT a.action_id
  FROM remembered
 CROSS JOIN actions a ON a.action_id = remembered.action_id
 WHERE a.finished_at IS NOT NULL
   AND (a.asked_at < :before OR a.action_id <= :last)
   AND NOT EXISTS (SELECT 1 FROM actions u WHERE u.action_id = a.undone_by AND u.finished_at IS NULL)
 LIMIT 1
"""

FORGET_STAGES_OF = """
DELETE FROM action_stages
 WHERE action_id = :action_id
   AND item_id IN (SELECT item_id FROM action_stages WHERE action_id = :action_id ORDER BY item_id LIMIT :limit)
"""


def forget_old_actions(
    conn: Connection, kept: int = REMEMBERED_ACTIONS, days: float = REMEMBERED_DAYS, limit: int = 5000
) -> int:
    """
    Forget what the oldest action changed, if it is beyond the last `kept` or older than `days`.

    Then it cannot be undone any more; it stays on record itself. One that is not finished, or whose undo is not, is
    left alone. At most `limit` stages in one transaction; how many were forgotten: call it until that is 0. Commits.
    """
    asked = _find_kept(conn, kept, days)
    if conn.execute(FIND_FORGETTABLE, asked).fetchone() is None:
        return 0
    with write(conn):
        found = conn.execute(FIND_FORGETTABLE, asked).fetchone()  # its undo may have begun meanwhile
        if found is None:
            return 0
        conn.execute(FORGET_STAGES_OF, {"action_id": found[0], "limit": limit})
        return conn.changes()
