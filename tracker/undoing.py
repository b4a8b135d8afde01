"""
Put back what an action changed, in the items in which nothing has run since.

An undo is an action itself: on record, in batches, with one event. Where a stage was claimed since, or was moved by
somebody else, the whole item is left as it is now.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipeline.errors import NotUndoableError
from pipeline.lifecycle import MARK_DONE, MARK_FAILED, RESET, SKIP, Status
from tracker.action_memory import is_forgotten
from tracker.actions import UNDO, Action, add_done, begin, find_newest, finish, get_action, take_turn
from tracker.acts import ACTS
from tracker.bulk import log_moves
from tracker.connection import Connection, write
from tracker.cutoff import release_waiting
from tracker.followers import recount_needs
from tracker.injecting import take_back_injected
from tracker.priorities import restore_priorities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.lifecycle import Move
    from tracker.acts import Act


def find_undoable(conn: Connection, action_id: int | None = None) -> Action:
    """
    Find the action that an undo would put back: the one named, or the last of all.

    Raises `NotUndoableError`, which says why not: none, undone already, an undo itself, or too long ago.
    """
    action = find_newest(conn) if action_id is None else get_action(conn, action_id)
    if action is None:
        raise NotUndoableError("nothing was done yet that could be undone")
    if action.act == UNDO:
        raise NotUndoableError(
            f"action {action.action_id} is itself an undo, by {action.by}; "
            "name an earlier one to put that back: celeriac undo ACTION"
        )
    if action.undone_by is not None:
        by = get_action(conn, action.undone_by).by
        raise NotUndoableError(f"action {action.action_id} ({action.act}) was undone already, by {by}")
    if is_forgotten(conn, action):
        raise NotUndoableError(
            f"action {action.action_id} ({action.act}) is too long ago: what it changed is forgotten"
        )
    return action


def find_unfinished_undo(conn: Connection, action: Action) -> Action | None:
    """Find the undo of an action that was begun and cut off, or None."""
    if action.undone_by is None:
        return None
    undo = get_action(conn, action.undone_by)
    return undo if undo.finished_at is None else None


SET_UNDONE = "UPDATE actions SET undone_by = :undone_by WHERE action_id = :action_id"


def begin_undo(conn: Connection, action: Action, by: str) -> Action:
    """
    Put the undoing of an action on record; an action that is not finished ends with that. Commits.

    Raises `NotUndoableError` when somebody else was quicker.
    """
    how = {"by": UNDO, "action": action.action_id}
    with write(conn):
        action = find_undoable(conn, action.action_id)
        finish(conn, action)
        detail = {"undone": action.action_id, "act": action.act}
        if action.act == "priority":
            detail["priority"] = action.detail["priority"]
        undo = begin(conn, UNDO, action.job_id, action.stage, how, by=by, total=action.done, detail=detail)
        conn.execute(SET_UNDONE, {"undone_by": undo.action_id, "action_id": action.action_id})
    return undo


# -- batch by batch ---------------------------------------------------------------------------------------

NEXT_CHANGED = """
SELECT DISTINCT item_id
  FROM action_stages
 WHERE action_id = :action_id AND item_id > :after
 ORDER BY item_id
 LIMIT :limit
"""

# Of what ran when a reset took it back, the attempt is fenced off: that cannot be put back.
LIST_UNTOUCHED = """
SELECT a.item_id
  FROM json_each(:item_ids) chosen
 CROSS JOIN action_stages a ON a.action_id = :action_id AND a.item_id = chosen.value AND a.stage <> ''
  LEFT JOIN item_stages s ON s.item_id = a.item_id AND s.stage = a.stage
  LEFT JOIN job_stages p ON p.job_id = s.job_id AND p.stage = s.stage
 GROUP BY a.item_id
HAVING min(s.status IS a.made OR a.made = 'lifted')
   AND min(a.status <> 'in_progress' OR a.made = 'in_progress')
   AND min(a.status <> 'pending' OR a.made = 'pending' OR coalesce(p.switched_on, 0))
   AND max(a.attempts) = (SELECT sum(every.attempt) FROM item_stages every WHERE every.item_id = a.item_id)
"""

LIST_CHANGES = """
SELECT json_array(a.item_id, a.stage)
  FROM json_each(:item_ids) chosen
 CROSS JOIN action_stages a ON a.action_id = :action_id AND a.item_id = chosen.value AND a.stage <> ''
 WHERE (a.made = :made OR :made IS NULL) AND (a.status = :status OR :status IS NULL)
   AND (a.made <> a.status) = :has_moved AND a.made <> 'lifted'
"""

COUNT_CHANGES = """
SELECT count(*)
  FROM json_each(:item_ids) chosen
 CROSS JOIN action_stages a ON a.action_id = :action_id AND a.item_id = chosen.value
 WHERE a.made <> 'lifted' AND (a.made <> 'pending' OR :makes_pending)
"""

TO_PENDING_AGAIN = """
UPDATE item_stages
   SET status = 'pending', ended_at = NULL, reason = a.reason, retries = a.retries, crashes = a.crashes,
       retry_at = iif(a.status = 'pending', a.retry_at, NULL)
  FROM json_each(:places) place
 CROSS JOIN action_stages a
         ON a.action_id = :action_id AND a.item_id = place.value ->> 0 AND a.stage = place.value ->> 1
 WHERE item_stages.item_id = a.item_id AND item_stages.stage = a.stage
