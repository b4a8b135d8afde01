"""Items: found things, unique by job and key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from pipeline.errors import NotFoundError
from pipeline.lifecycle import RETRY_FAILED, Status
from pipeline.url_hosts import find_host_of_data
from tracker.applying import apply_plan
from tracker.claims import claim
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.endings import Ending
from tracker.events import append_event
from tracker.followers import recount_needs
from tracker.introducing import INTRODUCE_JOB
from tracker.item_data import complete_data, set_data
from tracker.moves import settle
from tracker.near_keys import no_such_item
from tracker.plan import StagePlan, Stages, make_plan, open_items
from tracker.priorities import give_priority
from tracker.results import store_result
from tracker.stages import HAND_LEASE_SECONDS
from tracker.whole_items import end_unfinished, list_unfinished, open_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracker.rows import Row


class ItemToStore(TypedDict):
    """What `upsert_items` takes for each item."""

    key: str
    data: NotRequired[Mapping[str, Any]]
    priority: NotRequired[int | None]


INSERT_ITEM = """
INSERT INTO work_items (job_id, key, data, priority, discovered_at, version, host, source)
VALUES (:job_id, :key, :data, :priority, :now, :version, :host, nullif(:source, ''))
    ON CONFLICT (job_id, key) DO NOTHING
"""


def upsert_items(
    conn: Connection, job_id: str, items: Iterable[ItemToStore], default_priority: int = 0
) -> int:
    """
    Store the items that the job does not know yet; how many were new. A known key is left as it is.

    One transaction: all of the batch or nothing. Raises ValueError or TypeError for data that is not JSON.
    """
    now = now_ms()
    rows = [
        {
            "job_id": job_id,
            "key": item["key"],
            "data": json.dumps(dict(item.get("data") or {}), ensure_ascii=False, allow_nan=False),
            "priority": default_priority if item.get("priority") is None else item["priority"],
            "now": now,
            "version": None,
            "host": find_host_of_data(item.get("data") or {}),
            "source": None,
        }
        for item in items
    ]
    with write(conn):
        conn.execute(INTRODUCE_JOB, {"job_id": job_id, "now": now})
        before = count_items(conn, job_id)
        conn.executemany(INSERT_ITEM, rows)
        return count_items(conn, job_id) - before


COUNT_ITEMS = """
SELECT pending + in_progress + done + failed + skipped FROM item_counts WHERE job_id = :job_id
"""


def count_items(conn: Connection, job_id: str) -> int:
    """Count all items of a job, from its counter."""
    row = conn.execute(COUNT_ITEMS, {"job_id": job_id}).fetchone()
    return int(row[0]) if row else 0


def merge_discovery_data(conn: Connection, job_id: str, key: str, data: Mapping[str, Any]) -> None:
    """
    Add to an item's data what discovery learned later; what is there already stays as it is.

    Nested objects are merged in the same way. Joins the caller's transaction, else commits. Raises
    `NotFoundError` for an unknown item.
    """
    with write(conn):
        item = get_item(conn, job_id, key)
        merged = complete_data(json.loads(item["data"]), data)
        text = json.dumps(merged, ensure_ascii=False, allow_nan=False)
        set_data(conn, item["item_id"], text, find_host_of_data(merged))


FIND_ITEM = """
SELECT item_id, job_id, key, data, status, priority, discovered_at, opened_at
  FROM work_items
 WHERE job_id = :job_id AND key = :key
"""


def find_item(conn: Connection, job_id: str, key: str) -> Row | None:
    """Find an item by its key, or None."""
    row: Row | None = conn.execute(FIND_ITEM, {"job_id": job_id, "key": key}).fetchone()
    return row


def get_item(conn: Connection, job_id: str, key: str) -> Row:
    """Get an item by its key. Raises `NotFoundError`, with the nearest key."""
    row = find_item(conn, job_id, key)
    if row is None:
        raise no_such_item(conn, job_id, key)
    return row


LIST_BY_STATUS = """
SELECT item_id, job_id, key, data, status, priority, discovered_at, opened_at
  FROM work_items INDEXED BY idx_work_items_job_status
 WHERE job_id = :job_id AND status = :status
   AND status <> 'in_progress'                  -- the index's own words, or SQLite would not take it
 ORDER BY priority DESC, item_id
 LIMIT :limit
"""

LIST_IN_PROGRESS = """
SELECT item_id, job_id, key, data, status, priority, discovered_at, opened_at
  FROM work_items
 WHERE status = 'in_progress'
   AND item_id IN (SELECT s.item_id
                     FROM item_stages s INDEXED BY idx_item_stages_leased
                    WHERE s.status = 'in_progress' AND s.job_id = :job_id)
 ORDER BY priority DESC, item_id
 LIMIT :limit
