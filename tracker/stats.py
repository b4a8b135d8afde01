"""Numbers about jobs and stages, from counters: they cost the same at a hundred items and at a million."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracker.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.connection import Connection

RATE_MINUTES = 5
"""Rates are averaged over this many minutes."""

ITEM_COUNTS = """
SELECT job_id, pending + in_progress + done + failed + skipped AS total,
       pending, in_progress, done, failed, skipped, unopened
  FROM item_counts
 WHERE job_id = :job_id OR :job_id IS NULL
 ORDER BY job_id
"""


def get_job_stats(conn: Connection, job_id: str) -> dict[str, int]:
    """Count a job's items: total, pending, in_progress, done, failed, skipped, unopened."""
    return all_job_stats(conn, job_id).get(job_id) or dict.fromkeys(
        ("total", "pending", "in_progress", "done", "failed", "skipped", "unopened"), 0
    )


def all_job_stats(conn: Connection, job_id: str | None = None) -> dict[str, dict[str, int]]:
    """Count the items of every job, by job, as `get_job_stats` does."""
    found = {}
    for row in conn.execute(ITEM_COUNTS, {"job_id": job_id}):
        counts = dict(row)
        found[counts.pop("job_id")] = counts
    return found


STAGE_COUNTS = """
SELECT c.stage, c.pending, c.in_progress, c.done, c.failed, c.skipped, c.queued, c.countdown
  FROM stage_counts c
  LEFT JOIN job_stages p ON p.job_id = c.job_id AND p.stage = c.stage
 WHERE c.job_id = :job_id
 ORDER BY coalesce(p.position, 1000), c.stage
"""


STAGE_NAMES = """
SELECT stage FROM stage_counts
 UNION
SELECT stage FROM job_stages
 ORDER BY stage
"""


def list_stage_names(conn: Connection) -> list[str]:
    """List the names of all stages that any job has or had."""
    return [row[0] for row in conn.execute(STAGE_NAMES)]


def stage_stats(conn: Connection, job_id: str) -> dict[str, dict[str, int]]:
    """
    Count a job's stages, by stage in the job's order.

    Keys: pending, in_progress, done, failed, skipped; of the pending ones, queued are with the broker and
    countdown wait there for their time.
    """
    found = {}
    for row in conn.execute(STAGE_COUNTS, {"job_id": job_id}):
        counts = dict(row)
        found[counts.pop("stage")] = counts
    return found


TIMINGS = """
SELECT stage, bucket, count, total_ms, max_ms FROM stage_timings WHERE job_id = :job_id ORDER BY stage, bucket
"""


def stage_timing_stats(conn: Connection, job_id: str) -> dict[str, dict[str, float]]:
    """
    Give count, and p50, p95, max and mean in seconds, of each stage that was ever done.

    Percentiles are within 9 %, as the histogram's buckets are.
    """
    by_stage: dict[str, list[Any]] = {}
    for row in conn.execute(TIMINGS, {"job_id": job_id}):
        by_stage.setdefault(row["stage"], []).append(row)
    return {stage: _summarise(rows) for stage, rows in by_stage.items()}


def _summarise(rows: list[Any]) -> dict[str, float]:
    count = sum(row["count"] for row in rows)
    longest = max(row["max_ms"] for row in rows) / 1000
    return {
        "count": count,
        "p50": min(longest, _percentile(rows, 0.50 * count)),
        "p95": min(longest, _percentile(rows, 0.95 * count)),
        "max": longest,
        "mean": sum(row["total_ms"] for row in rows) / count / 1000,
    }


def _percentile(rows: Iterable[Any], rank: float) -> float:
    seen, bucket = 0, 0
    for row in rows:
        seen, bucket = seen + row["count"], row["bucket"]
        if seen >= rank:
            break
    return float(2 ** (bucket / 8) / 1000)


RATES = """
SELECT stage, sum(settled * iif(minute = :first, :share, 1.0))
  FROM stage_minutes
 WHERE job_id = :job_id AND minute >= :first
 GROUP BY stage
"""


def find_recent_minutes() -> dict[str, float]:
    """
    Find which minute is the `first` of those of a rate, and what `share` of it counts: the last five, to this second.

    Without it a rate would be told lower at the beginning of each minute than at its end.
    """
    minute, past = divmod(now_ms(), 60_000)
    return {"first": minute - RATE_MINUTES, "share": 1 - past / 60_000}


SWITCHED_ON = "SELECT stage FROM job_stages WHERE job_id = :job_id AND switched_on"


def get_stage_pipeline_metrics(conn: Connection, job_id: str) -> dict[str, dict[str, float | None]]:
    """
    Tell for each stage what waits, what runs, how many a minute are settled, and when it will be empty.

    Keys: waiting (also items not opened yet, at each stage that is switched on), running, rate_per_minute (over the
    last five minutes), and seconds_to_empty, which is None when nothing is being settled.
    """
    rates = {row[0]: row[1] for row in conn.execute(RATES, {"job_id": job_id, **find_recent_minutes()})}
    unopened = get_job_stats(conn, job_id)["unopened"]
    on = {row[0] for row in conn.execute(SWITCHED_ON, {"job_id": job_id})}
    metrics: dict[str, dict[str, float | None]] = {}
    for stage, counts in stage_stats(conn, job_id).items():
        waiting = counts["pending"] + (unopened if stage in on else 0)
        rate = rates.get(stage, 0) / RATE_MINUTES
        metrics[stage] = {
            "waiting": waiting,
            "running": counts["in_progress"],
            "rate_per_minute": rate,
            "seconds_to_empty": 0.0 if not waiting else waiting / rate * 60 if rate else None,
        }
    return metrics


PRUNE_MINUTES = """
DELETE FROM stage_minutes
 WHERE minute < :before AND (job_id, stage) IN (SELECT job_id, stage FROM stage_counts)
"""


PRUNE_ITEM_MINUTES = """
DELETE FROM item_minutes WHERE minute < :before AND job_id IN (SELECT job_id FROM item_counts)
"""


def prune_minutes(conn: Connection, keep_days: int = 7) -> None:
    """Forget the per-minute counts older than `keep_days`. The caller's transaction."""
    asked = {"before": now_ms() // 60_000 - keep_days * 1440}
    conn.execute(PRUNE_MINUTES, asked)
    conn.execute(PRUNE_ITEM_MINUTES, asked)


def show_status(conn: Connection) -> str:
    """Show the items of every job as a plain text table, one line for each job."""
    names = ("total", "pending", "in_progress", "done", "failed", "skipped")
    lines = [f"{'job':<24}" + "".join(f"{name:>13}" for name in names)]
    for job_id, counts in all_job_stats(conn).items():
        lines.append(f"{job_id:<24}" + "".join(f"{counts[name]:>13}" for name in names))
    return "\n".join(lines)
