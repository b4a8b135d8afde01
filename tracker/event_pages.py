"""
Events page by page: newest first for people, from a place on for programs; of a job, a kind, somebody, or acts alone.

A page looks at a bounded number of events, however rare those are that are asked for; then it says how far it looked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tracker.reports import EventReport
from tracker.retention import LAST_EVENT

if TYPE_CHECKING:
    from tracker.connection import Connection
    from tracker.rows import Row

LOOK_AT = 20_000
"""How many events one page looks at."""

LAST = 2**62


@dataclass(frozen=True, slots=True)
class WantedEvents:
    """Which events are meant; with `acts` only what people and the house did, not what happened to single items."""

    job: str | None = None
    kind: str | None = None
    by: str | None = None
    acts: bool = False


@dataclass(frozen=True, slots=True)
class EventPage:
    """
    Some events; `next_id` is the place from which to go on, None where there is nothing beyond.

    Not `is_full` when as many were looked at as a page looks at, and fewer than wanted were found.
    """

    events: list[EventReport]
    next_id: int | None
    is_full: bool


LIST_BEFORE = """
SELECT e.event_id, e.at, e.job_id, i.key, e.stage, e.attempt, e.kind, e.by, e.detail
  FROM (SELECT * FROM events WHERE event_id < :before AND event_id > :after ORDER BY event_id DESC LIMIT :walk) e
  LEFT JOIN work_items i ON i.item_id = e.item_id
 WHERE (e.kind = :kind OR :kind IS NULL) AND (e.by = :by OR :by IS NULL)
 ORDER BY e.event_id DESC
 LIMIT :limit
"""

LIST_BEFORE_OF_JOB = """
SELECT e.event_id, e.at, e.job_id, i.key, e.stage, e.attempt, e.kind, e.by, e.detail
  FROM (SELECT *
          FROM events
         WHERE job_id = :job AND event_id < :before AND event_id > :after
         ORDER BY event_id DESC
         LIMIT :walk) e
  LEFT JOIN work_items i ON i.item_id = e.item_id
 WHERE (e.kind = :kind OR :kind IS NULL) AND (e.by = :by OR :by IS NULL)
 ORDER BY e.event_id DESC
 LIMIT :limit
"""

LIST_ACTS_BEFORE = """
SELECT e.event_id, e.at, e.job_id, NULL AS key, e.stage, e.attempt, e.kind, e.by, e.detail
  FROM (SELECT *
          FROM events INDEXED BY idx_events_acts
         WHERE item_id IS NULL AND event_id < :before AND event_id > :after
         ORDER BY event_id DESC
         LIMIT :walk) e
 WHERE (e.job_id = :job OR :job IS NULL) AND (e.kind = :kind OR :kind IS NULL) AND (e.by = :by OR :by IS NULL)
 ORDER BY e.event_id DESC
 LIMIT :limit
"""

LOOKED_BACK = """
SELECT min(event_id), count(*)
  FROM (SELECT event_id FROM events WHERE event_id < :before AND event_id > :after ORDER BY event_id DESC LIMIT :walk)
"""

LOOKED_BACK_OF_JOB = """
SELECT min(event_id), count(*)
  FROM (SELECT event_id
          FROM events
         WHERE job_id = :job AND event_id < :before AND event_id > :after
         ORDER BY event_id DESC
         LIMIT :walk)
"""

LOOKED_BACK_ON_ACTS = """
SELECT min(event_id), count(*)
  FROM (SELECT event_id
          FROM events INDEXED BY idx_events_acts
         WHERE item_id IS NULL AND event_id < :before AND event_id > :after
         ORDER BY event_id DESC
         LIMIT :walk)