"""


def get_pending(conn: Connection, job_id: str, limit: int = 100) -> list[Row]:
    """Get at most `limit` pending items, highest priority first, then oldest."""
    return list_items(conn, job_id, Status.PENDING, limit)


def get_failed(conn: Connection, job_id: str, limit: int = 100) -> list[Row]:
    """Get at most `limit` failed items, highest priority first, then oldest."""
    return list_items(conn, job_id, Status.FAILED, limit)


def list_items(conn: Connection, job_id: str, status: Status, limit: int) -> list[Row]:
    """List at most `limit` items of one status, highest priority first, then oldest."""
    listing = LIST_IN_PROGRESS if status == Status.IN_PROGRESS else LIST_BY_STATUS
    return conn.execute(listing, {"job_id": job_id, "status": status, "limit": limit}).fetchall()


PENDING_COUNT = "SELECT pending FROM item_counts WHERE job_id = :job_id"


def get_pending_count(conn: Connection, job_id: str) -> int:
    """Count the pending items of a job, from its counter."""
    row = conn.execute(PENDING_COUNT, {"job_id": job_id}).fetchone()
    return int(row[0]) if row else 0


# -- a whole item, by hand --------------------------------------------------------------------------------


def mark_in_progress(conn: Connection, item_id: int, stages: Stages | None = None) -> int | None:
    """
    Claim the first ready stage of an item by hand; the attempt's number, or None if none is ready. Commits.

    An item that was never opened gets `stages`, or one stage for the whole of it.
    """
    with write(conn):
        open_whole(conn, item_id, stages)
        for stage, status, attempt, needs_left in list_unfinished(conn, item_id):
            if status == Status.PENDING and needs_left == 0:
                taken = claim(
                    conn, item_id, stage, attempt + 1, worker="by hand", lease_seconds=HAND_LEASE_SECONDS
                )
                if taken:
                    return taken.attempt
    return None


def mark_done(conn: Connection, item_id: int, stages: Stages | None = None) -> None:
    """Count every unfinished stage of an item as done. Commits."""
    end_unfinished(conn, item_id, stages, Ending.finished(None, None), Ending.counted_done())


def mark_failed(conn: Connection, item_id: int, error: str = "", stages: Stages | None = None) -> None:
    """Fail the first unfinished stage of an item with this error, which fails the item. Commits."""
    end_unfinished(
        conn,
        item_id,
        stages,
        Ending.gave_up(error),
        Ending.counted_failed(error or "marked as failed"),
        first=True,
    )


def mark_skipped(conn: Connection, item_id: int, reason: str = "", stages: Stages | None = None) -> None:
    """Skip every unfinished stage of an item. Commits."""
    why = reason or "skipped by hand"
    end_unfinished(conn, item_id, stages, Ending.skipped(why), Ending.counted_skipped(why))


# -- again, elsewhere, sooner -----------------------------------------------------------------------------

RETRY_FAILED_STAGES = """
UPDATE item_stages INDEXED BY idx_item_stages_status
   SET status = 'pending', ended_at = NULL, reason = NULL, retries = 0, crashes = 0
 WHERE job_id = :job_id AND status = 'failed'
   AND status <> 'in_progress'                  -- the index's own words, or SQLite would not take it
   AND stage IN (SELECT stage
                   FROM job_stages
                  WHERE job_id = :job_id AND switched_on AND (stage = :stage OR :stage IS NULL))
   AND (:keys IS NULL OR item_id IN (SELECT i.item_id
                                       FROM json_each(:keys) asked
                                      CROSS JOIN work_items i ON i.job_id = :job_id AND i.key = asked.value))
RETURNING item_id, stage, attempt
"""


def retry_failed(
    conn: Connection,
    job_id: str,
    stage: str | None = None,
    keys: Sequence[str] | None = None,
    by: str | None = None,
) -> int:
    """
    Make the failed stages of a job pending again, of one stage or some keys if given; how many. Commits.

    A stage that jobs.yaml has switched off stays failed.
    """
    asked = {"job_id": job_id, "stage": stage, "keys": None if keys is None else json.dumps(list(keys))}
    with write(conn):
        again = conn.execute(RETRY_FAILED_STAGES, asked).fetchall()
        for item_id, name, attempt in again:
            append_event(conn, job_id, RETRY_FAILED.name, item_id, name, attempt, by, None)
        recount_needs(conn, [row[0] for row in again])
    return len(again)


def inject_at_stage(
    conn: Connection,
    job_id: str,
    key: str,
    stage: str,
    stages: Stages | StagePlan,
    data: Mapping[str, Any] | None = None,
    results: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """
    Let an item start in the middle: the stages before `stage` count as done, with the results given.

    The item is made if it is new, and its data is completed if it is known. Returns its id. One transaction.
    Raises `NotFoundError` for a stage that the job has not, ValueError if the item has been opened already.
    """
    plan = make_plan(stages)
    if stage not in plan.names:
        raise NotFoundError(f"stage of job {job_id!r} named", stage)
    with write(conn):
        upsert_items(conn, job_id, [{"key": key, "data": data or {}}])
        merge_discovery_data(conn, job_id, key, data or {})
        item = get_item(conn, job_id, key)
        if item["opened_at"] is not None:
            raise ValueError(
                f"item {key!r} of job {job_id!r} is under way; use reset to begin again at a stage"
            )
        apply_plan(conn, job_id, plan)
        open_items(conn, job_id, [item["item_id"]], plan)
        for earlier in plan.ancestors(stage):
            if earlier in plan.switched_on:
                settle(conn, item["item_id"], earlier, None, Ending.counted_done())
            if results and earlier in results:
                store_result(conn, job_id, key, earlier, results[earlier])
    return int(item["item_id"])


def update_item_priority(
    conn: Connection, job_id: str, key: str, priority: int, by: str | None = None
) -> None:
    """Set an item's priority, and that of its stages; higher goes first. Commits. Raises `NotFoundError`."""
    with write(conn):
        item_id = get_item(conn, job_id, key)["item_id"]
        give_priority(conn, [item_id], priority)
        detail = {"priority": priority}
        append_event(conn, job_id, "update_item_priority", item_id, None, None, by, detail)
