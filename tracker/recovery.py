"""Bring stages back: after a crash, after a wait, after jobs.yaml changed, or because somebody asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipeline.errors import NotFoundError
from pipeline.lifecycle import REOPEN, RESET, SKIP, Move
from tracker.applying import move_all
from tracker.claims import LEASE_SECONDS
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.endings import Ending
from tracker.events import append_moves
from tracker.followers import recount_needs
from tracker.moves import Settled, settle

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker.plan import StagePlan, Stages

LONGEST_LEASE_MS = 601_000
"""A claim by hand holds for ten minutes, a worker's for less."""

# -- after a crash ----------------------------------------------------------------------------------------

LIST_IN_PROGRESS = """
SELECT item_id, stage, attempt
  FROM item_stages
 WHERE status = 'in_progress' AND (job_id = :job_id OR :job_id IS NULL)
"""


def reset_in_progress_stages(conn: Connection, job_id: str | None = None) -> int:
    """
    Give back every claim at a cold start, when no worker can be running; how many.

    Not for use while workers run: their attempts would be fenced off and done again. Commits.
    """
    with write(conn):
        claimed = conn.execute(LIST_IN_PROGRESS, {"job_id": job_id}).fetchall()
        for item_id, stage, attempt in claimed:
            settle(conn, item_id, stage, attempt, Ending.released("cold start: no worker was running"))
    return len(claimed)


LIST_EXPIRED = """
SELECT item_id, stage, attempt, crashes
  FROM item_stages INDEXED BY idx_item_stages_leased
 WHERE status = 'in_progress' AND leased_until < :now
 LIMIT :limit
"""


def reclaim_stuck_stages(conn: Connection, limit: int = 1000) -> int:
    """Take back at most `limit` stages whose lease ran out, or fail them as poison; how many. Commits."""
    return len(_expire(conn, limit))


def reclaim_stuck_items(conn: Connection, limit: int = 1000) -> int:
    """Take back stages like `reclaim_stuck_stages`, and tell how many items that concerned. Commits."""
    return len({item_id for item_id, _ in _expire(conn, limit)})


def _expire(conn: Connection, limit: int) -> list[tuple[int, str]]:
    asked = {"now": now_ms(), "limit": limit}
    if not conn.execute(LIST_EXPIRED, asked).fetchall():
        return []  # an idle sweep writes nothing
    with write(conn):  # read again under the lock: a lease that was renewed meanwhile is left alone
        expired = conn.execute(LIST_EXPIRED, asked).fetchall()
        for item_id, stage, attempt, crashes in expired:
            settle(conn, item_id, stage, attempt, Ending.expired(crashes))
    return [(row[0], row[1]) for row in expired]


HAS_AHEAD = """
SELECT EXISTS (SELECT 1 FROM item_stages INDEXED BY idx_item_stages_leased
                WHERE status = 'in_progress' AND leased_until > :longest)
"""

SHORTEN_AHEAD = """
UPDATE item_stages INDEXED BY idx_item_stages_leased
   SET leased_until = :until
 WHERE status = 'in_progress' AND leased_until > :longest
"""


def shorten_leases_ahead(conn: Connection) -> int:
    """
    Shorten the leases that are longer than any is: they were taken before the clock was set back. How many. Commits.

    Whoever lives renews them; the others run out as if nothing had been.
    """
    now = now_ms()
    asked = {"longest": now + LONGEST_LEASE_MS, "until": now + int(LEASE_SECONDS * 1000)}
    if not conn.execute(HAS_AHEAD, asked).fetchone()[0]:
        return 0
    with write(conn):
        conn.execute(SHORTEN_AHEAD, asked)
        return conn.changes()


READ_ATTEMPT = "SELECT job_id, retries, crashes FROM item_stages WHERE item_id = :item_id AND stage = :stage"


def read_attempt(conn: Connection, item_id: int, stage: str) -> tuple[str, int]:
    """Read the job of a stage, and the retries that it has used. Raises `NotFoundError`."""
    row = conn.execute(READ_ATTEMPT, {"item_id": item_id, "stage": stage}).fetchone()
    if row is None:
        raise NotFoundError(f"stage of item {item_id} named", stage)
    return row[0], row[1]


FIND_HOLDER = """
SELECT worker FROM item_stages WHERE item_id = :item_id AND stage = :stage AND attempt = :attempt
"""


def find_holder(conn: Connection, item_id: int, stage: str, attempt: int) -> str | None:
    """Find the worker that claimed an attempt, or None when it is not the stage's last."""
    row = conn.execute(FIND_HOLDER, {"item_id": item_id, "stage": stage, "attempt": attempt}).fetchone()
    return row[0] if row else None


LIST_HELD = """
SELECT item_id, stage, attempt
  FROM item_stages INDEXED BY idx_item_stages_leased
 WHERE status = 'in_progress' AND leased_until IS NOT NULL AND worker = :worker
"""


def list_held(conn: Connection, worker: str) -> list[tuple[int, str, int]]:
    """List the (item, stage, attempt) that a worker process has claimed; looks at what runs alone."""
    return [tuple(row) for row in conn.execute(LIST_HELD, {"worker": worker})]


def release_lost_worker(
    conn: Connection, item_id: int, stage: str, attempt: int, reason: str
) -> tuple[Settled, Ending]:
    """
    Give back the claim of a worker process that died, at once, without waiting for its lease; what that came to.

    Raises `StaleLeaseError` when the attempt owns the stage no longer. Commits.
    """
    with write(conn):
        row = conn.execute(READ_ATTEMPT, {"item_id": item_id, "stage": stage}).fetchone()
        ending = Ending.worker_lost(reason, row[2] if row else 0)
        return settle(conn, item_id, stage, attempt, ending), ending


