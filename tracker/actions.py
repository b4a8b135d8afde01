"""
Actions: what somebody asked of many stages at once, on record from the asking to its one event.

An action is done in batches. Each is one transaction that changes some stages, remembers what they were, and moves
the action's cursor; so a killed one goes on where it stopped, and two who carry out the same do nothing twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import NotFoundError
from tracker.acts import ACTS
from tracker.choosing import Choice
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.events import append_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.choosing import Cursor
    from tracker.rows import Row


UNDO = "undo"
"""The act that is in no table: it is done by `tracker.undoing`."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action, as it stands. `total` and `done` count what its act counts: stages, or items."""

    action_id: int
    act: str
    job_id: str | None
    stage: str | None
    how: Mapping[str, Any]
    by: str
    reason: str | None
    asked_at: int
    total: int
    done: int
    passed: int
    cursor: Cursor
    worked_at: int
    finished_at: int | None
    undone_by: int | None
    detail: Mapping[str, Any]

    @property
    def choice(self) -> Choice:
        """Whom it is for."""
        return Choice(self.job_id, self.stage, self.how, self.asked_at)

    @classmethod
    def from_row(cls, row: Row) -> Action:
        """Make one of its row."""
        fields = dict(row)
        how, cursor, detail = (fields.pop(name) for name in ("choice", "cursor", "detail"))
        read = None if cursor is None else json.loads(cursor)
        return cls(how=json.loads(how), cursor=read, detail=json.loads(detail), **fields)


# -- on record --------------------------------------------------------------------------------------------

BEGIN_ACTION = """
INSERT INTO actions (act, job_id, stage, choice, by, reason, asked_at, worked_at, total, detail)
VALUES (:act, :job_id, :stage, :choice, :by, :reason, :now, :now, :total, :detail)
RETURNING *
"""

FIND_UNFINISHED_SAME = """
SELECT *
  FROM actions INDEXED BY idx_actions_unfinished
 WHERE finished_at IS NULL AND act = :act AND job_id IS :job_id AND stage IS :stage AND choice = :choice
 ORDER BY action_id
 LIMIT 1
"""


def begin(
    conn: Connection,
    act: str,
    job_id: str | None,
    stage: str | None,
    how: Mapping[str, Any],
    *,
    by: str,
    total: int,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Action:
    """
    Put an action on record; the same one, if it was begun by anybody and is not finished. Commits.

    `total` is how many stages or items there are now, as its act counts.
    """
    asked = {
        "act": act,
        "job_id": job_id,
        "stage": stage,
        "choice": json.dumps(dict(how), sort_keys=True),
        "by": by,
        "reason": reason,
        "now": now_ms(),
        "total": total,
        "detail": json.dumps(dict(detail or {})),
    }
    with write(conn):
        found = conn.execute(FIND_UNFINISHED_SAME, asked).fetchone()
        return Action.from_row(found or conn.execute(BEGIN_ACTION, asked).fetchone())


READ_ACTION = "SELECT * FROM actions WHERE action_id = :action_id"


def get_action(conn: Connection, action_id: int) -> Action:
    """Get an action. Raises `NotFoundError`."""
    row = conn.execute(READ_ACTION, {"action_id": action_id}).fetchone()
    if row is None:
        raise NotFoundError("action", str(action_id))
    return Action.from_row(row)


LIST_UNFINISHED = """
SELECT *
  FROM actions INDEXED BY idx_actions_unfinished
 WHERE finished_at IS NULL AND worked_at <= :quiet_since
 ORDER BY action_id
 LIMIT 100
"""


def list_left_over(conn: Connection, quiet_ms: int) -> list[Action]:
    """List actions that are not finished and that nobody has worked on for so long, the oldest first."""
    rows = conn.execute(LIST_UNFINISHED, {"quiet_since": now_ms() - quiet_ms})
    return [Action.from_row(row) for row in rows]


def list_unfinished(conn: Connection) -> list[Action]:
    """List the actions that are not finished, at most 100, the oldest first."""
    return list_left_over(conn, 0)


LIST_ACTIONS = "SELECT * FROM actions ORDER BY action_id DESC LIMIT :limit"


def list_actions(conn: Connection, limit: int = 20) -> list[Action]:
    """List the newest actions, the newest first."""
    return [Action.from_row(row) for row in conn.execute(LIST_ACTIONS, {"limit": limit})]


def find_newest(conn: Connection) -> Action | None:
    """Find the newest action, or None."""
    return next(iter(list_actions(conn, 1)), None)


FIND_LAST_OF = """
SELECT *
  FROM (SELECT * FROM actions WHERE job_id IS :job_id AND act = :act AND done > 0 AND action_id <> :except
         ORDER BY action_id DESC LIMIT 1)
 WHERE worked_at >= :since
"""


def find_earlier(
    conn: Connection, act: str, job_id: str | None, since: int, but: int | None = None
) -> Action | None:
    """Find who did the same to a job last, of one job or of all, if that was not before `since` (Unix ms)."""
    found = []
    for name in {job_id, None}:
        asked = {"act": act, "job_id": name, "since": since, "except": but or 0}
        found += [Action.from_row(row) for row in conn.execute(FIND_LAST_OF, asked)]
    return max(found, key=lambda one: one.worked_at, default=None)


# -- batch by batch ---------------------------------------------------------------------------------------


MOVE_CURSOR = """
UPDATE actions
   SET cursor = :cursor, worked_at = :now
 WHERE action_id = :action_id AND cursor IS :before AND finished_at IS NULL
"""

ADD_DONE = """
UPDATE actions SET done = done + :done, passed = passed + :passed WHERE action_id = :action_id
"""


def take_turn(conn: Connection, action: Action, cursor: Cursor) -> bool:
    """
    Move an action's cursor on, in the caller's transaction, which then does what lies between.

    False when somebody else has done that meanwhile: then the caller does nothing.
    """
    before = None if action.cursor is None else json.dumps(action.cursor)
    asked = {"action_id": action.action_id, "cursor": json.dumps(cursor), "before": before, "now": now_ms()}
    conn.execute(MOVE_CURSOR, asked)
    return conn.changes() == 1


def add_done(conn: Connection, action: Action, done: int, passed: int = 0) -> None:
    """Count what a batch has done, in its transaction."""
    conn.execute(ADD_DONE, {"action_id": action.action_id, "done": done, "passed": passed})


FINISH_ACTION = """
UPDATE actions
   SET finished_at = :now, worked_at = :now
 WHERE action_id = :action_id AND cursor IS :before AND finished_at IS NULL
RETURNING *
"""


def finish(conn: Connection, action: Action) -> None:
    """End an action with its one event, in the caller's transaction; nothing if it has gone on or ended meanwhile."""
    before = None if action.cursor is None else json.dumps(action.cursor)
    asked = {"action_id": action.action_id, "before": before, "now": now_ms()}
    row = conn.execute(FINISH_ACTION, asked).fetchone()
    if row is None:
        return
    ended = Action.from_row(row)
    append_event(conn, ended.job_id, _event_of(ended), None, ended.stage, None, ended.by, _describe(ended))


def _event_of(action: Action) -> str:
    return UNDO if action.act == UNDO else ACTS[action.act].event


def _describe(action: Action) -> dict[str, Any]:
    """Say in an action's event what it did."""
    counts = ACTS[action.detail["act"] if action.act == UNDO else action.act].counts
    more = {
        "moved_on": action.passed if action.act == UNDO else None,
        "reason": action.reason,
        "filter": action.how.get("text"),
    }
    known = {name: value for name, value in more.items() if value is not None}
    return {"action": action.action_id, counts: action.done, **action.detail, **known}
