"""What people read of items: in a list, and one with all that is known of it; records as those of `tracker.reports`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracker import items, results
from tracker.history import PastResult, list_history
from tracker.item_attempts import AttemptOfItem, list_attempts
from tracker.item_lists import list_stages_of
from tracker.progress import Told, list_progress_of_item
from tracker.reports import EventReport, list_event_reports

if TYPE_CHECKING:
    from pipeline.lifecycle import Status
    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class ItemReport:
    """One item in a list."""

    key: str
    status: str
    priority: int
    discovered_at: int
    stages: dict[str, str]


LIST_ITEMS = """
SELECT item_id, key, status, priority, discovered_at
  FROM work_items
 WHERE job_id = :job_id
 ORDER BY item_id DESC
 LIMIT :limit
"""


def list_item_reports(
    conn: Connection, job_id: str, status: Status | None = None, limit: int = 50
) -> list[ItemReport]:
    """List at most `limit` items of a job: the newest first, or of one status, highest priority first."""
    rows = (
        conn.execute(LIST_ITEMS, {"job_id": job_id, "limit": limit}).fetchall()
        if status is None
        else items.list_items(conn, job_id, status, limit)
    )
    stages = list_stages_of(conn, [row["item_id"] for row in rows])
    return [
        ItemReport(
            row["key"], row["status"], row["priority"], row["discovered_at"], dict(stages[row["item_id"]])
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class StageOfItem:
    """Where one item is with one stage."""

    stage: str
    status: str
    attempt: int
    retries: int
    crashes: int
    reason: str | None
    worker: str | None
    queued_at: int | None
    retry_at: int | None
    leased_until: int | None
    started_at: int | None
    ended_at: int | None


STAGES_OF_ITEM = """
SELECT stage, status, attempt, retries, crashes, reason, worker, queued_at, retry_at, leased_until, started_at,
       ended_at
  FROM item_stages
 WHERE item_id = :item_id
 ORDER BY position
"""


def list_stages(conn: Connection, item_id: int) -> list[StageOfItem]:
    """List the stages of an item, in its job's order."""
    return [StageOfItem(*row) for row in conn.execute(STAGES_OF_ITEM, {"item_id": item_id})]


@dataclass(frozen=True, slots=True)
class FailureReport:
    """One failed attempt."""

    stage: str
    attempt: int
    failed_at: int
    error_type: str
    message: str
    traceback: str | None


@dataclass(frozen=True, slots=True)
class WholeItemReport:
    """Everything about one item."""

    job: str
    key: str
    status: str
    priority: int
    discovered_at: int
    data: dict[str, Any]
    stages: list[StageOfItem]
    progress: list[Told]
    results: dict[str, Any]
    history: list[PastResult]
    failures: list[FailureReport]
    attempts: list[AttemptOfItem]
    events: list[EventReport]


FAILURES_OF_ITEM = """
SELECT stage, attempt, failed_at, error_type, message, traceback
  FROM failures
 WHERE item_id = :item_id
 ORDER BY failed_at, stage, attempt
"""


def get_whole_item_report(conn: Connection, job_id: str, key: str) -> WholeItemReport:
    """Report everything about one item, with its newest 50 events. Raises `NotFoundError` with a near key."""
    item = items.get_item(conn, job_id, key)
    asked = {"item_id": item["item_id"]}
    return WholeItemReport(
        job=job_id,
        key=key,
        status=item["status"],
        priority=item["priority"],
        discovered_at=item["discovered_at"],
        data=json.loads(item["data"]),
        stages=list_stages(conn, item["item_id"]),
        progress=list_progress_of_item(conn, item["item_id"]),
        results=results.get_results(conn, job_id, key),
        history=list_history(conn, job_id, key),
        failures=[FailureReport(*row) for row in conn.execute(FAILURES_OF_ITEM, asked)],
        attempts=list_attempts(conn, item["item_id"]),
        events=list_event_reports(conn, job_id, item_id=item["item_id"], limit=50)[::-1],
    )
