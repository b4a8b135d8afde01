"""The items of a job page by page: all of them once, and from then on those that are new or have changed."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.connection import Connection
    from tracker.rows import Row


@dataclass(frozen=True, slots=True)
class Position:
    """How far a job was read: the last item that was new, and the last event that was taken into account."""

    item: int
    event: int

    @classmethod
    def from_json(cls, given: object) -> Position | None:
        """Read it from what `as_json` gave; None when it is something else."""
        if not isinstance(given, dict) or given.keys() != {"item", "event"}:
            return None
        known = all(type(value) is int for value in given.values())
        return cls(given["item"], given["event"]) if known else None

    def as_json(self) -> dict[str, int]:
        """Give it as JSON, to be kept."""
        return {"item": self.item, "event": self.event}


@dataclass(frozen=True, slots=True)
class Page:
    """Some items with their results; where the next page begins, and whether there is nothing after it now."""

    items: list[dict[str, Any]]
    position: dict[str, int]
    is_last: bool


LAST_EVENT = "SELECT event_id FROM events WHERE job_id = :job_id ORDER BY event_id DESC LIMIT 1"

LAST_ITEM = "SELECT item_id FROM work_items WHERE job_id = :job_id ORDER BY item_id DESC LIMIT 1"

LIST_ITEMS_AFTER = """
SELECT i.item_id, i.key, i.data, i.status,
       (SELECT json_group_object(r.stage, json(r.result))
          FROM results r
         WHERE r.item_id = i.item_id AND (r.stage = :stage OR :stage IS NULL)) AS results,
       (SELECT coalesce(sum(s.attempt), 0)
          FROM item_stages s
         WHERE s.item_id = i.item_id AND (s.stage = :stage OR :stage IS NULL)) AS attempts,
       (SELECT coalesce(max(r.stored_at), 0)
          FROM results r
         WHERE r.item_id = i.item_id AND (r.stage = :stage OR :stage IS NULL)) AS stored_at
  FROM work_items i
 WHERE i.job_id = :job_id AND i.item_id > :after
   AND iif(:stage IS NULL,
           i.status = :status OR :status IS NULL,
           EXISTS (SELECT 1 FROM item_stages s
                    WHERE s.item_id = i.item_id AND s.stage = :stage
                      AND (s.status = :status OR :status IS NULL)))
 ORDER BY i.item_id
 LIMIT :limit
"""

LOOK_AT_EVENTS = """
SELECT coalesce(max(event_id), :after), count(*), coalesce(sum(kind = 'apply_plan'), 0)
  FROM (SELECT event_id, kind
          FROM events
         WHERE job_id = :job_id AND event_id > :after
         ORDER BY event_id
         LIMIT :limit)
"""

LIST_TOUCHED_ITEMS = """
SELECT i.item_id, i.key, i.data, i.status,
       (SELECT json_group_object(r.stage, json(r.result))
          FROM results r
         WHERE r.item_id = i.item_id AND (r.stage = :stage OR :stage IS NULL)) AS results,
       (SELECT coalesce(sum(s.attempt), 0)
          FROM item_stages s
         WHERE s.item_id = i.item_id AND (s.stage = :stage OR :stage IS NULL)) AS attempts,
       (SELECT coalesce(max(r.stored_at), 0)
          FROM results r
         WHERE r.item_id = i.item_id AND (r.stage = :stage OR :stage IS NULL)) AS stored_at
  FROM (SELECT DISTINCT item_id
          FROM events
         WHERE job_id = :job_id AND event_id > :after AND event_id <= :until
           AND item_id IS NOT NULL) touched
 CROSS JOIN work_items i ON i.item_id = touched.item_id
 WHERE i.item_id <= :last_item
   AND iif(:stage IS NULL,
           i.status = :status OR :status IS NULL,
           EXISTS (SELECT 1 FROM item_stages s
                    WHERE s.item_id = i.item_id AND s.stage = :stage
                      AND (s.status = :status OR :status IS NULL)))
 ORDER BY i.item_id
"""


def read_item_page(
    conn: Connection, job_id: str, *, stage: str | None, status: str | None, after: Any, limit: int
) -> Page:
    """
    Read a page of a job's items, each with its results, for other jobs to build on.

    From `after` None on all of them, oldest first; from the position of a page on, those that are new or that
    something happened to since. Of one status if given: the item's, or that of its `stage` when one is named,
    whose result is then the only one given. Each is `{"key", "data", "status", "results": {stage: result},
    "version"}`, the version another when a stage was done again. Costs what is new, not what there is.
    """
    asked = {"job_id": job_id, "stage": stage, "status": status, "limit": limit}
    with _one_state(conn):
        return _read(conn, asked, after)


@contextmanager
def _one_state(conn: Connection) -> Iterator[None]:
    # What is written meanwhile is not seen, by none of the statements.
    conn.execute("BEGIN")
    try:
        yield
    finally:
        conn.execute("ROLLBACK")


def _read(conn: Connection, asked: dict[str, Any], after: Any) -> Page:
    job_id, limit = asked["job_id"], asked["limit"]
    at = Position.from_json(after) or Position(0, _find_last(conn, LAST_EVENT, job_id))
    rows = conn.execute(LIST_ITEMS_AFTER, asked | {"after": at.item}).fetchall()
    if len(rows) == limit:
        return _make_page(rows, Position(rows[-1]["item_id"], at.event), is_last=False)
    looked_at = asked | {"after": at.event}
    until, events, new_plans = conn.execute(LOOK_AT_EVENTS, looked_at).fetchone()
    if new_plans:  # it changed any number of items in one event: look at all of them again
        return _make_page(rows, Position(0, until), is_last=False)
    touched = looked_at | {"until": until, "last_item": at.item}
    rows += conn.execute(LIST_TOUCHED_ITEMS, touched).fetchall()
    return _make_page(rows, Position(_find_last(conn, LAST_ITEM, job_id), until), is_last=events < limit)


def _find_last(conn: Connection, statement: str, job_id: str) -> int:
    row = conn.execute(statement, {"job_id": job_id}).fetchone()
    return row[0] if row else 0


def _make_page(rows: list[Row], position: Position, *, is_last: bool) -> Page:
    return Page([_make_item(row) for row in rows], position.as_json(), is_last)


def _make_item(row: Row) -> dict[str, Any]:
    return {
        "key": row["key"],
        "data": json.loads(row["data"]),
        "status": row["status"],
        "results": json.loads(row["results"]),
        "version": f"{row['attempts']}.{row['stored_at']}",
    }
