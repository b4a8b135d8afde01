"""The lists of items that people keep under a name: a filter and an order, for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import NotFoundError
from tracker.clock import now_ms
from tracker.connection import write
from tracker.events import append_event

if TYPE_CHECKING:
    from tracker.connection import Connection

MOST_VIEWS = 100
"""So many of one job are listed."""

NAME_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class SavedView:
    """One kept list of a job's items; `filter` is '' for all of them. `saved_at` is in Unix ms."""

    job: str
    name: str
    filter: str
    sort: str
    by: str
    saved_at: int


SAVE_VIEW = """
INSERT INTO saved_views (job_id, name, filter, sort, by, saved_at)
VALUES (:job_id, :name, :filter, :sort, :by, :now)
    ON CONFLICT DO UPDATE
   SET filter = excluded.filter, sort = excluded.sort, by = excluded.by, saved_at = excluded.saved_at
"""


def save_view(conn: Connection, job_id: str, name: str, filter_text: str, sort: str, by: str) -> None:
    """Keep a list of items under a name of 1 to 80 characters, in the place of one of that name. One event. Commits."""
    asked = {"job_id": job_id, "name": name, "filter": filter_text, "sort": sort, "by": by, "now": now_ms()}
    with write(conn):
        conn.execute(SAVE_VIEW, asked)
        detail = {"name": name, "filter": filter_text, "sort": sort}
        append_event(conn, job_id, "save_view", None, None, None, by, detail)


FORGET_VIEW = "DELETE FROM saved_views WHERE job_id = :job_id AND name = :name"


def forget_view(conn: Connection, job_id: str, name: str, by: str) -> None:
    """Forget a list of items. One event. Commits. Raises `NotFoundError`."""
    with write(conn):
        conn.execute(FORGET_VIEW, {"job_id": job_id, "name": name})
        if conn.changes() == 0:
            raise NotFoundError(f"saved view of job {job_id!r} named", name)
        append_event(conn, job_id, "forget_view", None, None, None, by, {"name": name})


LIST_VIEWS = """
SELECT job_id, name, filter, sort, by, saved_at
  FROM saved_views
 WHERE job_id = :job_id
 ORDER BY name
 LIMIT :limit
"""


def list_views(conn: Connection, job_id: str) -> list[SavedView]:
    """List the kept lists of a job's items, by name, at most 100."""
    rows = conn.execute(LIST_VIEWS, {"job_id": job_id, "limit": MOST_VIEWS})
    return [SavedView(*row) for row in rows]
