"""
Stages, one at a time, for those who drive them by hand; workers use `tracker.moves` directly.

`stages` is the job's list of stages in order: names, each needing the one before it, or specifications.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipeline.errors import NotFoundError, StaleLeaseError
from pipeline.lifecycle import Status
from pipeline.versions import hash_result
from tracker.applying import apply_plan
from tracker.claims import claim
from tracker.clock import now_ms, to_ms
from tracker.connection import Connection, write
from tracker.endings import Ending, Failure
from tracker.moves import settle
from tracker.pauses import find_pause_of
from tracker.plan import Stages, make_plan, open_items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.rows import Row

HAND_LEASE_SECONDS = 600.0
"""How long a stage claimed by hand is held; who claims by hand does not renew."""

READ_STAGE = """
SELECT i.job_id, i.opened_at, s.status, s.attempt
  FROM work_items i
  LEFT JOIN item_stages s ON s.item_id = i.item_id AND s.stage = :stage
 WHERE i.item_id = :item_id
"""


def mark_stage_in_progress(
    conn: Connection,
    item_id: int,
    stage: str,
    stages: Stages,
    *,
    worker: str = "by hand",
    lease_seconds: float = HAND_LEASE_SECONDS,
) -> int:
    """
    Claim a ready stage; the attempt's number. Commits.

    Raises `StaleLeaseError` when it is not ready: claimed, ended, waiting for another stage or for a time.
    """
    with write(conn):
        row = _opened(conn, item_id, stage, stages)
        taken = claim(conn, item_id, stage, row["attempt"] + 1, worker=worker, lease_seconds=lease_seconds)
        if taken is None:
            raise StaleLeaseError(item_id, stage, row["attempt"] + 1)
    return taken.attempt


def mark_stage_done(
    conn: Connection,
    item_id: int,
    stage: str,
    stages: Stages,
    result: Mapping[str, Any] | None = None,
    *,
    attempt: int | None = None,
    handler_version: str | None = None,
) -> None:
    """
    End a stage as done, with its result if it has one; the next stages become ready. Commits.

    A stage that was not claimed is counted as done, and its result kept all the same. Raises
    `StaleLeaseError` when it has ended, or when `attempt` owns it no longer.
    """
    text = None if result is None else json.dumps(dict(result), ensure_ascii=False, allow_nan=False)
    with write(conn):
        row = _opened(conn, item_id, stage, stages)
        waiting = row["status"] == Status.PENDING and attempt is None
        kind = Ending.counted_done if waiting else Ending.finished
        ending = kind(text, handler_version, output_hash=None if result is None else hash_result(result))
        settle(conn, item_id, stage, attempt, ending)


def mark_stage_failed(
    conn: Connection,
    item_id: int,
    stage: str,
    stages: Stages,
    error: str | BaseException,
    *,
    attempt: int | None = None,
) -> None:
    """End a stage as failed, with the error; what needs it waits. Commits. Raises `StaleLeaseError`."""
    failure = Failure.of(error) if isinstance(error, BaseException) else Failure.named("Error", error)
    with write(conn):
        row = _opened(conn, item_id, stage, stages)
        waiting = row["status"] == Status.PENDING and attempt is None
        ending = Ending.counted_failed(failure.message) if waiting else Ending.failed(failure)
        settle(conn, item_id, stage, attempt, ending)


def mark_stage_retry_later(
    conn: Connection,
    item_id: int,
    stage: str,
    stages: Stages,
    retry_at: datetime | int | None = None,
    delay: float | timedelta | None = None,
    reason: str = "",
    *,
    attempt: int | None = None,
) -> None:
    """
    Park a claimed stage until `retry_at` (an aware datetime or Unix ms) or for `delay` seconds. Commits.

    It uses no retry. Raises ValueError unless exactly one of the two is given, and `StaleLeaseError`.
    """
    if (retry_at is None) == (delay is None):
        raise ValueError("mark_stage_retry_later takes either retry_at or delay")
    with write(conn):
        _opened(conn, item_id, stage, stages)
        settle(conn, item_id, stage, attempt, Ending.later(reason, _due_at(retry_at, delay)), hand_over=False)


def _due_at(retry_at: datetime | int | None, delay: float | timedelta | None) -> int:
    if isinstance(retry_at, datetime):
        return to_ms(retry_at)
    if retry_at is not None:
        return retry_at
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay or 0)
    return now_ms() + int(max(0.0, seconds) * 1000)


def _opened(conn: Connection, item_id: int, stage: str, stages: Stages) -> Row:
    asked = {"item_id": item_id, "stage": stage}
    row: Row | None = conn.execute(READ_STAGE, asked).fetchone()
    if row is None:
        raise NotFoundError("item with id", str(item_id))
    if row["opened_at"] is None:
        plan = make_plan(stages)
        apply_plan(conn, row["job_id"], plan)
        open_items(conn, row["job_id"], [item_id], plan)
        row = conn.execute(READ_STAGE, asked).fetchone()
    if row is None or row["status"] is None:
        raise NotFoundError(f"stage of item {item_id} named", stage)
    return row


NEEDING_STAGE = """
SELECT s.item_id, s.job_id, i.key, i.data, s.stage, s.attempt, s.priority
  FROM item_stages s INDEXED BY idx_item_stages_ready
  JOIN work_items i ON i.item_id = s.item_id
 WHERE s.job_id = :job_id AND s.stage = :stage AND s.over_budget = 0 AND s.backfill = :backfill
   AND s.status = 'pending' AND s.needs_left = 0 AND s.queued_at IS NULL AND s.retry_at IS NULL
 ORDER BY s.priority DESC, s.item_id
 LIMIT :limit
