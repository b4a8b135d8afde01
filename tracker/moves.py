"""
Settle attempts: the one way in which a stage that was claimed moves on.

One UPDATE moves a stage. It checks the status that it comes from and, when settling, the attempt; if no row
changed, somebody else owns the stage by now. The move's event is written in the same transaction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import StaleLeaseError
from pipeline.lifecycle import FINISH, SATISFIED, Move, Status
from tracker.clock import now_ms
from tracker.connection import Connection, join
from tracker.cutoff import follow_rerun, read_before, release_waiting
from tracker.endings import Ending, make_storable
from tracker.events import append_event
from tracker.followers import Attempt, advance_needs, rejoin_plan, skip_rest

if TYPE_CHECKING:
    from tracker.endings import Failure

COUNTDOWN_MAX_SECONDS = 300.0
"""A longer wait is parked in the tracker, and costs the broker nothing."""

COUNTDOWN_MAX_COUNT = 1000
"""Of one stage at most so many waits are handed to the broker: each sits in a worker's memory."""

RESEND_AFTER_MS = 60_000
"""A message that was not claimed by then is taken for lost; each further sending doubles it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling an attempt did: where the stage is now, and for how long its message is to be delayed."""

    item_id: int
    job_id: str
    stage: str
    attempt: int
    status: Status
    countdown_seconds: float | None = None


SETTLE_STAGE = """
UPDATE item_stages
   SET status = iif(status = 'in_progress' AND cancelled_by IS NOT NULL, 'skipped', :target),
       reason = iif(status = 'in_progress' AND cancelled_by IS NOT NULL, 'cancelled by ' || cancelled_by, :reason),
       leased_until = NULL,
       ended_at = iif(:target = 'pending' AND (status <> 'in_progress' OR cancelled_by IS NULL), NULL, :now),
       retries = retries + :retried, crashes = crashes + :crashed,
       retry_at = iif(status = 'in_progress' AND cancelled_by IS NOT NULL, NULL, :retry_at),
       queued_at = NULL, resend_at = NULL, sends = 0
 WHERE item_id = :item_id AND stage = :stage
   AND status = :source AND (attempt = :attempt OR :attempt IS NULL)
RETURNING job_id, attempt, started_at, status, reason, again
"""


def settle(
    conn: Connection,
    item_id: int,
    stage: str,
    attempt: int | None,
    ending: Ending,
    *,
    by: str | None = None,
    hand_over: bool = True,
    took_ms: int | None = None,
) -> Settled:
    """
    End an attempt: the status, its result or failure, its event and what becomes ready.

    All in one transaction, which joins the caller's. `attempt=None` means whichever is current. A short
    wait is stamped for a countdown, which the caller must then publish, unless `hand_over` is false. `took_ms` is how
    long it took, if that is not the time since its claim. Raises `StaleLeaseError` when this attempt no longer owns the
    stage; then nothing is changed.
    """
    now = now_ms()
    with join(conn):
        row = conn.execute(
            SETTLE_STAGE,
            {
                "item_id": item_id,
                "stage": stage,
                "attempt": attempt,
                "now": now,
                "source": ending.source,
                "target": ending.move.target,
                "reason": None if ending.reason is None else make_storable(ending.reason),
                "retry_at": ending.retry_at,
                "retried": ending.uses_retry,
                "crashed": ending.is_crash,
            },
        ).fetchone()
        if row is None:
            raise StaleLeaseError(item_id, stage, attempt)
        if row[3] != ending.move.target:  # somebody asked for it to stop meanwhile: that is how it ended
            ending = Ending.skipped(row[4])
        settled = Attempt(item_id, row[0], stage, row[1], row[2], now)
        before = None if row[5] is None else read_before(conn, item_id, stage)
        _record(conn, settled, ending, by, took_ms)
        status, countdown = ending.move.target, None
        if status is Status.PENDING:
            status = rejoin_plan(conn, settled, by)
        if status in SATISFIED:
            if before is not None:
                follow_rerun(conn, settled, before, ending, by)
            advance_needs(conn, item_id, stage, row[0])
        if ending.skips_rest:
            skip_rest(conn, settled, ending.reason, by)
            release_waiting(conn, [item_id], by)
        if hand_over and ending.retry_at is not None:
            countdown = _hand_to_broker(conn, settled, ending)
    return Settled(item_id, row[0], stage, row[1], status, countdown)


def _record(conn: Connection, attempt: Attempt, ending: Ending, by: str | None, took_ms: int | None) -> None:
    append_event(
        conn,
        attempt.job_id,
        ending.move.name,
        attempt.item_id,
        attempt.stage,
        attempt.number,
        by,
        ending.as_detail(),
    )
    if ending.result_json is not None:
        _put_result(conn, attempt, ending)
    if ending.failure is not None:
        _put_failure(conn, attempt, ending.failure)
    if attempt.started_at is not None and ending.source is Status.IN_PROGRESS:
        _count_settled(conn, attempt, ending.move, took_ms)