"""

TO_ENDED_AGAIN = """
UPDATE item_stages
   SET status = a.status, ended_at = a.ended_at, reason = a.reason, retries = a.retries, crashes = a.crashes,
       queued_at = NULL, resend_at = NULL, retry_at = NULL, over_budget = 0
  FROM json_each(:places) place
 CROSS JOIN action_stages a
         ON a.action_id = :action_id AND a.item_id = place.value ->> 0 AND a.stage = place.value ->> 1
 WHERE item_stages.item_id = a.item_id AND item_stages.stage = a.stage
"""

PARK_AGAIN = """
UPDATE item_stages
   SET retry_at = a.retry_at, queued_at = NULL, resend_at = NULL
  FROM json_each(:places) place
 CROSS JOIN action_stages a
         ON a.action_id = :action_id AND a.item_id = place.value ->> 0 AND a.stage = place.value ->> 1
 WHERE item_stages.item_id = a.item_id AND item_stages.stage = a.stage
"""

STEPS = (
    (Status.SKIPPED, None, RESET, TO_PENDING_AGAIN),
    (None, Status.DONE, MARK_DONE, TO_ENDED_AGAIN),
    (None, Status.FAILED, MARK_FAILED, TO_ENDED_AGAIN),
    (None, Status.SKIPPED, SKIP, TO_ENDED_AGAIN),
    (Status.PENDING, Status.PENDING, None, PARK_AGAIN),
)
"""What the action made of a stage, what it was before, the move back, and how: in this order, by legal moves only."""

# When a stage of an item began afresh, all of it that was pending went to backfill along with it.
RESTORE_FRESH_LANES = """
UPDATE item_stages
   SET backfill = 0
 WHERE backfill = 1 AND status = 'pending'
   AND item_id IN (SELECT a.item_id
                     FROM json_each(:item_ids) chosen
                    CROSS JOIN action_stages a
                       ON a.action_id = :action_id AND a.item_id = chosen.value AND a.fresh >= 2)
"""

RESTORE_MARKS = """
UPDATE item_stages
   SET backfill = a.backfill, again = a.again, cancelled_by = a.cancelled_by
  FROM json_each(:item_ids) chosen
 CROSS JOIN action_stages a ON a.action_id = :action_id AND a.item_id = chosen.value
 WHERE item_stages.item_id = a.item_id AND item_stages.stage = a.stage
   AND (a.made <> 'lifted' OR item_stages.status = a.status)
   AND (item_stages.backfill <> a.backfill OR item_stages.again IS NOT a.again
        OR item_stages.cancelled_by IS NOT a.cancelled_by)
"""

RESTORE_FRESH = """
UPDATE work_items
   SET fresh = 1
 WHERE fresh = 0 AND status IN ('pending', 'in_progress')
   AND item_id IN (SELECT a.item_id
                     FROM json_each(:item_ids) chosen
                    CROSS JOIN action_stages a
                       ON a.action_id = :action_id AND a.item_id = chosen.value AND a.fresh & 1)
"""


def undo_batch(conn: Connection, undo: Action, limit: int) -> Action:
    """
    Put back the next items of the action that an undo is for, or finish; how it stands then.

    In the caller's transaction, which does nothing else.
    """
    target = int(undo.how["action"])
    asked = {"action_id": target, "after": undo.cursor or 0, "limit": limit}
    item_ids = [row[0] for row in conn.execute(NEXT_CHANGED, asked)]
    if not item_ids:
        finish(conn, undo)
    elif take_turn(conn, undo, item_ids[-1]):
        _put_back(conn, undo, target, item_ids)
    return get_action(conn, undo.action_id)


def _put_back(conn: Connection, undo: Action, target: int, item_ids: Sequence[int]) -> None:
    asked = {"action_id": target, "item_ids": json.dumps(item_ids)}
    if undo.detail["act"] == "inject":
        back = take_back_injected(conn, target, item_ids)
        add_done(conn, undo, back, len(item_ids) - back)
        return
    if undo.detail["act"] == "priority":
        back = restore_priorities(conn, target, item_ids, undo.detail["priority"])
        add_done(conn, undo, back, len(item_ids) - back)
        return
    act = ACTS[undo.detail["act"]]
    untouched = [row[0] for row in conn.execute(LIST_UNTOUCHED, asked).fetchall()]
    changed = _count_changes(conn, act, asked)
    asked["item_ids"] = json.dumps(untouched)
    for made, status, move, statement in STEPS:
        wanted = {"made": made, "status": status, "has_moved": move is not None}
        rows = conn.execute(LIST_CHANGES, asked | wanted).fetchall()
        if rows:
            _step_back(conn, undo, target, f"[{','.join(row[0] for row in rows)}]", move, statement)
    conn.execute(RESTORE_FRESH_LANES, asked)
    conn.execute(RESTORE_MARKS, asked)
    conn.execute(RESTORE_FRESH, asked)
    release_waiting(conn, untouched, undo.by)
    recount_needs(conn, untouched)
    if act.counts == "items":
        add_done(conn, undo, len(untouched), len(item_ids) - len(untouched))
    else:
        back = _count_changes(conn, act, asked)
        add_done(conn, undo, back, changed - back)


def _count_changes(conn: Connection, act: Act, asked: Mapping[str, Any]) -> int:
    """Count the stages that an act changed, without those that it only let go on."""
    # what is to be done again stays done, or is released at once
    makes_pending = any(change.made in {Status.PENDING, Status.DONE} for change in act.changes)
    row = conn.execute(COUNT_CHANGES, {**asked, "makes_pending": makes_pending}).fetchone()
    return int(row[0])


def _step_back(
    conn: Connection, undo: Action, target: int, places: str, move: Move | None, statement: str
) -> None:
    if move is not None:
        log_moves(conn, places, move, undo.by, {"action": undo.action_id, "undone": target})
    conn.execute(statement, {"places": places, "action_id": target})
