"""Discovery runs: each slot discovered once, each run under a lease, each ending on record."""

from __future__ import annotations

from dataclasses import dataclass

from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.items import INTRODUCE_JOB
from tracker.jobs import clear_errors, set_job_error

DISCOVERY_LEASE_SECONDS = 60.0

BEGIN_RUN = """
INSERT INTO discovery_runs (job_id, slot_at, started_at, leased_until)
VALUES (:job_id, :slot_at, :now, :leased_until)
    ON CONFLICT (job_id, slot_at) DO NOTHING
RETURNING run_id
"""

HAS_LATER_SLOT = "SELECT 1 FROM discovery_runs WHERE job_id = :job_id AND slot_at >= :slot_at LIMIT 1"


def is_slot_taken(conn: Connection, job_id: str, slot_at: int) -> bool:
    """Tell whether a slot (Unix ms), or a later one, has been taken."""
    return conn.execute(HAS_LATER_SLOT, {"job_id": job_id, "slot_at": slot_at}).fetchone() is not None


def begin_discovery(conn: Connection, job_id: str, slot_at: int | None = None) -> int | None:
    """
    Take a slot (Unix ms) for a discovery, or begin one by hand with None; the run's id. Commits.

    None when this slot, or a later one, was taken already: a second beat changes nothing.
    """
    now = now_ms()
    asked = {
        "job_id": job_id,
        "slot_at": slot_at,
        "now": now,
        "leased_until": now + int(DISCOVERY_LEASE_SECONDS * 1000),
    }
    if slot_at is not None and is_slot_taken(conn, job_id, slot_at):
        return None
    with write(conn):
        conn.execute(INTRODUCE_JOB, asked)
        row = conn.execute(BEGIN_RUN, asked).fetchone()
    return int(row[0]) if row else None


RESUME_RUN = """
UPDATE discovery_runs
   SET attempt = attempt + 1, started_at = :now, leased_until = :leased_until, retry_at = NULL,
       ended_at = NULL, outcome = NULL, error = NULL
 WHERE run_id = :run_id AND (retry_at <= :now OR leased_until < :now)
RETURNING job_id
"""


def resume_discovery(conn: Connection, run_id: int) -> bool:
    """Take a run that waits to be tried again, or whose worker died; False if somebody else did. Commits."""
    now = now_ms()
    asked = {"run_id": run_id, "now": now, "leased_until": now + int(DISCOVERY_LEASE_SECONDS * 1000)}
    with write(conn):
        return conn.execute(RESUME_RUN, asked).fetchone() is not None


RENEW_RUN = """
UPDATE discovery_runs SET leased_until = :leased_until WHERE run_id = :run_id AND leased_until IS NOT NULL
"""


def renew_discovery(conn: Connection, run_id: int) -> bool:
    """Hold a run's lease longer; False when it has ended. Commits."""
    with write(conn):
        until = now_ms() + int(DISCOVERY_LEASE_SECONDS * 1000)
        conn.execute(RENEW_RUN, {"run_id": run_id, "leased_until": until})
        return conn.changes() == 1


END_RUN = """
UPDATE discovery_runs
   SET leased_until = NULL, ended_at = :now, outcome = :outcome, found = :found, new = :new,
       refused = :refused, error = :error, retry_at = :retry_at
 WHERE run_id = :run_id AND leased_until IS NOT NULL
RETURNING job_id
"""


@dataclass(frozen=True, slots=True)
class Yield:
    """What a discovery brought: items found, of those new, and found things that were refused, by reason."""

    found: int
    new: int
    refused: dict[str, int]


def finish_discovery(conn: Connection, run_id: int, brought: Yield) -> None:
    """Record a discovery that worked; the job's error is forgotten. Commits."""
    asked = {
        "found": brought.found,
        "new": brought.new,
        "refused": sum(brought.refused.values()),
        "outcome": "found",
    }
    with write(conn):
        job_id = _end(conn, run_id, asked)
        if job_id is not None:
            clear_errors(conn, job_id)
            detail = {"found": brought.found, "new": brought.new, "refused": brought.refused}
            append_event(conn, job_id, "discover", None, None, None, None, detail)


def fail_discovery(conn: Connection, run_id: int, error: str, retry_at: int | None) -> None:
    """Record a discovery that failed, and when (Unix ms) it is tried again, if it is. Commits."""
    outcome = "failed" if retry_at is None else "unavailable"
    with write(conn):
        job_id = _end(conn, run_id, {"outcome": outcome, "error": error, "retry_at": retry_at})
        if job_id is not None:
            set_job_error(conn, job_id, error)
            detail = {"error": error, "retry_at": retry_at}
            append_event(conn, job_id, "discover_failed", None, None, None, None, detail)


def _end(conn: Connection, run_id: int, facts: dict[str, object]) -> str | None:
    empty = {"found": 0, "new": 0, "refused": 0, "error": None, "retry_at": None}
    row = conn.execute(END_RUN, empty | facts | {"run_id": run_id, "now": now_ms()}).fetchone()
    return row[0] if row else None


@dataclass(frozen=True, slots=True)
class Run:
    """A discovery run that has to be taken up again."""

    run_id: int
    job_id: str
    attempt: int


LIST_DUE_RUNS = """
SELECT run_id, job_id, attempt FROM discovery_runs INDEXED BY idx_discovery_runs_retry WHERE retry_at <= :now
 UNION ALL
SELECT run_id, job_id, attempt FROM discovery_runs INDEXED BY idx_discovery_runs_leased WHERE leased_until < :now
 ORDER BY run_id
"""


def list_due_runs(conn: Connection) -> list[Run]:
    """List the runs whose time to be tried again has come, or whose worker died."""
    return [Run(*row) for row in conn.execute(LIST_DUE_RUNS, {"now": now_ms()})]


DROP_RETRIES = """
UPDATE discovery_runs INDEXED BY idx_discovery_runs_retry
   SET retry_at = NULL, outcome = 'failed'
 WHERE job_id = :job_id AND run_id < :run_id AND retry_at IS NOT NULL
"""


def drop_older_retries(conn: Connection, job_id: str, run_id: int) -> None:
    """Give up older runs of a job that wait to be tried again: a newer one does their work. Commits."""
    with write(conn):
        conn.execute(DROP_RETRIES, {"job_id": job_id, "run_id": run_id})


LAST_RUN = """
SELECT run_id, job_id, slot_at, attempt, started_at, leased_until, retry_at, ended_at, outcome, found, new,
       refused, error
  FROM discovery_runs
 WHERE job_id = :job_id
 ORDER BY run_id DESC
 LIMIT 1
"""

COUNT_ATTEMPTS = "SELECT attempt FROM discovery_runs WHERE run_id = :run_id"


def count_attempts(conn: Connection, run_id: int) -> int:
    """Count how often a run was taken up, this time included."""
    return int(conn.execute(COUNT_ATTEMPTS, {"run_id": run_id}).fetchone()[0])
