"""
Move a stage: claim it for an attempt, renew the lease, settle the attempt.

One UPDATE moves a stage. It checks the status that it comes from and, when settling, the attempt; if no row
changed, somebody else owns the stage by now. The move's event is written in the same transaction.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import StaleLeaseError
from pipeline.lifecycle import CLAIM, FINISH, SATISFIED, SKIP, Move, Status
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.endings import make_storable
from tracker.events import append_event
from tracker.plan import SWITCHED_OFF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.endings import Ending, Failure

LEASE_SECONDS = 30.0
"""How long a claim holds unless it is renewed."""

COUNTDOWN_MAX_SECONDS = 300.0
"""A longer wait is parked in the tracker, and costs the broker nothing."""

COUNTDOWN_MAX_COUNT = 1000
"""Of one stage at most so many waits are handed to the broker: each sits in a worker's memory."""

EARLY_MS = 1000
"""How much too early a countdown may arrive, by rounding or by another host's clock."""

RESEND_AFTER_MS = 60_000
"""A message that was not claimed by then is taken for lost; each further sending doubles it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A stage taken for one attempt, with its item."""

    item_id: int
    job_id: str
    stage: str
    attempt: int
    key: str
    data: Mapping[str, Any]
    priority: int
    retries: int
    crashes: int
    started_at: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling an attempt did: where the stage is now, and for how long its message is to be delayed."""

    item_id: int
    job_id: str
    stage: str
    attempt: int
    status: Status
    countdown_seconds: float | None = None


CLAIM_STAGE = """
UPDATE item_stages
   SET status = :target, attempt = :attempt, leased_until = :leased_until, worker = :worker, started_at = :now,
       queued_at = NULL, resend_at = NULL, sends = 0, retry_at = NULL, reason = NULL
 WHERE item_id = :item_id AND stage = :stage
   AND status = :source AND attempt = :attempt - 1 AND needs_left = 0
   AND (retry_at IS NULL OR retry_at <= :latest)
   AND NOT EXISTS (SELECT 1 FROM pauses WHERE pauses.job_id = item_stages.job_id)
RETURNING job_id, retries, crashes, priority
"""

READ_ITEM = "SELECT key, data FROM work_items WHERE item_id = :item_id"


def claim(
    conn: Connection,
    item_id: int,
    stage: str,
    attempt: int,
    *,
    worker: str,
    lease_seconds: float = LEASE_SECONDS,
) -> Claim | None:
    """
    Take a stage for `attempt`, or return None: claimed already, not due, paused, or reset meanwhile.

    The message that could not be claimed is spent; if the stage is only paused, dispatch sends it again when
    the pause is lifted. Commits.
    """
    now = now_ms()
    asked = {
        "item_id": item_id,
        "stage": stage,
        "attempt": attempt,
        "worker": worker,
        "now": now,
        "leased_until": now + int(lease_seconds * 1000),
        "latest": now + EARLY_MS,
        "source": Status.PENDING,
        "target": CLAIM.target,
    }
    with write(conn):
        row = conn.execute(CLAIM_STAGE, asked).fetchone()
        if row is None:
            _give_up_message(conn, asked)
            return None
        append_event(conn, row[0], CLAIM.name, item_id, stage, attempt, worker, None)
    key, data = conn.execute(READ_ITEM, asked).fetchone()
    return Claim(item_id, row[0], stage, attempt, key, json.loads(data), row[3], row[1], row[2], now)


READ_CLAIM = """
SELECT s.job_id, i.key, i.data, s.priority, s.retries, s.crashes, s.started_at
  FROM item_stages s
  JOIN work_items i ON i.item_id = s.item_id
 WHERE s.item_id = :item_id AND s.stage = :stage AND s.status = 'in_progress' AND s.attempt = :attempt
"""


def read_claim(conn: Connection, item_id: int, stage: str, attempt: int) -> Claim | None:
    """Read a claim that is in force, or None when this attempt does not own the stage."""
    asked = {"item_id": item_id, "stage": stage, "attempt": attempt}
    row = conn.execute(READ_CLAIM, asked).fetchone()
    if row is None:
        return None
    job_id, key, data, priority, retries, crashes, started_at = row
    return Claim(
        item_id, job_id, stage, attempt, key, json.loads(data), priority, retries, crashes, started_at
    )


TAKE_BACK_MESSAGE = """
UPDATE item_stages
   SET queued_at = NULL, resend_at = NULL, retry_at = NULL
 WHERE item_id = :item_id AND stage = :stage AND status = 'pending' AND attempt = :attempt - 1
   AND queued_at IS NOT NULL AND (retry_at IS NULL OR retry_at <= :latest)
"""


def _give_up_message(conn: Connection, asked: Mapping[str, Any]) -> None:
    # If the message was the stage's own, the stage is ready again, for dispatch to send when it may. A
    # duplicate of an earlier attempt changes nothing here.
    conn.execute(TAKE_BACK_MESSAGE, asked)


RENEW_LEASE = """
UPDATE item_stages
   SET leased_until = :leased_until
 WHERE item_id = :item_id AND stage = :stage AND status = 'in_progress' AND attempt = :attempt
