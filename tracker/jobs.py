"""Jobs: their pauses, their errors, and the wish that they look for work now."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from tracker import pauses
from tracker.clock import now_ms, to_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.introducing import INTRODUCE_JOB
from tracker.pauses import Target, find_pause_of, list_due_pauses

if TYPE_CHECKING:
    from tracker.rows import Row


def set_job_paused(
    conn: Connection,
    job_id: str,
    paused: bool,
    reason: str | None = None,
    until: datetime | int | None = None,
    by: str | None = None,
) -> None:
    """
    Hold a job back, until an instant (aware datetime or Unix ms) or until lifted; or let it go on.

    Obeyed at once, also by messages on their way: a paused stage is not claimed. Stages that run end as they
    would. Commits.
    """
    target = Target.of_job(job_id)
    with write(conn):
        conn.execute(INTRODUCE_JOB, {"job_id": job_id, "now": now_ms()})
        if paused:
            pauses.pause(conn, target, reason or "no reason given", until, by)
        else:
            pauses.lift(conn, target, by, reason)


def pause_job(
    conn: Connection, job_id: str, reason: str, until: datetime | int | None = None, by: str | None = None
) -> None:
    """Hold a job back; see `set_job_paused`."""
    set_job_paused(conn, job_id, paused=True, reason=reason, until=until, by=by)


def unpause_job(conn: Connection, job_id: str, by: str | None = None) -> None:
    """Let a job go on, and forget how often its pauses lifted themselves. Commits."""
    with write(conn):
        set_job_paused(conn, job_id, paused=False, by=by)
        reset_auto_unpauses(conn, job_id)


def is_job_paused(conn: Connection, job_id: str) -> bool:
    """Tell whether a job is held back now, by a pause of its own or of everything."""
    return find_pause_of(conn, job_id) is not None


def get_pause_reason(conn: Connection, job_id: str) -> str | None:
    """Get why a job is held back, or None when it is not."""
    pause = find_pause_of(conn, job_id)
    return pause.reason if pause else None


def get_retry_info(conn: Connection, job_id: str) -> dict[str, Any]:
    """
    Tell when a held job goes on, and how often its pauses lifted themselves without success since.

    Keys: paused, reason, by, since_at and until_at (Unix ms or None), auto_unpauses, and pause_factor: what
    the next automatic pause is multiplied by.
    """
    pause, times = find_pause_of(conn, job_id), read_auto_unpauses(conn, job_id)
    facts = {name: getattr(pause, name, None) for name in ("reason", "by", "since_at", "until_at")}
    return facts | {
        "job_id": job_id,
        "paused": pause is not None,
        "auto_unpauses": times,
        "pause_factor": 2**times,
    }


ALL_PAUSES = """
SELECT job_id, reason, by, since_at, until_at FROM pauses WHERE scope = 'job' ORDER BY job_id
"""


def get_all_job_paused(conn: Connection) -> dict[str, Row]:
    """Get every job's own pause in force, by job."""
    return {row["job_id"]: row for row in conn.execute(ALL_PAUSES)}


def get_jobs_due_unpause(conn: Connection, now: datetime | int | None = None) -> list[str]:
    """List the jobs whose pause has run out by `now` (aware datetime, Unix ms, or the present)."""
    at = to_ms(now) if isinstance(now, datetime) else now
    return [due.job_id for due in list_due_pauses(conn, at) if due.scope == "job"]


READ_AUTO_UNPAUSES = "SELECT auto_unpauses FROM jobs WHERE job_id = :job_id"

RESET_AUTO_UNPAUSES = """
UPDATE jobs SET auto_unpauses = 0
 WHERE job_id = :job_id AND auto_unpauses > 0
   AND NOT EXISTS (SELECT 1 FROM pauses p
                    WHERE p.scope = 'job' AND p.job_id = :job_id AND p.stage = '' AND p.host = '')
"""


def increment_auto_unpause(conn: Connection, job_id: str) -> int:
    """
    Lift a job's pause because its time has come; how often that happened since the last success. Commits.

    Each time doubles what the next automatic pause is multiplied by (`get_retry_info`, pause_factor).
    """
    with write(conn):
        set_job_paused(conn, job_id, paused=False, reason="its time has come", by=pauses.SWEEP)
        return pauses.count_auto_unpause(conn, job_id)


