"""Discovery runs: each slot discovered once, each run under a lease, each ending on record."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tracker.clock import latest_ms, now_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.introducing import INTRODUCE_JOB
from tracker.jobs import clear_errors, set_job_error
from tracker.run_counts import Counts
from tracker.sources import SourceLook, record_looks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DISCOVERY_LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RunLease:
    """A discovery run that this process has taken. `attempt` fences: whoever takes it up later has a higher one."""

    run_id: int
    job_id: str
    attempt: int
    waits: int = 0
    """How many of its attempts only waited for a paused host."""

    @property
    def tries(self) -> int:
        """Count the attempts that tried."""
        return self.attempt - self.waits


BEGIN_RUN = """
INSERT INTO discovery_runs (job_id, slot_at, started_at, leased_until)
VALUES (:job_id, :slot_at, :now, :leased_until)
    ON CONFLICT (job_id, slot_at) DO NOTHING
RETURNING run_id, job_id, attempt
"""

HAS_LATER_SLOT = """
SELECT 1 FROM discovery_runs WHERE job_id = :job_id AND slot_at BETWEEN :slot_at AND :latest LIMIT 1
"""


def is_slot_taken(conn: Connection, job_id: str, slot_at: int) -> bool:
    """Tell whether a slot (Unix ms), or a later one, has been taken; not by a clock that was ahead."""
    asked = {"job_id": job_id, "slot_at": slot_at, "latest": latest_ms()}
    return conn.execute(HAS_LATER_SLOT, asked).fetchone() is not None


def begin_discovery(conn: Connection, job_id: str, slot_at: int | None = None) -> RunLease | None:
    """
    Take a slot (Unix ms) for a discovery, or begin one by hand with None. Commits.

    None when this slot, or a later one, was taken already: a second beat changes nothing.
    """
    if slot_at is not None and is_slot_taken(conn, job_id, slot_at):
        return None
    asked = {"job_id": job_id, "slot_at": slot_at, **_lease_from_now()}
    with write(conn):
        conn.execute(INTRODUCE_JOB, asked)
        row = conn.execute(BEGIN_RUN, asked).fetchone()
    return RunLease(*row) if row else None


RESUME_RUN = """
UPDATE discovery_runs
   SET attempt = attempt + 1, started_at = :now, leased_until = :leased_until, retry_at = NULL,
       ended_at = NULL, outcome = NULL, error = NULL, waits_for = NULL
 WHERE run_id = :run_id AND (retry_at <= :now OR leased_until < :now)
RETURNING run_id, job_id, attempt, waits
"""


def resume_discovery(conn: Connection, run_id: int) -> RunLease | None:
    """Take a run that waits to be tried again, or whose worker died; None if somebody else did. Commits."""
    with write(conn):
        row = conn.execute(RESUME_RUN, {"run_id": run_id, **_lease_from_now()}).fetchone()
    return RunLease(*row) if row else None


RENEW_RUN = """
UPDATE discovery_runs
   SET leased_until = :leased_until
 WHERE run_id = :run_id AND attempt = :attempt AND leased_until IS NOT NULL
"""


def renew_discovery(conn: Connection, run: RunLease) -> bool:
    """Hold a run's lease longer; False when it has ended or somebody else has it. Commits."""
    with write(conn):
        conn.execute(RENEW_RUN, {"run_id": run.run_id, "attempt": run.attempt, **_lease_from_now()})
        return conn.changes() == 1


def _lease_from_now() -> dict[str, int]:
    now = now_ms()
    return {"now": now, "leased_until": now + int(DISCOVERY_LEASE_SECONDS * 1000)}


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What there is to tell of a discovery besides its counts.

    `refused` counts by reason the found things that were not let in; `problems` says what could not be had;
    `looks` is what came of each source.
    """

    refused: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[str] = ()
    looks: Sequence[SourceLook] = ()


SHOWN_PROBLEMS = 20
"""How many problems an event tells; the rest are counted."""


def finish_discovery(conn: Connection, run: RunLease, findings: Findings) -> None:
    """Record a discovery that worked, and what its sources are known by now; the job's error is forgotten. Commits."""
    with write(conn):
        counts = _end(conn, run, findings, {"outcome": "found", "error": None, "retry_at": None})
        if counts is None:
            return
        record_looks(conn, run.job_id, findings.looks)
        clear_errors(conn, run.job_id)
        detail: dict[str, Any] = {"run_id": run.run_id, "found": counts.found, "new": counts.new}
        detail["refused"] = dict(findings.refused)
        more = {"changed": counts.changed, "held": counts.held, "problems": _show(findings.problems)}
        detail |= {name: value for name, value in more.items() if value}
        append_event(conn, run.job_id, "discover", None, None, None, None, detail)