"""


def renew_lease(
    conn: Connection, item_id: int, stage: str, attempt: int, lease_seconds: float = LEASE_SECONDS
) -> bool:
    """Hold the claim for `lease_seconds` more; False when this attempt no longer owns the stage. Commits."""
    with write(conn):
        conn.execute(
            RENEW_LEASE,
            {
                "item_id": item_id,
                "stage": stage,
                "attempt": attempt,
                "leased_until": now_ms() + int(lease_seconds * 1000),
            },
        )
        return conn.changes() == 1


SETTLE_STAGE = """
UPDATE item_stages
   SET status = :target, reason = :reason, leased_until = NULL,
       ended_at = iif(:target = 'pending', NULL, :now),
       retries = retries + :retried, crashes = crashes + :crashed,
       retry_at = :retry_at, queued_at = NULL, resend_at = NULL, sends = 0
 WHERE item_id = :item_id AND stage = :stage
   AND status = :source AND (attempt = :attempt OR :attempt IS NULL)
RETURNING job_id, attempt, started_at
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
) -> Settled:
    """
    End an attempt: the status, its result or failure, its event and what becomes ready.

    All in one transaction, which joins the caller's. `attempt=None` means whichever is current. A short
    wait is stamped for a countdown, which the caller must then publish, unless `hand_over` is false. Raises
    `StaleLeaseError` when this attempt no longer owns the stage; then nothing is changed.
    """
    now = now_ms()
    with write(conn):
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
        settled = _Facts(item_id, row[0], stage, row[1], row[2], now)
        _record(conn, settled, ending, by)
        status, countdown = ending.move.target, None
        if status is Status.PENDING:
            status = _rejoin_plan(conn, settled, by)
        if status in SATISFIED:
            advance_needs(conn, item_id, stage, row[0])
        if ending.skips_rest:
            _skip_rest(conn, settled, ending, by)
        if hand_over and ending.retry_at is not None:
            countdown = _hand_to_broker(conn, settled, ending)
    return Settled(item_id, row[0], stage, row[1], status, countdown)


@dataclass(frozen=True, slots=True)
class _Facts:
    item_id: int
    job_id: str
    stage: str
    attempt: int
    started_at: int | None
    now: int


def _record(conn: Connection, facts: _Facts, ending: Ending, by: str | None) -> None:
    append_event(
        conn,
        facts.job_id,
        ending.move.name,
        facts.item_id,
        facts.stage,
        facts.attempt,
        by,
        ending.as_detail(),
    )
    if ending.result_json is not None:
        _put_result(conn, facts, ending)
    if ending.failure is not None:
        _put_failure(conn, facts, ending.failure)
    if facts.started_at is not None and ending.source is Status.IN_PROGRESS:
        _count_settled(conn, facts, ending.move)


PUT_RESULT = """
INSERT INTO results (item_id, stage, job_id, attempt, result, handler_version, stored_at)
VALUES (:item_id, :stage, :job_id, :attempt, :result, :handler_version, :now)
    ON CONFLICT (item_id, stage) DO UPDATE
   SET attempt = excluded.attempt, result = excluded.result, handler_version = excluded.handler_version,
       stored_at = excluded.stored_at
"""


def _put_result(conn: Connection, facts: _Facts, ending: Ending) -> None:
    conn.execute(
        PUT_RESULT,
        {
            "item_id": facts.item_id,
            "stage": facts.stage,
            "job_id": facts.job_id,
            "attempt": facts.attempt,
            "result": ending.result_json,
            "handler_version": ending.handler_version,
            "now": facts.now,
        },
    )


PUT_FAILURE = """
INSERT INTO failures (item_id, stage, attempt, job_id, failed_at, error_type, message, signature, traceback)
VALUES (:item_id, :stage, :attempt, :job_id, :now, :error_type, :message, :signature, :traceback)
    ON CONFLICT DO UPDATE
   SET failed_at = excluded.failed_at, error_type = excluded.error_type, message = excluded.message,
       signature = excluded.signature, traceback = excluded.traceback
"""


