"""Results: what a handler returned, with the version that made it, one that counts per item and stage."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import NotFoundError
from pipeline.versions import hash_result, hash_version
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.recovery import reset_stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracker.rows import Row

STORE_RESULT = """
INSERT INTO results (item_id, stage, job_id, attempt, result, handler_version, output_hash, stored_at)
SELECT i.item_id, :stage, i.job_id, coalesce(s.attempt, 0), :result, :handler_version, :output_hash, :now
  FROM work_items i
  LEFT JOIN item_stages s ON s.item_id = i.item_id AND s.stage = :stage
 WHERE i.job_id = :job_id AND i.key = :key
    ON CONFLICT (item_id, stage) DO UPDATE
   SET attempt = excluded.attempt, result = excluded.result, handler_version = excluded.handler_version,
       input_hash = NULL, output_hash = excluded.output_hash, stored_at = excluded.stored_at
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
        "output_hash": hash_result(result),
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
SELECT r.stage, r.result, r.output_hash
  FROM json_each(:stages) asked
  JOIN results r ON r.item_id = :item_id AND r.stage = asked.value
 ORDER BY asked.key
"""


class NeededResult(NamedTuple):
    """A result that another stage needs, and its hash."""

    result: dict[str, Any]
    output_hash: str


def read_results(conn: Connection, item_id: int, stages: Sequence[str]) -> dict[str, NeededResult]:
    """Read the results of some stages of an item, in the order of `stages`; one without a result is absent."""
    rows = conn.execute(READ_RESULTS_OF_STAGES, {"item_id": item_id, "stages": json.dumps(stages)})
    read = ((stage, json.loads(result), known) for stage, result, known in rows)
    return {stage: NeededResult(result, known or hash_result(result)) for stage, result, known in read}


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


COUNT_VERSIONS = """
SELECT stage, nullif(handler_version, ''), results FROM result_versions WHERE job_id = :job_id
"""


class VersionCount(NamedTuple):
    """How many results of a stage one version made; None for results without one."""

    stage: str
    version: str | None
    results: int


def count_versions(conn: Connection, job_id: str) -> list[VersionCount]:
    """Count the results of a job by stage and version, from a counter."""
    return [VersionCount(*row) for row in conn.execute(COUNT_VERSIONS, {"job_id": job_id})]


STALE_COUNT = """
SELECT coalesce(sum(results), 0)
  FROM result_versions
 WHERE job_id = :job_id AND stage = :stage AND handler_version <> :version
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
