"""Results that were replaced: `keep` of them for each stage of an item, put there by a trigger when one is replaced."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pipeline.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracker.connection import Connection
    from tracker.rows import Row


@dataclass(frozen=True, slots=True)
class PastResult:
    """
    A result of a stage of an item: the one that counts, whose `replaced_at` is None, or an older one.

    Instants are in Unix milliseconds. `attempt` is the one that made it; 0 for one stored by hand before any.
    """

    key: str
    stage: str
    attempt: int
    result: dict[str, Any]
    handler_version: str | None
    stored_at: int
    replaced_at: int | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Make one of its row."""
        key, stage, attempt, result, version, stored_at, replaced_at = row
        return cls(key, stage, attempt, json.loads(result), version, stored_at, replaced_at)


LIST_PAST = """
SELECT i.key, h.stage, h.attempt, h.result, h.handler_version, h.stored_at, h.replaced_at
  FROM work_items i
  JOIN results_history h ON h.item_id = i.item_id AND (h.stage = :stage OR :stage IS NULL)
 WHERE i.job_id = :job_id AND i.key = :key
 ORDER BY h.stage, h.history_id DESC
"""

LIST_PRESENT = """
SELECT i.key, r.stage, r.attempt, r.result, r.handler_version, r.stored_at, NULL
  FROM work_items i
  JOIN results r ON r.item_id = i.item_id AND (r.stage = :stage OR :stage IS NULL)
 WHERE i.job_id = :job_id AND i.key = :key
"""


def list_history(conn: Connection, job_id: str, key: str, stage: str | None = None) -> list[PastResult]:
    """List the results of an item that were replaced, by stage, of each the newest first."""
    asked = {"job_id": job_id, "key": key, "stage": stage}
    return [PastResult.from_row(row) for row in conn.execute(LIST_PAST, asked)]


def list_results_of_stage(conn: Connection, job_id: str, key: str, stage: str) -> list[PastResult]:
    """List all results of a stage of an item, the newest first: the one that counts, then those it replaced."""
    asked = {"job_id": job_id, "key": key, "stage": stage}
    present = [PastResult.from_row(row) for row in conn.execute(LIST_PRESENT, asked)]
    return present + list_history(conn, job_id, key, stage)


def choose_two(
    found: Sequence[PastResult], key: str, before: int | None = None, after: int | None = None
) -> tuple[PastResult, PastResult]:
    """
    Choose two of a stage's results of the item `key`, newest first, by their attempts; without these the last two.

    With one attempt, that one is compared with the one that counts. Of several by one attempt, made by hand, the
    newest is meant. Raises `NotFoundError`.
    """
    if not found:
        raise NotFoundError("result of that stage of item", key)
    newer = _get(found, after) if after is not None else found[0]
    if before is not None:
        return _get(found, before), newer
    if len(found) == 1:
        raise NotFoundError(f"older result of {found[0].stage!r}, whose only one counts, of item", key)
    return found[1], newer


def _get(found: Sequence[PastResult], attempt: int) -> PastResult:
    chosen = next((one for one in found if one.attempt == attempt), None)
    if chosen is None:
        there = ", ".join(str(one.attempt) for one in found)
        raise NotFoundError(f"result of {found[0].stage!r} (there are: {there}) by attempt", str(attempt))
    return chosen


LIST_PAST_OF_JOB = """
SELECT i.key, h.stage, h.attempt, h.result, h.handler_version, h.stored_at, h.replaced_at
  FROM work_items i
  JOIN results_history h ON h.item_id = i.item_id
 WHERE i.job_id = :job_id AND (h.stage = :stage OR :stage IS NULL)
 ORDER BY i.item_id, h.stage, h.history_id
 LIMIT :limit
"""


def stream_history(conn: Connection, job_id: str, stage: str | None, limit: int) -> Iterator[PastResult]:
    """Stream at most `limit` (-1: all) results of a job that were replaced, by item and stage, the oldest first."""
    rows = conn.execute(LIST_PAST_OF_JOB, {"job_id": job_id, "stage": stage, "limit": limit})
    return map(PastResult.from_row, rows)
