"""Progress: how far the attempts are that run now, for whoever watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.clock import now_ms
from tracker.connection import write

if TYPE_CHECKING:
    from tracker.connection import Connection

MAX_NOTE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Told:
    """How far a running attempt said that it is; `total` is None when it does not know."""

    key: str
    stage: str
    attempt: int
    done: float
    total: float | None
    note: str
    told_at: int


TELL_PROGRESS = """
INSERT INTO progress (item_id, stage, job_id, done, total, note, told_at)
SELECT item_id, stage, job_id, :done, :total, :note, :now
  FROM item_stages
 WHERE item_id = :item_id AND stage = :stage AND status = 'in_progress' AND attempt = :attempt
    ON CONFLICT DO UPDATE
   SET done = excluded.done, total = excluded.total, note = excluded.note, told_at = excluded.told_at
"""


def tell_progress(
    conn: Connection, item_id: int, stage: str, attempt: int, *, done: float, total: float | None, note: str
) -> None:
    """Note how far an attempt is, until it ends; one that owns its stage no longer tells nothing. Commits."""
    asked = {
        "item_id": item_id,
        "stage": stage,
        "attempt": attempt,
        "done": done,
        "total": total,
        "note": note if len(note) <= MAX_NOTE_CHARS else f"{note[: MAX_NOTE_CHARS - 1]}…",
        "now": now_ms(),
    }
    with write(conn):
        conn.execute(TELL_PROGRESS, asked)


LIST_PROGRESS_OF_ITEM = """
SELECT i.key, p.stage, s.attempt, p.done, p.total, p.note, p.told_at
  FROM progress p
  JOIN item_stages s ON s.item_id = p.item_id AND s.stage = p.stage
  JOIN work_items i ON i.item_id = p.item_id
 WHERE p.item_id = :item_id
 ORDER BY p.told_at DESC
"""


def list_progress_of_item(conn: Connection, item_id: int) -> list[Told]:
    """List the running attempts of an item that said how far they are."""
    return [Told(*row) for row in conn.execute(LIST_PROGRESS_OF_ITEM, {"item_id": item_id})]


LIST_PROGRESS = """
SELECT i.key, p.stage, s.attempt, p.done, p.total, p.note, p.told_at
  FROM progress p
  JOIN item_stages s ON s.item_id = p.item_id AND s.stage = p.stage
  JOIN work_items i ON i.item_id = p.item_id
 WHERE p.job_id = :job_id
 ORDER BY p.told_at DESC
 LIMIT :limit
"""


def list_progress(conn: Connection, job_id: str, limit: int = 10) -> list[Told]:
    """List at most `limit` running attempts of a job that said how far they are; the last who did so first."""
    return [Told(*row) for row in conn.execute(LIST_PROGRESS, {"job_id": job_id, "limit": limit})]