def _put_failure(conn: Connection, facts: _Facts, failure: Failure) -> None:
    conn.execute(
        PUT_FAILURE,
        {
            "item_id": facts.item_id,
            "stage": facts.stage,
            "attempt": facts.attempt,
            "job_id": facts.job_id,
            "now": facts.now,
            "error_type": failure.error_type,
            "message": failure.message,
            "signature": failure.signature,
            "traceback": failure.traceback,
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


def _count_settled(conn: Connection, facts: _Facts, move: Move) -> None:
    milliseconds = max(0, facts.now - (facts.started_at or facts.now))
    asked = {
        "job_id": facts.job_id,
        "stage": facts.stage,
        "bucket": bucket_of(milliseconds),
        "ms": milliseconds,
        "minute": facts.now // 60_000,
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


ADVANCE_NEEDS = """
UPDATE item_stages
   SET needs_left = (SELECT count(*)
                       FROM stage_needs n
                       JOIN item_stages needed ON needed.item_id = item_stages.item_id AND needed.stage = n.need
                      WHERE n.job_id = item_stages.job_id AND n.stage = item_stages.stage
                        AND needed.status NOT IN ('done', 'skipped'))
 WHERE item_id = :item_id AND status = 'pending'
   AND stage IN (SELECT n.stage FROM stage_needs n WHERE n.job_id = :job_id AND n.need = :stage)
"""


def advance_needs(conn: Connection, item_id: int, stage: str, job_id: str) -> None:
    """Recount what the stages that need `stage` still wait for, in the caller's transaction."""
    conn.execute(ADVANCE_NEEDS, {"item_id": item_id, "stage": stage, "job_id": job_id})


RECOUNT_STAGE = """
UPDATE item_stages
   SET needs_left = (SELECT count(*)
                       FROM stage_needs n
                       JOIN item_stages needed ON needed.item_id = item_stages.item_id AND needed.stage = n.need
                      WHERE n.job_id = item_stages.job_id AND n.stage = item_stages.stage
                        AND needed.status NOT IN ('done', 'skipped'))
 WHERE item_id = :item_id AND stage = :stage
"""

SKIP_SWITCHED_OFF = """
UPDATE item_stages
   SET status = 'skipped', ended_at = :now, reason = :switched_off, retry_at = NULL
 WHERE item_id = :item_id AND stage = :stage AND status = 'pending'
   AND NOT EXISTS (SELECT 1 FROM job_stages p
                    WHERE p.job_id = :job_id AND p.stage = item_stages.stage AND p.switched_on)
"""


def _rejoin_plan(conn: Connection, facts: _Facts, by: str | None) -> Status:
    """Bring a stage that waits again to the plan of now: it may have changed under the attempt."""
    asked = {
        "item_id": facts.item_id,
        "job_id": facts.job_id,
        "stage": facts.stage,
        "now": facts.now,
        "switched_off": SWITCHED_OFF,
    }
    conn.execute(SKIP_SWITCHED_OFF, asked)
    if conn.changes() == 0:
        conn.execute(RECOUNT_STAGE, asked)
        return Status.PENDING
    detail = {"reason": SWITCHED_OFF}
    append_event(conn, facts.job_id, SKIP.name, facts.item_id, facts.stage, facts.attempt, by, detail)
    return SKIP.target


SKIP_REST = """
WITH RECURSIVE rest (stage) AS (
    SELECT stage FROM stage_needs WHERE job_id = :job_id AND need = :stage
    UNION
    SELECT n.stage FROM rest JOIN stage_needs n ON n.job_id = :job_id AND n.need = rest.stage
)
UPDATE item_stages
   SET status = 'skipped', ended_at = :now, reason = :reason,
       queued_at = NULL, resend_at = NULL, retry_at = NULL, needs_left = 0
 WHERE item_id = :item_id AND status = 'pending' AND stage IN (SELECT stage FROM rest)
RETURNING stage, attempt
"""


def _skip_rest(conn: Connection, facts: _Facts, ending: Ending, by: str | None) -> None:
    asked = {
        "job_id": facts.job_id,
        "item_id": facts.item_id,
        "stage": facts.stage,
        "now": facts.now,
        "reason": ending.reason,
    }
    for stage, attempt in conn.execute(SKIP_REST, asked).fetchall():
        append_event(
            conn, facts.job_id, SKIP.name, facts.item_id, stage, attempt, by, {"because_of": facts.stage}
        )


COUNT_COUNTDOWNS = "SELECT countdown FROM stage_counts WHERE job_id = :job_id AND stage = :stage"

STAMP_COUNTDOWN = """
UPDATE item_stages
   SET queued_at = :now, resend_at = retry_at + :resend_after, sends = 1
 WHERE item_id = :item_id AND stage = :stage AND status = 'pending' AND needs_left = 0
"""


def _hand_to_broker(conn: Connection, facts: _Facts, ending: Ending) -> float | None:
    delay_seconds = max(0.0, ((ending.retry_at or 0) - facts.now) / 1000)
    asked = {
        "job_id": facts.job_id,
        "item_id": facts.item_id,
        "stage": facts.stage,
        "now": facts.now,
        "resend_after": RESEND_AFTER_MS,
    }
    waiting = conn.execute(COUNT_COUNTDOWNS, asked).fetchone()
    if delay_seconds > COUNTDOWN_MAX_SECONDS or (waiting and waiting[0] >= COUNTDOWN_MAX_COUNT):
        return None
    conn.execute(STAMP_COUNTDOWN, asked)
    return delay_seconds if conn.changes() else None
