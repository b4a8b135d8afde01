"""
What people read: bounded, frozen records from a read-only connection.

The command line, its `--json` and the dashboard show these same records. Instants are Unix milliseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.lifecycle import Status
from tracker import events, results
from tracker.budgets import BudgetReport, describe
from tracker.clock import DAY_MS, now_ms
from tracker.costs import sum_spent
from tracker.held import count_held
from tracker.lanes import find_oldest_fresh
from tracker.pauses import Pause, find_pause_of, list_stage_pauses
from tracker.runs import RunReport, find_last_run
from tracker.stats import (
    all_job_stats,
    get_job_stats,
    get_stage_pipeline_metrics,
    stage_stats,
    stage_timing_stats,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class JobReport:
    """
    One job: its items by status, its last discovery, and what it spent since midnight UTC.

    Of the pending items `unopened` have no stages yet: they get them when there is room to send their first. `pause` is
    its own, or that of everything. `paused_stages` are the pauses of single stages.

    `oldest_fresh_at` is when the oldest item was found that is neither through nor asked for again. `budget` is the
    one that matters to the job now, if any bounds what it spends.
    """

    job: str
    oldest_fresh_at: int | None
    total: int
    pending: int
    unopened: int
    in_progress: int
    done: int
    failed: int
    skipped: int
    next_retry_at: int | None
    pause: Pause | None
    paused_stages: tuple[Pause, ...]
    held: int
    discovery: RunReport | None
    spent_today_usd: float
    unknown_costs_today: int
    budget: BudgetReport | None


LIST_JOBS = """
SELECT job_id FROM jobs
 UNION
SELECT job_id FROM item_counts
 ORDER BY job_id
"""

NEXT_RETRY = """
SELECT min(retry_at)
  FROM item_stages INDEXED BY idx_item_stages_parked
 WHERE job_id = :job_id AND status = 'pending' AND retry_at IS NOT NULL
"""


def find_next_retry(conn: Connection, job_id: str) -> int | None:
    """Find the earliest time (Unix ms) that a stage of the job waits for, or None."""
    return conn.execute(NEXT_RETRY, {"job_id": job_id}).fetchone()[0]  # type: ignore[no-any-return]


def list_job_names(conn: Connection) -> list[str]:
    """List the jobs that the tracker knows, by name."""
    return [row[0] for row in conn.execute(LIST_JOBS)]


def list_job_reports(conn: Connection, also: Iterable[str] = ()) -> list[JobReport]:
    """Report on every job that the tracker knows, and on others, by name."""
    known, counted = {*list_job_names(conn), *also}, all_job_stats(conn)
    return [_report_job(conn, job_id, counted.get(job_id)) for job_id in sorted(known)]


def get_job_report(conn: Connection, job_id: str) -> JobReport:
    """Report on one job, which the tracker need not have seen yet."""
    return _report_job(conn, job_id, get_job_stats(conn, job_id))


def _report_job(conn: Connection, job_id: str, counts: dict[str, int] | None) -> JobReport:
    counts = counts or get_job_stats(conn, job_id)
    spent_usd, unknown = sum_spent(conn, job_id, now_ms() // DAY_MS * DAY_MS)
    return JobReport(
        job=job_id,
        oldest_fresh_at=find_oldest_fresh(conn, job_id),
        **{name: counts[name] for name in ("total", "unopened", *Status)},
        next_retry_at=find_next_retry(conn, job_id),
        pause=find_pause_of(conn, job_id),
        paused_stages=tuple(list_stage_pauses(conn, job_id)),
        held=count_held(conn, job_id),
        discovery=find_last_run(conn, job_id),
        spent_today_usd=spent_usd,
        unknown_costs_today=unknown,
        budget=describe(conn, job_id),
    )


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage of a job: counts, of those waiting what the broker holds, times and rate."""

    stage: str
    pending: int
    in_progress: int
    done: int
    failed: int
    skipped: int
    queued: int
    p50_seconds: float | None
    p95_seconds: float | None
    max_seconds: float | None
    rate_per_minute: float
    seconds_to_empty: float | None


def list_stage_reports(conn: Connection, job_id: str) -> list[StageReport]:
    """Report on every stage of a job that any item has been opened for, in the job's order."""
    timings, metrics = stage_timing_stats(conn, job_id), get_stage_pipeline_metrics(conn, job_id)
    reports = []
    for stage, counts in stage_stats(conn, job_id).items():
        timing = timings.get(stage, {})
        reports.append(
            StageReport(
                stage=stage,
                **{name: counts[name] for name in (*Status, "queued")},
                p50_seconds=timing.get("p50"),
                p95_seconds=timing.get("p95"),
                max_seconds=timing.get("max"),
                rate_per_minute=metrics[stage]["rate_per_minute"] or 0.0,
                seconds_to_empty=metrics[stage]["seconds_to_empty"],
            )
        )
    return reports


@dataclass(frozen=True, slots=True)
class EventReport:
    """One event."""

    event_id: int
    at: int
    job: str | None
    key: str | None
    stage: str | None
    attempt: int | None
    kind: str
    by: str | None
    detail: dict[str, Any]


def list_event_reports(
    conn: Connection, job_id: str | None, *, item_id: int | None = None, limit: int = 50, after: int = 0
) -> list[EventReport]:
    """List the newest events, newest first, at most `limit`, with ids above `after`."""
    return [
        EventReport(
            row["event_id"],
            row["at"],
            row["job_id"],
            row["key"],
            row["stage"],
            row["attempt"],
            row["kind"],
            row["by"],
            json.loads(row["detail"] or "{}"),
        )
        for row in events.get_events(conn, job_id, item_id=item_id, limit=limit, after=after)
    ]


@dataclass(frozen=True, slots=True)
class ResultReport:
    """One result."""

    key: str
    stage: str
    result: dict[str, Any]
    handler_version: str | None
    attempt: int
    stored_at: int


def stream_result_reports(
    conn: Connection, job_id: str, stage: str | None, limit: int
) -> Iterator[ResultReport]:
    """Stream at most `limit` results of a job (-1: all), of one stage or of all, one at a time."""
    for row in results.list_results(conn, job_id, stage, limit):
        yield ResultReport(
            row["key"],
            row["stage"],
            json.loads(row["result"]),
            row["handler_version"],
            row["attempt"],
            row["stored_at"],
        )
