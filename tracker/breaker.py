"""
Breakers of jobs: failures in a row, the pause that they open, the probes that are let out of it.

Counted for each stage, because a stage that works says nothing of another that does not; paused is the job. All
of it happens in the transaction that settles the attempt, so that any number of workers count as one.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from tracker import pauses, probes
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.jobs import read_auto_unpauses, reset_auto_unpauses
from tracker.pauses import Pause, Target

if TYPE_CHECKING:
    from collections.abc import Collection

    from pipeline.breaker import BreakerSpec

BREAKER = "breaker"
"""Who pauses, where nobody did by hand."""

COUNT_FAILURE = """
INSERT INTO failure_rows (job_id, stage, host, count, signature)
VALUES (:job_id, :stage, :host, 1, :signature)
    ON CONFLICT DO UPDATE
   SET count = iif(:of = 'any' OR signature = excluded.signature, count + 1, 1), signature = excluded.signature
RETURNING count, openings
"""

OPEN_PAUSE = """
INSERT INTO pauses (scope, job_id, stage, host, cause, reason, by, since_at, until_at, lifts)
VALUES (:scope, :job_id, '', :host, 'breaker', :reason, 'breaker', :now, :until, :lifts)
    ON CONFLICT DO UPDATE
   SET reason = excluded.reason, until_at = excluded.until_at, lifts = excluded.lifts, probes_left = 0
RETURNING scope, job_id, stage, host, cause, reason, by, since_at, until_at, lifts, probes_left
"""

COUNT_OPENING = """
UPDATE failure_rows SET openings = openings + 1 WHERE job_id = :job_id AND stage = :stage AND host = :host
"""


def note_failure(
    conn: Connection,
    spec: BreakerSpec,
    job_id: str,
    stage: str,
    signature: str,
    *,
    item_id: int,
    attempt: int,
) -> Pause | None:
    """
    Count a failure of a stage, in the caller's transaction; the pause that it opened, or None.

    The failure of a probe opens again at once, for twice as long. A job that is paused already stays as it is.
    """
    was_probe = probes.take_back_probe(conn, item_id, stage, attempt)
    asked = {"job_id": job_id, "stage": stage, "host": "", "signature": signature, "of": spec.of}
    count = conn.execute(COUNT_FAILURE, asked).fetchone()["count"]
    held = pauses.read_pause(conn, Target.of_job(job_id))
    is_due = was_probe and held.is_probing if held is not None else count >= spec.after
    if not is_due:
        return None
    conn.execute(COUNT_OPENING, asked)
    conn.execute(probes.FORGET_PROBES, asked)
    what = f"{stage}: {signature}"
    lifts = read_auto_unpauses(conn, job_id)
    return open_breaker(conn, spec, Target.of_job(job_id), what, count, lifts, stage=stage)


def open_breaker(
    conn: Connection, spec: BreakerSpec, target: Target, what: str, count: int, openings: int, stage: str = ""
) -> Pause:
    """Write a breaker's pause and its event, in the caller's transaction, which has seen that nobody else paused it."""
    until = now_ms() + spec.pause_ms(openings)
    reason = f"{count:,} failure{'s' if count > 1 else ''} in a row: {what}"
    asked = asdict(target) | {"reason": reason, "now": now_ms(), "until": until, "lifts": openings}
    opened = Pause.from_row(conn.execute(OPEN_PAUSE, asked).fetchone())
    detail = {"reason": reason, "until_at": until, "failures": count, "lifts": openings}
    detail |= {"stage": stage} if stage else {}
    pauses.log_pause(conn, "breaker_opened", target, BREAKER, detail)
    return opened


FORGET_ROW = "DELETE FROM failure_rows WHERE job_id = :job_id AND stage = :stage AND host = ''"

LIST_OPENERS = "SELECT stage FROM failure_rows WHERE job_id = :job_id AND openings > 0"


def note_success(
    conn: Connection, job_id: str, stage: str, *, item_id: int, attempt: int, stages: Collection[str]
) -> bool:
    """
    End a stage's row of failures, in the caller's transaction; True when that closed the job's breaker.

    It closes when a probe has passed the stages that had opened it, of those that the job still has (`stages`). A
    probe that passed another one is given back, so that its item, or another, may go on to them.
    """
    asked = {"job_id": job_id, "stage": stage}
    conn.execute(FORGET_ROW, asked)
    if not probes.take_back_probe(conn, item_id, stage, attempt):
        return False
    if {row[0] for row in conn.execute(LIST_OPENERS, asked)} & set(stages):
        probes.give_probe(conn, job_id)
        return False
    return close_breaker(conn, job_id, "a probe succeeded")


def close_breaker(conn: Connection, job_id: str, reason: str) -> bool:
    """Lift a breaker's pause of a job and forget its failures, in the caller's transaction; False if there is none."""
    target = Target.of_job(job_id)
    held = pauses.read_pause(conn, target)
    if held is None or held.cause != BREAKER:
        return False
    pauses.take_away(conn, target)
    pauses.forget_failures(conn, target)
    reset_auto_unpauses(conn, job_id)
    detail = {"reason": reason, "paused_ms": now_ms() - held.since_at, "lifts": held.lifts}
    pauses.log_pause(conn, "breaker_closed", target, BREAKER, detail)
    return True


# -- in time ----------------------------------------------------------------------------------------------

BEGIN_PROBING = """
UPDATE pauses
   SET until_at = NULL, probes_left = :probes, lifts = lifts + 1
 WHERE scope = :scope AND job_id = :job_id AND stage = :stage AND host = :host
   AND cause = 'breaker' AND until_at <= :now
RETURNING lifts
"""


def begin_probing(conn: Connection, due: Pause, count: int) -> bool:
    """
    Let so many attempts out of a breaker's pause whose time is up; False when it was changed meanwhile. Commits.

    Counts as a lift by itself: the next pause is twice as long, unless a probe succeeds.
    """
    with write(conn):
        row = conn.execute(BEGIN_PROBING, asdict(due.target) | {"probes": count, "now": now_ms()}).fetchone()
        if row is None:
            return False
        if due.job_id:
            conn.execute(probes.FORGET_PROBES, {"job_id": due.job_id})
            pauses.count_auto_unpause(conn, due.job_id)
        pauses.log_pause(conn, "breaker_probe", due.target, pauses.SWEEP, {"probes": count, "lifts": row[0]})
    return True
