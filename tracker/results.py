"""Results: what a handler returned, with the version that made it, one that counts per item and stage."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from pipeline.errors import NotFoundError
from pipeline.versions import hash_version
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.recovery import reset_stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracker.rows import Row

STORE_RESULT = """
INSERT INTO results (item_id, stage, job_id, attempt, result, handler_version, stored_at)
SELECT i.item_id, :stage, i.job_id, coalesce(s.attempt, 0), :result, :handler_version, :now
  FROM work_items i
  LEFT JOIN item_stages s ON s.item_id = i.item_id AND s.stage = :stage
 WHERE i.job_id = :job_id AND i.key = :key
    ON CONFLICT (item_id, stage) DO UPDATE
   SET attempt = excluded.attempt, result = excluded.result, handler_version = excluded.handler_version,
       stored_at = excluded.stored_at
"""


def store_result(
    conn: Connection,
    job_id: str,
    key: str,
    stage: str,
    result: Mapping[str, Any],
    handler_version: str | None = None,
) -> None:
    """
    Store a result by hand; it replaces an earlier one and moves no stage.

    Joins the caller's transaction, else commits. Raises `NotFoundError` for an unknown item, ValueError or
    TypeError for a result that is not JSON.
    """
    asked = {
        "job_id": job_id,
        "key": key,
        "stage": stage,
        "result": json.dumps(result, ensure_ascii=False, allow_nan=False),
        "handler_version": handler_version,
        "now": now_ms(),
    }
    with write(conn):
        conn.execute(STORE_RESULT, asked)
        if conn.changes() == 0:
            raise NotFoundError(f"item in job {job_id!r} with key", key)


GET_RESULT = """
SELECT r.result
  FROM work_items i
  JOIN results r ON r.item_id = i.item_id AND r.stage = :stage
 WHERE i.job_id = :job_id AND i.key = :key
"""


def get_result(conn: Connection, job_id: str, key: str, stage: str) -> dict[str, Any] | None:
    """Get the result that counts of one stage of one item, or None."""
    row = conn.execute(GET_RESULT, {"job_id": job_id, "key": key, "stage": stage}).fetchone()
    return json.loads(row[0]) if row else None


GET_RESULTS = """
SELECT r.stage, r.result
  FROM work_items i
  JOIN results r ON r.item_id = i.item_id
 WHERE i.job_id = :job_id AND i.key = :key
 ORDER BY r.result_id
"""


def get_results(conn: Connection, job_id: str, key: str) -> dict[str, dict[str, Any]]:
    """Get all results that count of one item, by stage."""
    rows = conn.execute(GET_RESULTS, {"job_id": job_id, "key": key})
    return {stage: json.loads(result) for stage, result in rows}


READ_RESULTS_OF_STAGES = """
SELECT r.stage, r.result
  FROM json_each(:stages) asked
  JOIN results r ON r.item_id = :item_id AND r.stage = asked.value
 ORDER BY asked.key
"""


def read_results(conn: Connection, item_id: int, stages: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read the results of some stages of an item, in the order of `stages`; one without a result is absent."""
    rows = conn.execute(READ_RESULTS_OF_STAGES, {"item_id": item_id, "stages": json.dumps(stages)})
    return {stage: json.loads(result) for stage, result in rows}


LIST_ITEMS_WITH_RESULTS = """
SELECT i.key, i.data, i.status,
       (SELECT json_group_object(r.stage, json(r.result))
          FROM results r
         WHERE r.item_id = i.item_id AND (r.stage = :stage OR :stage IS NULL)) AS results
  FROM work_items i
 WHERE i.job_id = :job_id AND (i.status = :status OR :status IS NULL)
   AND (:stage IS NULL OR EXISTS (SELECT 1 FROM results r WHERE r.item_id = i.item_id AND r.stage = :stage))
 ORDER BY i.item_id DESC
 LIMIT :limit
"""