def fail_discovery(
    conn: Connection,
    run: RunLease,
    error: str,
    retry_at: int | None,
    findings: Findings = Findings(),
) -> None:
    """Record a discovery that failed, and when (Unix ms) it is tried again, if it is. Commits."""
    outcome = "failed" if retry_at is None else "unavailable"
    with write(conn):
        ended = _end(conn, run, findings, {"outcome": outcome, "error": error, "retry_at": retry_at})
        if ended is None:
            return
        record_looks(conn, run.job_id, findings.looks)
        set_job_error(conn, run.job_id, error)
        detail: dict[str, Any] = {"run_id": run.run_id, "error": error, "retry_at": retry_at}
        detail |= {"refused": dict(findings.refused)} if findings.refused else {}
        append_event(conn, run.job_id, "discover_failed", None, None, None, None, detail)


def _show(problems: Sequence[str]) -> list[str]:
    shown = list(problems[:SHOWN_PROBLEMS])
    return [*shown, f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else shown


READ_REFUSED = "SELECT refused_for FROM discovery_runs WHERE run_id = :run_id"

END_RUN = """
UPDATE discovery_runs
   SET leased_until = NULL, ended_at = :now, outcome = :outcome, requests = requests + :requests,
       refused = refused + :refused, refused_for = :refused_for, error = :error, retry_at = :retry_at
 WHERE run_id = :run_id AND attempt = :attempt AND leased_until IS NOT NULL
RETURNING found, new, changed, held
"""


def _end(conn: Connection, run: RunLease, findings: Findings, facts: dict[str, object]) -> Counts | None:
    told = conn.execute(READ_REFUSED, {"run_id": run.run_id}).fetchone()
    refused = Counter(json.loads(told[0])) if told and told[0] else Counter[str]()  # by its earlier attempts
    refused.update(findings.refused)
    row = conn.execute(
        END_RUN,
        {
            "run_id": run.run_id,
            "attempt": run.attempt,
            "requests": sum(look.requests for look in findings.looks),
            "refused": sum(findings.refused.values()),
            "refused_for": json.dumps(refused) if refused else None,
            "now": now_ms(),
            **facts,
        },
    ).fetchone()
    return Counts(*row) if row else None


SKIP_RUN = """
INSERT INTO discovery_runs (job_id, slot_at, started_at, ended_at, outcome, error)
VALUES (:job_id, :slot_at, :now, :now, 'skipped', :reason)
    ON CONFLICT (job_id, slot_at) DO NOTHING
RETURNING run_id
"""


COUNT_MISSED_SLOT = "UPDATE jobs SET missed_slots = missed_slots + 1 WHERE job_id = :job_id"


def skip_discovery(
    conn: Connection, job_id: str, slot_at: int | None, reason: str, *, made_up: bool = False
) -> bool:
    """
    Record that a discovery was left out, and why; False when its slot was taken already. Commits.

    With `made_up` it is counted, for one discovery to make up for it when the job is no longer paused.
    """
    asked = {"job_id": job_id, "slot_at": slot_at, "now": now_ms(), "reason": reason}
    if slot_at is not None and is_slot_taken(conn, job_id, slot_at):
        return False
    with write(conn):
        conn.execute(INTRODUCE_JOB, asked)
        if conn.execute(SKIP_RUN, asked).fetchone() is None:
            return False
        if made_up:
            conn.execute(COUNT_MISSED_SLOT, asked)
        append_event(conn, job_id, "discover_skipped", None, None, None, None, {"reason": reason})
    return True


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


def drop_older_retries(conn: Connection, run: RunLease) -> None:
    """Give up older runs of a job that wait to be tried again: a newer one does their work. Commits."""
    with write(conn):
        conn.execute(DROP_RETRIES, {"job_id": run.job_id, "run_id": run.run_id})
