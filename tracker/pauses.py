"""Pauses: one record for each thing that is held back, whoever holds it; and their lifting in time."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from tracker.clock import now_ms, to_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.host_waits import wake_looks
from tracker.introducing import INTRODUCE_JOB
from tracker.pause_records import Cause, Pause, Scope, Target, list_domains
from tracker.paused import (
    Holds,
    find_host_pause,
    find_pause_of,
    list_pauses,
    list_probing,
    list_stage_pauses,
    read_holds,
)
from tracker.probes import forget_probes

__all__ = [
    "Cause",
    "Holds",
    "Pause",
    "Scope",
    "Target",
    "find_host_pause",
    "find_pause_of",
    "lift",
    "lift_due",
    "list_domains",
    "list_due_pauses",
    "list_pauses",
    "list_probing",
    "list_stage_pauses",
    "pause",
    "read_holds",
    "read_pause",
]

SWEEP = "sweep"
"""Who lifts a pause because its time has come."""

READ_PAUSE = """
SELECT scope, job_id, stage, host, cause, reason, by, since_at, until_at, lifts, probes_left
  FROM pauses
 WHERE scope = :scope AND job_id = :job_id AND stage = :stage AND host = :host
"""


def read_pause(conn: Connection, target: Target) -> Pause | None:
    """Read the pause of exactly this target, or None."""
    row = conn.execute(READ_PAUSE, asdict(target)).fetchone()
    return Pause.from_row(row) if row else None


SET_PAUSE = """
INSERT INTO pauses (scope, job_id, stage, host, cause, reason, by, since_at, until_at, lifts)
VALUES (:scope, :job_id, :stage, :host, :cause, :reason, :by, :now, :until,
        coalesce((SELECT j.auto_unpauses FROM jobs j WHERE j.job_id = :job_id AND :scope = 'job'), 0))
    ON CONFLICT DO UPDATE
   SET cause = excluded.cause, reason = excluded.reason, by = excluded.by, until_at = excluded.until_at,
       probes_left = 0
"""


def pause(
    conn: Connection,
    target: Target,
    reason: str,
    until: datetime | int | None = None,
    by: str | None = None,
    cause: Cause = "person",
) -> Pause | None:
    """
    Hold something back, until an instant (aware datetime or Unix ms) or until lifted; the pause that was there before.

    A pause that is there already goes on since then, with the new reason and end. Obeyed at once: nothing more is
    claimed, also for messages on their way; what runs ends as it would. One event. Commits.
    """
    until_ms = to_ms(until) if isinstance(until, datetime) else until
    asked = asdict(target) | {"cause": cause, "reason": reason, "by": by or "unknown", "until": until_ms}
    detail = {"reason": reason, "until_at": until_ms}
    with write(conn):
        before = read_pause(conn, target)
        if target.job_id:
            conn.execute(INTRODUCE_JOB, {"job_id": target.job_id, "now": now_ms()})
        _forget_probes(conn, target)
        conn.execute(SET_PAUSE, asked | {"now": now_ms()})
        log_pause(conn, "pause", target, by, detail)
    return before


def log_pause(conn: Connection, kind: str, target: Target, by: str | None, detail: dict[str, Any]) -> None:
    """Record what happened to a pause, in the caller's transaction."""
    where = {"scope": target.scope} | ({"host": target.host} if target.host else {})
    append_event(conn, target.job_id or None, kind, None, target.stage or None, None, by, where | detail)


LIFT_PAUSE = """
DELETE FROM pauses
 WHERE scope = :scope AND job_id = :job_id AND stage = :stage AND host = :host
   AND (until_at <= :due_by OR :due_by IS NULL)
"""

FORGET_FAILURES_OF_JOB = "DELETE FROM failure_rows WHERE job_id = :job_id AND host = ''"

FORGET_FAILURES_OF_HOST = "DELETE FROM failure_rows WHERE job_id = '' AND stage = '' AND host = :host"


def lift(conn: Connection, target: Target, by: str | None = None, reason: str | None = None) -> Pause | None:
    """
    Let something go on; the pause that was lifted, or None when there was none. One event. Commits.

    What a breaker had counted of it is forgotten.
    """
    with write(conn):
        held = read_pause(conn, target)
        if held is not None:
            take_away(conn, target)
            log_pause(conn, "unpause", target, by, {"reason": reason} if reason else {})
            forget_failures(conn, target)
    return held


def take_away(conn: Connection, target: Target, due_by: int | None = None) -> bool:
    """
    Take a pause away with what belongs to it, in the caller's transaction; False when there is none.

    With `due_by` (Unix ms) only if its time has come by then: it may have been set anew. Discoveries that wait for
    a host look again now; its stages are woken by the sweep.
    """
    conn.execute(LIFT_PAUSE, asdict(target) | {"due_by": due_by})
    if not conn.changes():
        return False
    _forget_probes(conn, target)
    if target.scope == "host":
        wake_looks(conn, target.host)
    return True


def _forget_probes(conn: Connection, target: Target) -> None:
    if target.scope in {"job", "host"}:
        forget_probes(conn, target.job_id, target.host)


def forget_failures(conn: Connection, target: Target) -> None:
    """Begin the count of failures in a row of a job or host anew, in the caller's transaction."""
    if target.scope == "job":
        conn.execute(FORGET_FAILURES_OF_JOB, {"job_id": target.job_id})
    if target.scope == "host":
        conn.execute(FORGET_FAILURES_OF_HOST, {"host": target.host})


# -- in time ----------------------------------------------------------------------------------------------

LIST_DUE_PAUSES = """
SELECT scope, job_id, stage, host, cause, reason, by, since_at, until_at, lifts, probes_left
  FROM pauses INDEXED BY idx_pauses_until
 WHERE until_at <= :now
 ORDER BY until_at
"""


def list_due_pauses(conn: Connection, now: int | None = None) -> list[Pause]:
    """List the pauses whose time is up by `now` (Unix ms, or the present), first due first."""
    asked = {"now": now_ms() if now is None else now}
    return [Pause.from_row(row) for row in conn.execute(LIST_DUE_PAUSES, asked)]


COUNT_AUTO_UNPAUSE = """
INSERT INTO jobs (job_id, first_seen_at, auto_unpauses)
VALUES (:job_id, :now, 1)
    ON CONFLICT DO UPDATE
   SET auto_unpauses = auto_unpauses + 1
RETURNING auto_unpauses
"""


def count_auto_unpause(conn: Connection, job_id: str) -> int:
    """Count that a job's pause lifted itself, in the caller's transaction; how often since the last success."""
    return int(conn.execute(COUNT_AUTO_UNPAUSE, {"job_id": job_id, "now": now_ms()}).fetchone()[0])


def lift_due(conn: Connection, due: Pause) -> bool:
    """Lift a pause because its time has come; False when it was lifted, or set anew, meanwhile. Commits."""
    with write(conn):
        if not take_away(conn, due.target, now_ms()):
            return False
        if due.scope == "job":
            count_auto_unpause(conn, due.job_id)
        log_pause(conn, "unpause", due.target, SWEEP, {"reason": "its time has come"})
    return True