"""

NEEDING_STAGE_PARKED = """
SELECT s.item_id, s.job_id, i.key, i.data, s.stage, s.attempt, s.priority
  FROM item_stages s INDEXED BY idx_item_stages_parked
  JOIN work_items i ON i.item_id = s.item_id
 WHERE s.job_id = :job_id AND s.stage = :stage AND s.status = 'pending' AND s.needs_left = 0
   AND s.retry_at <= :now
 ORDER BY s.priority DESC, s.item_id
 LIMIT :limit
"""

NEEDING_STAGE_UNOPENED = """
SELECT i.item_id, i.job_id, i.key, i.data, :stage AS stage, 0 AS attempt, i.priority
  FROM work_items i INDEXED BY idx_work_items_unopened
 WHERE i.job_id = :job_id AND i.opened_at IS NULL
   AND (EXISTS (SELECT 1 FROM job_stages p WHERE p.job_id = :job_id AND p.stage = :stage AND p.switched_on)
        OR NOT EXISTS (SELECT 1 FROM job_stages WHERE job_id = :job_id))
   AND NOT EXISTS (SELECT 1
                     FROM stage_needs n
                     JOIN job_stages needed ON needed.job_id = n.job_id AND needed.stage = n.need AND needed.switched_on
                    WHERE n.job_id = :job_id AND n.stage = :stage)
 ORDER BY i.priority DESC, i.item_id
 LIMIT :limit
"""


def get_items_needing_stage(conn: Connection, job_id: str, stage: str, limit: int = 100) -> list[Row]:
    """
    Get at most `limit` items whose stage could run now: due, unclaimed, unpaused, highest priority first.

    An item that was never opened needs the stages that are switched on and need none that is; as long as the
    tracker has not seen the job's stages, it takes any stage for one of those.
    """
    if find_pause_of(conn, job_id, stage) is not None:
        return []
    asked = {"job_id": job_id, "stage": stage, "limit": limit, "now": now_ms()}
    found = [
        row
        for sql, lane in (
            (NEEDING_STAGE, {"backfill": False}),
            (NEEDING_STAGE, {"backfill": True}),
            (NEEDING_STAGE_PARKED, {}),
            (NEEDING_STAGE_UNOPENED, {}),
        )
        for row in conn.execute(sql, asked | lane).fetchall()
    ]
    return sorted(found, key=lambda row: (-row["priority"], row["item_id"]))[:limit]


STAGE_STATUS = "SELECT status FROM item_stages WHERE item_id = :item_id AND stage = :stage"


def get_stage_status(conn: Connection, item_id: int, stage: str) -> Status | None:
    """Get the status of one stage, or None while the item has no such stage."""
    row = conn.execute(STAGE_STATUS, {"item_id": item_id, "stage": stage}).fetchone()
    return Status(row[0]) if row else None


STAGES_OF_ITEMS = """
SELECT i.key, s.stage, s.status
  FROM (SELECT item_id, key FROM work_items WHERE job_id = :job_id ORDER BY item_id DESC LIMIT :limit) i
  LEFT JOIN item_stages s ON s.item_id = i.item_id
 ORDER BY i.item_id DESC, s.position
"""


def get_stages_dict(conn: Connection, job_id: str, limit: int = 500) -> dict[str, dict[str, Any]]:
    """Get the status of each stage of the newest `limit` items: `{key: {stage: status}}`, newest first."""
    stages: dict[str, dict[str, Any]] = {}
    for key, stage, status in conn.execute(STAGES_OF_ITEMS, {"job_id": job_id, "limit": limit}):
        found = stages.setdefault(key, {})
        if stage is not None:
            found[stage] = status
    return stages
