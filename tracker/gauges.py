"""The numbers that a monitoring system asks for, all from counters and small tables: what it costs does not grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tracker.clock import now_ms
from tracker.notes import SWEPT_AT, find_note
from tracker.spending import EVERYTHING
from tracker.workers import SILENT_MS, find_beat

if TYPE_CHECKING:
    from tracker.connection import Connection


class ItemGauge(NamedTuple):
    """The items of one job, by status; `unopened` are those of the pending ones that have no stages yet."""

    job: str
    pending: int
    in_progress: int
    done: int
    failed: int
    skipped: int
    unopened: int
    held: int


ITEM_GAUGES = """
SELECT job_id, pending, in_progress, done, failed, skipped, unopened, held
  FROM item_counts
 ORDER BY pending + in_progress + done + failed + skipped DESC, job_id
"""


def read_item_gauges(conn: Connection) -> list[ItemGauge]:
    """Read the items of every job, the job with the most first."""
    return [ItemGauge(*row) for row in conn.execute(ITEM_GAUGES)]


class StageGauge(NamedTuple):
    """One stage of a job: how many by status; of the pending ones those due now, sent, and waiting for a time."""

    job: str
    stage: str
    pending: int
    in_progress: int
    done: int
    failed: int
    skipped: int
    due: int
    sent: int
    parked: int


STAGE_GAUGES = """
SELECT job_id, stage, pending, in_progress, done, failed, skipped,
       max(0, pending - queued - countdown - blocked - parked), queued, parked + countdown
  FROM stage_counts
 ORDER BY job_id, stage
"""


def read_stage_gauges(conn: Connection) -> list[StageGauge]:
    """Read every stage of every job."""
    return [StageGauge(*row) for row in conn.execute(STAGE_GAUGES)]


class Timing(NamedTuple):
    """How many attempts of a stage have ended by themselves, and how long they took together."""

    job: str
    stage: str
    ended: int
    seconds: float


TIMING_GAUGES = """
SELECT job_id, stage, sum(count), sum(total_ms) / 1000.0 FROM stage_timings GROUP BY job_id, stage
"""


def read_timings(conn: Connection) -> list[Timing]:
    """Read how long every stage took."""
    return [Timing(*row) for row in conn.execute(TIMING_GAUGES)]


class FailureGauge(NamedTuple):
    """How many attempts of a stage ever failed, and how many groups of failures are open now and not muted."""

    job: str
    stage: str
    attempts: int
    groups: int


FAILURE_GAUGES = """
SELECT job_id, stage, sum(attempts), count(*) FILTER (WHERE failed > 0 AND muted_at IS NULL)
  FROM failure_groups
 GROUP BY job_id, stage
"""


def read_failure_gauges(conn: Connection) -> list[FailureGauge]:
    """Read the failures of every stage."""
    return [FailureGauge(*row) for row in conn.execute(FAILURE_GAUGES)]


class Spent(NamedTuple):
    """What a job has ever spent, in US dollars, and how many costs were of unknown price."""

    job: str
    usd: float
    unknown: int


SPENT_GAUGES = "SELECT job_id, usd, unknown FROM spent_totals WHERE job_id <> :everything"


def read_spent(conn: Connection) -> list[Spent]:
    """Read what every job has spent."""
    return [Spent(*row) for row in conn.execute(SPENT_GAUGES, {"everything": EVERYTHING})]


FRESH_AGES = """
SELECT c.job_id, (SELECT min(i.discovered_at)
                    FROM work_items i INDEXED BY idx_work_items_fresh
                   WHERE i.job_id = c.job_id AND i.fresh = 1 AND i.discovered_at > 0) AS oldest_at
  FROM item_counts c
"""


def read_fresh_ages(conn: Connection) -> dict[str, float]:
    """Read by job for how many seconds its oldest fresh item waits; 0 when none does."""
    now = now_ms()
    return {
        job: 0.0 if oldest_at is None else max(0, now - oldest_at) / 1000
        for job, oldest_at in conn.execute(FRESH_AGES)
    }


PAUSE_GAUGES = "SELECT scope, cause, count(*) FROM pauses GROUP BY scope, cause"


def count_pauses(conn: Connection) -> dict[tuple[str, str], int]:
    """Count the pauses in force by scope and cause."""
    return {(scope, cause): count for scope, cause, count in conn.execute(PAUSE_GAUGES)}


PAUSED_JOBS = "SELECT DISTINCT job_id FROM pauses WHERE scope = 'job'"

IS_ALL_PAUSED = "SELECT EXISTS (SELECT 1 FROM pauses WHERE scope = 'all')"


def list_paused(conn: Connection) -> tuple[bool, frozenset[str]]:
    """Tell whether everything is paused, and which jobs are."""
    jobs = frozenset(row[0] for row in conn.execute(PAUSED_JOBS))
    return bool(conn.execute(IS_ALL_PAUSED).fetchone()[0]), jobs


class WorkerGauge(NamedTuple):
    """How many workers live, how many were silent for a minute and more, and how many processes the living have."""

    alive: int
    silent: int
    processes: int


WORKER_GAUGES = """
SELECT count(*) FILTER (WHERE seen_at >= :since), count(*) FILTER (WHERE seen_at < :since),
       coalesce(sum(max(1, json_array_length(processes))) FILTER (WHERE seen_at >= :since), 0)
  FROM workers
"""


def read_worker_gauge(conn: Connection) -> WorkerGauge:
    """Count the workers."""
    return WorkerGauge(*conn.execute(WORKER_GAUGES, {"since": now_ms() - SILENT_MS}).fetchone())


def read_ages(conn: Connection) -> tuple[float | None, float | None]:
    """Tell how many seconds ago the last sweep was, and beat's last tick; None for what never was."""
    swept, beat = find_note(conn, SWEPT_AT), find_beat(conn)
    now = now_ms()
    return (
        None if swept is None else max(0, now - int(swept)) / 1000,
        None if beat is None else max(0, now - beat) / 1000,
    )


OPEN_NOTICES = "SELECT count(*) FROM notices WHERE closed_at IS NULL"


def count_open_notices(conn: Connection) -> int:
    """Count the notices that are open."""
    return int(conn.execute(OPEN_NOTICES).fetchone()[0])
