"""What attempts leave on record when they are settled: events, results, failures, and how long they took."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.lifecycle import FINISH, Status
from tracker.events import Event, append_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.connection import Connection
    from tracker.cutoff import Before
    from tracker.endings import Ending, Failure
    from tracker.followers import Attempt


@dataclass(frozen=True, slots=True)
class Moved:
    """
    An attempt whose stage has moved, by this ending.

    `took_ms` is how long it took, if that is not the time since its claim; `hand_over` whether its wait may be the
    broker's; `before` what its stage had made, if it was done again and nobody cancelled it.
    """

    attempt: Attempt
    ending: Ending
    took_ms: int | None
    hand_over: bool
    before: Before | None


def record(conn: Connection, moved: Sequence[Moved], by: str | None) -> None:
    """Record attempts together, in the caller's transaction."""
    append_events(conn, [_describe(one.attempt, one.ending, by) for one in moved])
    conn.executemany(PUT_RESULT, [_bind_result(one) for one in moved if one.ending.result_json is not None])
    conn.executemany(
        PUT_FAILURE,
        [_bind_failure(one.attempt, one.ending.failure) for one in moved if one.ending.failure is not None],
    )
    _count_settled(conn, moved)


def _describe(attempt: Attempt, ending: Ending, by: str | None) -> Event:
    item_id, stage, job_id = attempt.place
    return Event(job_id, ending.move.name, item_id, stage, attempt.number, by, ending.as_detail())


PUT_RESULT = """
INSERT INTO results (item_id, stage, job_id, attempt, result, handler_version, input_hash, output_hash, stored_at)
VALUES (:item_id, :stage, :job_id, :attempt, :result, :handler_version, :input_hash, :output_hash, :now)
    ON CONFLICT (item_id, stage) DO UPDATE
   SET attempt = excluded.attempt, result = excluded.result, handler_version = excluded.handler_version,
       input_hash = excluded.input_hash, output_hash = excluded.output_hash, stored_at = excluded.stored_at
"""


def _bind_result(moved: Moved) -> dict[str, Any]:
    attempt, ending = moved.attempt, moved.ending
    return {
        "item_id": attempt.item_id,
        "stage": attempt.stage,
        "job_id": attempt.job_id,
        "attempt": attempt.number,
        "result": ending.result_json,
        "handler_version": ending.handler_version,
        "input_hash": ending.input_hash,
        "output_hash": ending.output_hash,
        "now": attempt.now,
    }


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


def _bind_failure(attempt: Attempt, failure: Failure) -> dict[str, Any]:
    return {
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
    }


COUNT_TIMINGS = """
INSERT INTO stage_timings (job_id, stage, bucket, count, total_ms, max_ms)
VALUES (:job_id, :stage, :bucket, :count, :total_ms, :max_ms)
    ON CONFLICT DO UPDATE
   SET count = count + excluded.count, total_ms = total_ms + excluded.total_ms, max_ms = max(max_ms, excluded.max_ms)
"""

COUNT_MINUTES = """
INSERT INTO stage_minutes (job_id, stage, minute, settled, failed)
VALUES (:job_id, :stage, :minute, :settled, :failed)
    ON CONFLICT DO UPDATE
   SET settled = settled + excluded.settled, failed = failed + excluded.failed
"""


Counted = tuple[str, str, int]
"""A job, a stage, and a bucket of durations or a minute."""


def _count_settled(conn: Connection, moved: Sequence[Moved]) -> None:
    """Count how long attempts took, and how many ended in each minute: together, for most of them are alike."""
    timings, minutes = defaultdict[Counted, list[int]](list), defaultdict[Counted, list[bool]](list)
    for one in moved:
        attempt, ending = one.attempt, one.ending
        if attempt.started_at is None or ending.source is not Status.IN_PROGRESS:
            continue
        if ending.move is FINISH:
            took_ms = max(0, attempt.now - attempt.started_at if one.took_ms is None else one.took_ms)
            timings[attempt.job_id, attempt.stage, bucket_of(took_ms)].append(took_ms)
        has_failed = ending.move.target is Status.FAILED
        minutes[attempt.job_id, attempt.stage, attempt.now // 60_000].append(has_failed)
    conn.executemany(
        COUNT_TIMINGS,
        [
            {
                "job_id": job_id,
                "stage": stage,
                "bucket": bucket,
                "count": len(times),
                "total_ms": sum(times),
                "max_ms": max(times),
            }
            for (job_id, stage, bucket), times in timings.items()
        ],
    )
    conn.executemany(
        COUNT_MINUTES,
        [
            {"job_id": job_id, "stage": stage, "minute": minute, "settled": len(ended), "failed": sum(ended)}
            for (job_id, stage, minute), ended in minutes.items()
        ],
    )


def bucket_of(milliseconds: int) -> int:
    """
    Tell the histogram's bucket of a duration: 8 to an octave, so that a bucket is 9 % wide.

    >>> bucket_of(0), bucket_of(1), bucket_of(1000)
    (0, 0, 80)
    """
    return round(8 * math.log2(max(milliseconds, 1)))