# -- after jobs.yaml changed ------------------------------------------------------------------------------


def reopen_items_for_new_stages(conn: Connection, job_id: str, stages: Stages | StagePlan) -> int:
    """
    Give the opened items of a job the stages that jobs.yaml gained or switched on again; how many items.

    A finished item is pending again until they are done. One transaction: for many items, see `applying`. Commits.
    """
    return move_all(conn, job_id, stages, REOPEN)


def skip_disabled_stages(conn: Connection, job_id: str, stages: Stages | StagePlan) -> int:
    """Skip the pending stages that jobs.yaml has disabled or no longer has; how many items. Commits."""
    return move_all(conn, job_id, stages, SKIP)


# -- because somebody asks --------------------------------------------------------------------------------

RESET_STAGES = """
WITH RECURSIVE rest (stage) AS (
    VALUES (:stage)
    UNION
    SELECT n.stage FROM rest JOIN stage_needs n ON n.job_id = :job_id AND n.need = rest.stage
)
UPDATE item_stages
   SET status = 'pending', ended_at = NULL, leased_until = NULL, reason = NULL, retries = 0, crashes = 0,
       backfill = 1
 WHERE item_id IN (SELECT item_id FROM work_items WHERE job_id = :job_id)
   AND stage IN (SELECT p.stage FROM rest JOIN job_stages p ON p.job_id = :job_id AND p.stage = rest.stage
                  WHERE p.switched_on)
   AND status IN (SELECT value FROM json_each(:sources))
RETURNING item_id, stage, attempt
"""

RESET_STAGES_OF_KEYS = """
WITH RECURSIVE rest (stage) AS (
    VALUES (:stage)
    UNION
    SELECT n.stage FROM rest JOIN stage_needs n ON n.job_id = :job_id AND n.need = rest.stage
)
UPDATE item_stages
   SET status = 'pending', ended_at = NULL, leased_until = NULL, reason = NULL, retries = 0, crashes = 0,
       backfill = 1
 WHERE item_id IN (SELECT i.item_id
                     FROM json_each(:keys) asked
                    CROSS JOIN work_items i ON i.job_id = :job_id AND i.key = asked.value)
   AND stage IN (SELECT p.stage FROM rest JOIN job_stages p ON p.job_id = :job_id AND p.stage = rest.stage
                  WHERE p.switched_on)
   AND status IN (SELECT value FROM json_each(:sources))
RETURNING item_id, stage, attempt
"""


def reset_stage(conn: Connection, job_id: str, stage: str, keys: Sequence[str] | None = None) -> int:
    """
    Reset a stage and all that needs it, at any distance, for the keys given or for every item; how many items.

    Attempt numbers go on counting, so that a worker still busy with an old attempt can settle nothing. The
    last result stays readable until a new one replaces it. A stage that jobs.yaml has switched off is left
    as it is. Commits.
    """
    asked = {
        "job_id": job_id,
        "stage": stage,
        "sources": json.dumps(sorted(RESET.sources)),
        "keys": json.dumps(list(keys or ())),
    }
    with write(conn):
        _require_stage(conn, job_id, stage)
        touched = conn.execute(RESET_STAGES if keys is None else RESET_STAGES_OF_KEYS, asked).fetchall()
        return _finish_bulk(conn, job_id, touched, RESET, f"reset from {stage}")


def reprocess_fast(conn: Connection, job_id: str, stage: str, keys: Iterable[str]) -> int:
    """Reset a stage, and all that needs it, at once for the items named; how many items. Commits."""
    return reset_stage(conn, job_id, stage, list(keys))


RESET_ITEMS = """
UPDATE item_stages
   SET status = 'pending', ended_at = NULL, leased_until = NULL, reason = NULL, retries = 0, crashes = 0
 WHERE item_id IN (SELECT value FROM json_each(:item_ids))
   AND stage IN (SELECT stage FROM job_stages WHERE job_id = :job_id AND switched_on)
   AND status IN (SELECT value FROM json_each(:sources))
RETURNING item_id, stage, attempt
"""


def reset_items(conn: Connection, job_id: str, item_ids: Sequence[int], reason: str) -> int:
    """
    Reset every stage of these items that is switched on; how many items had any. Joins the caller's transaction.

    Attempt numbers go on counting, as with `reset_stage`.
    """
    sources, ids = json.dumps(sorted(RESET.sources)), json.dumps(list(item_ids))
    with write(conn):
        asked = {"job_id": job_id, "item_ids": ids, "sources": sources}
        return _finish_bulk(conn, job_id, conn.execute(RESET_ITEMS, asked).fetchall(), RESET, reason)


KNOWS_STAGE = "SELECT 1 FROM job_stages WHERE job_id = :job_id AND stage = :stage"


def _require_stage(conn: Connection, job_id: str, stage: str) -> None:
    if conn.execute(KNOWS_STAGE, {"job_id": job_id, "stage": stage}).fetchone() is None:
        raise NotFoundError(f"stage of job {job_id!r} that an item has been through, named", stage)


def _finish_bulk(conn: Connection, job_id: str, touched: list[Any], move: Move, reason: str) -> int:
    """Record one event for each (item, stage, attempt) that moved, and recount; how many items."""
    append_moves(conn, job_id, move.name, touched, None, {"reason": reason})
    item_ids = {row[0] for row in touched}
    recount_needs(conn, item_ids)
    return len(item_ids)