"""


def list_events_before(
    conn: Connection, wanted: WantedEvents, *, before: int | None = None, after: int = 0, limit: int = 50
) -> EventPage:
    """List at most `limit` events with ids below `before` and above `after`, the newest first."""
    asked = asdict(wanted) | {"before": before or LAST, "after": after, "limit": limit, "walk": LOOK_AT}
    if wanted.acts:
        listing, looked = LIST_ACTS_BEFORE, LOOKED_BACK_ON_ACTS
    elif wanted.job is not None:
        listing, looked = LIST_BEFORE_OF_JOB, LOOKED_BACK_OF_JOB
    else:
        listing, looked = LIST_BEFORE, LOOKED_BACK
    return _read(conn, listing, looked, asked)


LIST_AFTER = """
SELECT e.event_id, e.at, e.job_id, i.key, e.stage, e.attempt, e.kind, e.by, e.detail
  FROM (SELECT * FROM events WHERE event_id > :after ORDER BY event_id LIMIT :walk) e
  LEFT JOIN work_items i ON i.item_id = e.item_id
 WHERE (e.kind = :kind OR :kind IS NULL) AND (e.by = :by OR :by IS NULL)
 ORDER BY e.event_id
 LIMIT :limit
"""

LIST_AFTER_OF_JOB = """
SELECT e.event_id, e.at, e.job_id, i.key, e.stage, e.attempt, e.kind, e.by, e.detail
  FROM (SELECT * FROM events WHERE job_id = :job AND event_id > :after ORDER BY event_id LIMIT :walk) e
  LEFT JOIN work_items i ON i.item_id = e.item_id
 WHERE (e.kind = :kind OR :kind IS NULL) AND (e.by = :by OR :by IS NULL)
 ORDER BY e.event_id
 LIMIT :limit
"""

LIST_ACTS_AFTER = """
SELECT e.event_id, e.at, e.job_id, NULL AS key, e.stage, e.attempt, e.kind, e.by, e.detail
  FROM (SELECT *
          FROM events INDEXED BY idx_events_acts
         WHERE item_id IS NULL AND event_id > :after
         ORDER BY event_id
         LIMIT :walk) e
 WHERE (e.job_id = :job OR :job IS NULL) AND (e.kind = :kind OR :kind IS NULL) AND (e.by = :by OR :by IS NULL)
 ORDER BY e.event_id
 LIMIT :limit
"""

LOOKED_ON = """
SELECT max(event_id), count(*)
  FROM (SELECT event_id FROM events WHERE event_id > :after ORDER BY event_id LIMIT :walk)
"""

LOOKED_ON_OF_JOB = """
SELECT max(event_id), count(*)
  FROM (SELECT event_id FROM events WHERE job_id = :job AND event_id > :after ORDER BY event_id LIMIT :walk)
"""

LOOKED_ON_ACTS = """
SELECT max(event_id), count(*)
  FROM (SELECT event_id
          FROM events INDEXED BY idx_events_acts
         WHERE item_id IS NULL AND event_id > :after
         ORDER BY event_id
         LIMIT :walk)
"""


def list_events_after(conn: Connection, wanted: WantedEvents, *, after: int, limit: int = 50) -> EventPage:
    """List at most `limit` events with ids above `after`, the oldest first."""
    asked = asdict(wanted) | {"after": after, "limit": limit, "walk": LOOK_AT}
    if wanted.acts:
        return _read(conn, LIST_ACTS_AFTER, LOOKED_ON_ACTS, asked)
    if wanted.job is not None:
        return _read(conn, LIST_AFTER_OF_JOB, LOOKED_ON_OF_JOB, asked)
    return _read(conn, LIST_AFTER, LOOKED_ON, asked)


def _read(conn: Connection, listing: str, looked: str, asked: dict[str, object]) -> EventPage:
    events = [_make(row) for row in conn.execute(listing, asked)]
    if len(events) == asked["limit"]:
        return EventPage(events, events[-1].event_id, is_full=True)
    furthest, count = conn.execute(looked, asked).fetchone()
    if count == LOOK_AT:
        return EventPage(events, furthest, is_full=False)
    return EventPage(events, None, is_full=True)


def _make(row: Row) -> EventReport:
    *fields, detail = row
    return EventReport(*(*fields, json.loads(detail or "{}")))


def find_last_event(conn: Connection) -> int:
    """Find the id of the newest event; 0 when there is none."""
    return conn.execute(LAST_EVENT).fetchone()[0] or 0