def stream_items_with_results(
    conn: Connection, job_id: str, *, stage: str | None, status: str | None, limit: int
) -> Iterator[dict[str, Any]]:
    """
    Stream at most `limit` items of a job, newest first, each with its results, for other jobs to build on.

    Of one status if given; with a `stage`, only those that have its result, and that result alone. Each is
    `{"key", "data", "status", "results": {stage: result}}`.
    """
    asked = {"job_id": job_id, "stage": stage, "status": status, "limit": limit}
    for key, data, found, by_stage in conn.execute(LIST_ITEMS_WITH_RESULTS, asked):
        yield {"key": key, "data": json.loads(data), "status": found, "results": json.loads(by_stage)}


LIST_RESULTS = """
SELECT r.result_id, i.key, r.stage, r.result, r.handler_version, r.attempt, r.stored_at
  FROM work_items i
  JOIN results r ON r.item_id = i.item_id
 WHERE i.job_id = :job_id AND (r.stage = :stage OR :stage IS NULL)
 ORDER BY i.item_id, r.result_id
 LIMIT :limit
"""

LIST_RESULTS_OF_STAGE = """
SELECT r.result_id, i.key, r.stage, r.result, r.handler_version, r.attempt, r.stored_at
  FROM results r
  JOIN work_items i ON i.item_id = r.item_id
 WHERE r.job_id = :job_id AND r.stage = :stage
 LIMIT :limit
"""


def list_results(conn: Connection, job_id: str, stage: str | None, limit: int) -> Iterator[Row]:
    """Stream at most `limit` results of a job, of one stage or of all; -1 means all of them."""
    sql = LIST_RESULTS if stage is None else LIST_RESULTS_OF_STAGE
    return iter(conn.execute(sql, {"job_id": job_id, "stage": stage, "limit": limit}))


HANDLER_VERSION = """
SELECT r.handler_version
  FROM work_items i
  JOIN results r ON r.item_id = i.item_id AND r.stage = :stage
 WHERE i.job_id = :job_id AND i.key = :key
"""


def get_handler_version(conn: Connection, job_id: str, key: str, stage: str) -> str | None:
    """Get the version of the handler that made an item's result of a stage, or None."""
    row = conn.execute(HANDLER_VERSION, {"job_id": job_id, "key": key, "stage": stage}).fetchone()
    return row[0] if row else None


def stage_version_hash(handler: type, params: Mapping[str, Any] | None = None) -> str:
    """Hash the source and the parameters of a handler that declares no version: 12 hexadecimal digits."""
    return hash_version(handler.__qualname__, [sys.modules[handler.__module__]], params or {})


STALE_COUNT = """
SELECT count(*)
  FROM results
 WHERE job_id = :job_id AND stage = :stage AND handler_version IS NOT :version
"""


def get_stale_count(conn: Connection, job_id: str, stage: str, version: str) -> int:
    """Count the results of a stage that another version made."""
    return int(
        conn.execute(STALE_COUNT, {"job_id": job_id, "stage": stage, "version": version}).fetchone()[0]
    )


STALE_KEYS = """
SELECT i.key
  FROM results r
  JOIN work_items i ON i.item_id = r.item_id
 WHERE r.job_id = :job_id AND r.stage = :stage AND r.handler_version IS NOT :version
 ORDER BY r.item_id
 LIMIT :limit
"""


def list_stale_keys(conn: Connection, job_id: str, stage: str, version: str, limit: int = -1) -> list[str]:
    """List the keys whose result of a stage another version made, oldest items first."""
    asked = {"job_id": job_id, "stage": stage, "version": version, "limit": limit}
    return [row[0] for row in conn.execute(STALE_KEYS, asked)]


def reprocess_stale(conn: Connection, job_id: str, stage: str, version: str, limit: int = -1) -> int:
    """
    Reset a stage, and all after it, for the items whose result another version made; how many items.

    Joins the caller's transaction, else commits.
    """
    with write(conn):
        keys = list_stale_keys(conn, job_id, stage, version, limit)
        return reset_stage(conn, job_id, stage, keys) if keys else 0