def reset_auto_unpauses(conn: Connection, job_id: str) -> None:
    """
    Forget how often pauses lifted themselves: the job had a success. Commits, and writes only if needed.

    While it is paused nothing is forgotten: what ends then began before, or is a breaker's probe.
    """
    if read_auto_unpauses(conn, job_id):
        with write(conn):
            conn.execute(RESET_AUTO_UNPAUSES, {"job_id": job_id})


def read_auto_unpauses(conn: Connection, job_id: str) -> int:
    """Read how often a job's pauses lifted themselves since its last success."""
    row = conn.execute(READ_AUTO_UNPAUSES, {"job_id": job_id}).fetchone()
    return int(row[0]) if row else 0


ASK_TO_LOOK = """
INSERT INTO jobs (job_id, first_seen_at, woken_at)
VALUES (:job_id, :now, :now)
    ON CONFLICT DO UPDATE
   SET woken_at = :now
"""


def wake_job(conn: Connection, job_id: str, by: str | None = None) -> None:
    """Ask that a job look for work now: the next sweep discovers it, whatever its schedule. Commits."""
    with write(conn):
        conn.execute(ASK_TO_LOOK, {"job_id": job_id, "now": now_ms()})
        append_event(conn, job_id, "wake", None, None, None, by, None)


LIST_WOKEN = "SELECT job_id, woken_at FROM jobs WHERE woken_at IS NOT NULL ORDER BY woken_at"


def list_woken_jobs(conn: Connection) -> list[tuple[str, int]]:
    """List the jobs that were asked to look for work, and when (Unix ms), the longest ago first."""
    return [(row[0], row[1]) for row in conn.execute(LIST_WOKEN)]


NOTE_LOOKED = "UPDATE jobs SET woken_at = NULL WHERE job_id = :job_id AND woken_at = :woken_at"


def note_looked(conn: Connection, job_id: str, woken_at: int) -> None:
    """Note that a job looks for work as it was asked then; if it was asked again since, that still stands. Commits."""
    with write(conn):
        conn.execute(NOTE_LOOKED, {"job_id": job_id, "woken_at": woken_at})


LIST_MISSED_SLOTS = """
SELECT job_id, missed_slots
  FROM jobs
 WHERE missed_slots > 0
   AND NOT EXISTS (SELECT 1 FROM pauses p
                    WHERE p.scope IN ('all', 'job') AND p.job_id IN ('', jobs.job_id) AND p.stage = ''
                      AND (p.cause <> 'breaker' OR p.until_at IS NOT NULL))    -- else it lets out probes
"""

MAKE_UP_SLOTS = """
UPDATE jobs SET woken_at = :now, missed_slots = 0 WHERE job_id = :job_id AND missed_slots = :missed_slots
"""


def wake_for_missed_slots(conn: Connection) -> int:
    """
    Ask the jobs that missed scheduled times while they were paused, and no longer are, to look once; how many.

    Commits, and writes nothing when there is none.
    """
    if conn.execute(LIST_MISSED_SLOTS).fetchone() is None:
        return 0
    with write(conn):
        missed = conn.execute(LIST_MISSED_SLOTS).fetchall()
        for job_id, slots in missed:
            conn.execute(MAKE_UP_SLOTS, {"job_id": job_id, "missed_slots": slots, "now": now_ms()})
            detail = {"reason": "its pause is over", "missed_slots": slots}
            append_event(conn, job_id, "discover_made_up", None, None, None, pauses.SWEEP, detail)
    return len(missed)


SET_ERROR = """
INSERT INTO jobs (job_id, first_seen_at, error, error_at)
VALUES (:job_id, :now, :error, :now)
    ON CONFLICT DO UPDATE
   SET error = excluded.error, error_at = excluded.error_at
"""

CLEAR_ERRORS = "UPDATE jobs SET error = NULL, error_at = NULL WHERE job_id = :job_id AND error IS NOT NULL"

READ_ERROR = "SELECT error FROM jobs WHERE job_id = :job_id"


def set_job_error(conn: Connection, job_id: str, error: str) -> None:
    """Record why a job's discovery failed. Commits."""
    with write(conn):
        conn.execute(SET_ERROR, {"job_id": job_id, "now": now_ms(), "error": error})


def clear_errors(conn: Connection, job_id: str) -> None:
    """Forget a job's error. Commits."""
    with write(conn):
        conn.execute(CLEAR_ERRORS, {"job_id": job_id})


def get_job_error(conn: Connection, job_id: str) -> str | None:
    """Get why a job's last discovery failed, or None."""
    row = conn.execute(READ_ERROR, {"job_id": job_id}).fetchone()
    return row[0] if row else None
