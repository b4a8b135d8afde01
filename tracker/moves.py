"""
Settle attempts: the one way in which a stage that was claimed moves on.

A stage is looked at and moved in one write transaction. If its status is not the one that the move comes from, or its
attempt another, somebody else owns it by now. The move's event is written in the same transaction.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import StaleLeaseError
from pipeline.lifecycle import ENDED, SATISFIED, Status
from tracker.attempt_records import Moved, record
from tracker.clock import now_ms
from tracker.connection import Connection, join
from tracker.cutoff import follow_rerun, read_before, release_waiting
from tracker.endings import Ending, make_storable
from tracker.followers import Attempt, advance_needs, rejoin_plan, skip_rest
from tracker.places import AtPlaces, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracker.rows import Row

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


FIND_STAGES = """
SELECT s.item_id, s.stage, s.attempt, s.job_id, s.started_at, s.status, s.cancelled_by, s.again,
       EXISTS (SELECT 1 FROM item_stages other INDEXED BY idx_item_stages_again
                WHERE other.item_id = s.item_id AND other.again = 'waits') AS has_waiting
  FROM json_each(:places) place
 CROSS JOIN item_stages s ON s.item_id = place.value ->> 0 AND s.stage = place.value ->> 1
"""

SETTLE_STAGES = AtPlaces("""
UPDATE item_stages
   SET status = :target, reason = :reason, leased_until = NULL, ended_at = :ended_at,
       retries = retries + :retried, crashes = crashes + :crashed, retry_at = :retry_at,
       queued_at = NULL, resend_at = NULL, sends = 0, over_budget = 0
""")


@dataclass(frozen=True, slots=True)
class Ended:
    """
    An attempt that has ended, and is to be settled.

    `attempt` None means whichever is current. A short wait is stamped for a countdown, which whoever settles must then
    publish, unless `hand_over` is false. `took_ms` is how long it took, if that is not the time since its claim.
    """

    item_id: int
    stage: str
    attempt: int | None
    ending: Ending
    hand_over: bool = True
    took_ms: int | None = None


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
    End one attempt like `settle_together`.

    Raises `StaleLeaseError` when this attempt no longer owns the stage; then nothing is changed.
    """
    (settled,) = settle_together(conn, [Ended(item_id, stage, attempt, ending, hand_over)], by=by)
    if settled is None:
        raise StaleLeaseError(item_id, stage, attempt)
    return settled


def settle_together(
    conn: Connection, ended: Sequence[Ended], *, by: str | None = None
) -> list[Settled | None]:
    """
    End attempts: the status of each, its result or failure, its event and what becomes ready.

    All in one transaction, which joins the caller's. What became of each, in their order; None for one that no longer
    owns its stage, of which nothing is changed.
    """
    settled: dict[int, Settled] = {}
    with join(conn):
        for some in _split_by_item(ended):
            settled |= _settle_some(conn, some, by)
    return [settled.get(number) for number in range(len(ended))]


def _split_by_item(ended: Sequence[Ended]) -> list[dict[int, Ended]]:
    """Split into rounds of one for each item: what follows from one may concern another stage of its item."""
    rounds: list[dict[int, Ended]] = []
    seen = Counter[int]()
    for number, one in enumerate(ended):
        if seen[one.item_id] == len(rounds):
            rounds.append({})
        rounds[seen[one.item_id]][number] = one
        seen[one.item_id] += 1
    return rounds


def _settle_some(conn: Connection, ended: Mapping[int, Ended], by: str | None) -> dict[int, Settled]:
    now = now_ms()
    places = json.dumps([[one.item_id, one.stage] for one in ended.values()])
    # Nobody else writes between this look and the moves.
    found = {(row[0], row[1]): row for row in conn.execute(FIND_STAGES, {"places": places})}
    moved = {
        number: _read_moved(conn, one, row, now)
        for number, one in ended.items()
        if (row := found.get((one.item_id, one.stage))) is not None and _owns(one, row)
    }
    _move(conn, moved.values())
    record(conn, list(moved.values()), by)
    statuses = {number: _follow_up(conn, one, by) for number, one in moved.items()}
    satisfied = [one.attempt.place for number, one in moved.items() if statuses[number] in SATISFIED]
    advance_needs(conn, satisfied)
    if waiting := {row["item_id"] for row in found.values() if row["has_waiting"]}:
        release_waiting(conn, [item_id for item_id, _, _ in satisfied if item_id in waiting], by)
    return {number: _end(conn, one, statuses[number], by) for number, one in moved.items()}


def _owns(ended: Ended, row: Row) -> bool:
    """Tell whether an attempt owns its stage, as it is found."""
    return row["status"] == ended.ending.source and ended.attempt in (None, row["attempt"])


def _read_moved(conn: Connection, ended: Ended, row: Row, now: int) -> Moved:
    item_id, stage, attempt, job_id, started_at, status, cancelled_by, again, _ = row
    ending = ended.ending
    before = None if again is None else read_before(conn, item_id, stage)
    if cancelled_by is not None and status == Status.IN_PROGRESS:  # that is how it ended, however it did
        ending, before = Ending.skipped(f"cancelled by {cancelled_by}"), None  # and nothing follows
    attempted = Attempt(item_id, job_id, stage, attempt, started_at, now)
    return Moved(attempted, ending, ended.took_ms, ended.hand_over, before)


def _move(conn: Connection, moved: Iterable[Moved]) -> None:
    """Move stages, those that end alike by one statement."""
    alike: dict[tuple[Any, ...], list[Place]] = {}
    for one in moved:
        attempt, ending = one.attempt, one.ending
        ended_at = attempt.now if ending.move.target in ENDED else None
        how = ending.move.target, ending.reason, ending.retry_at, ended_at, ending.uses_retry, ending.is_crash
        alike.setdefault(how, []).append((attempt.item_id, attempt.stage))
    for (target, reason, retry_at, ended_at, retried, crashed), places in alike.items():
        ended = {
            "target": target,
            "reason": None if reason is None else make_storable(reason),
            "retry_at": retry_at,
            "ended_at": ended_at,
            "retried": retried,
            "crashed": crashed,
        }
        SETTLE_STAGES.run(conn, places, ended)


def _follow_up(conn: Connection, moved: Moved, by: str | None) -> Status:
    """Do what follows for the stage itself, if it waits again, and for those that it had done again; its status."""
    status = moved.ending.move.target
    if status is Status.PENDING:
        return rejoin_plan(conn, moved.attempt, by)
    if status in SATISFIED and moved.before is not None:
        follow_rerun(conn, moved.attempt, moved.before, moved.ending, by)
    return status


def _end(conn: Connection, moved: Moved, status: Status, by: str | None) -> Settled:
    attempt, ending, countdown = moved.attempt, moved.ending, None
    if ending.skips_rest:
        skip_rest(conn, attempt, ending.reason, by)
        release_waiting(conn, [attempt.item_id], by)
    if moved.hand_over and ending.retry_at is not None:
        countdown = _hand_to_broker(conn, attempt, ending)
    return Settled(attempt.item_id, attempt.job_id, attempt.stage, attempt.number, status, countdown)


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