PUT_RESULT = """
INSERT INTO results (item_id, stage, job_id, attempt, result, handler_version, input_hash, output_hash, stored_at)
VALUES (:item_id, :stage, :job_id, :attempt, :result, :handler_version, :input_hash, :output_hash, :now)
    ON CONFLICT (item_id, stage) DO UPDATE
   SET attempt = excluded.attempt, result = excluded.result, handler_version = excluded.handler_version,
       input_hash = excluded.input_hash, output_hash = excluded.output_hash, stored_at = excluded.stored_at
"""


def _put_result(conn: Connection, attempt: Attempt, ending: Ending) -> None:
    conn.execute(
        PUT_RESULT,
        {
            "item_id": attempt.item_id,
            "stage": attempt.stage,
            "job_id": attempt.job_id,
            "attempt": attempt.number,
            "result": ending.result_json,
            "handler_version": ending.handler_version,
            "input_hash": ending.input_hash,
            "output_hash": ending.output_hash,
            "now": attempt.now,
        },
    )


PUT_FAILURE = """
INSERT INTO failures (item_id, stage, attempt, job_id, failed_at, error_type, message, signature, traceback, host,
                      handler_version)
VALUES (:item_id, :stage, :attempt, :job_id, :now, :error_type, :message, :signature, :traceback, :host,
        :handler_version)
    ON CONFLICT DO UPDATE
   SET failed_at = excluded.failed_at, error_type = excluded.error_type, message = excluded.message,
       signature = excluded.signature, traceback = excluded.traceback, host = excluded.host,
       handler_version = excluded.handler_version
"""


def _put_failure(conn: Connection, attempt: Attempt, failure: Failure) -> None:
    conn.execute(
        PUT_FAILURE,
        {
            "item_id": attempt.item_id,
            "stage": attempt.stage,
            "attempt": attempt.number,
            "job_id": attempt.job_id,
            "now": attempt.now,
            "error_type": failure.error_type,
            "message": failure.message,
            "signature": failure.signature,
            "traceback": failure.traceback,
            "host": failure.host,
            "handler_version": failure.handler_version,
        },
    )


COUNT_TIMING = """
INSERT INTO stage_timings (job_id, stage, bucket, count, total_ms, max_ms)
VALUES (:job_id, :stage, :bucket, 1, :ms, :ms)
    ON CONFLICT DO UPDATE
   SET count = count + 1, total_ms = total_ms + :ms, max_ms = max(max_ms, :ms)
"""

COUNT_MINUTE = """
INSERT INTO stage_minutes (job_id, stage, minute, settled, failed)
VALUES (:job_id, :stage, :minute, 1, :failed)
    ON CONFLICT DO UPDATE
   SET settled = settled + 1, failed = failed + :failed
"""


def _count_settled(conn: Connection, attempt: Attempt, move: Move, took_ms: int | None) -> None:
    if took_ms is None:
        took_ms = attempt.now - (attempt.started_at or attempt.now)
    milliseconds = max(0, took_ms)
    asked = {
        "job_id": attempt.job_id,
        "stage": attempt.stage,
        "bucket": bucket_of(milliseconds),
        "ms": milliseconds,
        "minute": attempt.now // 60_000,
        "failed": move.target is Status.FAILED,
    }
    if move is FINISH:
        conn.execute(COUNT_TIMING, asked)
    conn.execute(COUNT_MINUTE, asked)


def bucket_of(milliseconds: int) -> int:
    """
    Tell the histogram's bucket of a duration: 8 to an octave, so that a bucket is 9 % wide.

    >>> bucket_of(0), bucket_of(1), bucket_of(1000)
    (0, 0, 80)
    """
    return round(8 * math.log2(max(milliseconds, 1)))


COUNT_COUNTDOWNS = "SELECT countdown FROM stage_counts WHERE job_id = :job_id AND stage = :stage"

STAMP_COUNTDOWN = """
UPDATE item_stages
   SET queued_at = :now, resend_at = retry_at + :resend_after, sends = 1
 WHERE item_id = :item_id AND stage = :stage AND status = 'pending' AND needs_left = 0
"""


def _hand_to_broker(conn: Connection, attempt: Attempt, ending: Ending) -> float | None:
    delay_seconds = max(0.0, ((ending.retry_at or 0) - attempt.now) / 1000)
    asked = {
        "job_id": attempt.job_id,
        "item_id": attempt.item_id,
        "stage": attempt.stage,
        "now": attempt.now,
        "resend_after": RESEND_AFTER_MS,
    }
    waiting = conn.execute(COUNT_COUNTDOWNS, asked).fetchone()
    if delay_seconds > COUNTDOWN_MAX_SECONDS or (waiting and waiting[0] >= COUNTDOWN_MAX_COUNT):
        return None
    conn.execute(STAMP_COUNTDOWN, asked)
    return delay_seconds if conn.changes() else None
