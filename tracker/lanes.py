"""
The two lanes: what is fresh, and backfill, which is what somebody asks for again.

`item_stages.backfill` and `work_items.fresh` are kept by triggers. An automatic retry keeps its lane.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.connection import Connection

READ_OWED = "SELECT owed FROM lanes WHERE job_id = :job_id AND queue = :queue"


def read_owed(conn: Connection, job_id: str, queue: str) -> float:
    """Read what backfill is owed of what was sent on a job's runway while both lanes waited, in loads; below 1."""
    row = conn.execute(READ_OWED, {"job_id": job_id, "queue": queue}).fetchone()
    return float(row[0]) if row else 0.0


KEEP_OWED = """
INSERT INTO lanes (job_id, queue, owed)
VALUES (:job_id, :queue, :owed)
    ON CONFLICT DO UPDATE SET owed = excluded.owed
"""


def keep_owed(conn: Connection, job_id: str, queue: str, owed: float) -> None:
    """Keep what backfill is owed, in the caller's transaction."""
    conn.execute(KEEP_OWED, {"job_id": job_id, "queue": queue, "owed": owed})


OLDEST_FRESH = """
SELECT min(discovered_at)
  FROM work_items INDEXED BY idx_work_items_fresh
 WHERE job_id = :job_id AND fresh = 1
"""


def find_oldest_fresh(conn: Connection, job_id: str) -> int | None:
    """Find when (Unix ms) the oldest fresh item of a job was found: one not through yet, nor asked for again."""
    return conn.execute(OLDEST_FRESH, {"job_id": job_id}).fetchone()[0]  # type: ignore[no-any-return]


TAKE_AS_FRESH = """
UPDATE item_stages
   SET backfill = 0
 WHERE item_id IN (SELECT value FROM json_each(:item_ids)) AND status = 'pending' AND backfill = 1
"""


def take_as_fresh(conn: Connection, item_ids: Sequence[int]) -> None:
    """Let items go in the fresh lane, in the caller's transaction: nobody asked for them, their source changed."""
    conn.execute(TAKE_AS_FRESH, {"item_ids": json.dumps(list(item_ids))})
