"""Run one attempt of one stage: claim it, run its handler, settle it, and send what becomes ready."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from handlers.running import run_handler
from pipeline.errors import NotFoundError, StaleLeaseError
from runner.big_results import move_if_big
from runner.breaker import note_ending
from runner.budgets import has_budget
from runner.claimed import Claimed
from runner.dispatch import publish, refill
from runner.room import wait_for_room
from tracker import claims, moves
from tracker.attempt_logs import put_log
from tracker.connection import write
from tracker.dispatch import Message
from tracker.endings import Ending
from tracker.host_waits import keep_wait
from tracker.jobs import reset_auto_unpauses
from tracker.moves import Ended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.jobspec import JobSpec
    from runner.runtime import Runtime
    from tracker.connection import Connection
    from tracker.moves import Settled

log = structlog.get_logger(__name__)

Low = dict[tuple[str, str], "JobSpec"]
"""Runways that may have run low: the job of each, by its name and the queue."""


def advance(runtime: Runtime, item_id: int, stage: str, attempt: int) -> Settled | None:
    """
    Run one attempt of one stage of one item; what became of it, or None if there was nothing to run.

    The message may be a duplicate, late or overtaken: the claim decides. Commits twice: the claim, and the
    settling with all that follows from it. What the process is stopped by comes through as an exception,
    after the claim has been given back.
    """
    claim = wait_for_room(
        lambda: claims.claim(runtime.tracker, item_id, stage, attempt, worker=runtime.worker)
    )
    if claim is None:
        log.debug("nothing to claim", item_id=item_id, stage=stage, attempt=attempt)
        return None
    claimed = Claimed(runtime, claim)
    ending = run_claimed(runtime, claimed)
    wait_for_room(claimed.costs.write)
    return conclude(runtime, claimed, ending)


def run_claimed(runtime: Runtime, claimed: Claimed) -> Ending:
    """
    Run what was claimed to an ending, which is not settled yet.

    What the process is stopped by comes through as an exception, after the claim has been given back.
    """
    try:
        return _work(runtime, claimed)
    except runtime.stop_errors:
        claimed.give_back()
        raise


def _work(runtime: Runtime, claimed: Claimed) -> Ending:
    """Run the claimed stage's handler, whatever it does, to an ending."""
    claim = claimed.claim
    try:
        job = runtime.jobs.get_job(claim.job_id)
        spec = job.stage(claim.stage)
    except NotFoundError as error:
        return Ending.released(f"not in this worker's jobs.yaml: {error}")
    version = None
    try:
        with runtime.leases.hold(f"{claim.job_id}.{claim.stage}", claimed.renew) as held, claimed.lines:
            prepared = runtime.prepare(job, spec.name)
            version = prepared.version
            outcome = run_handler(prepared.handler, claimed.make_context(prepared, held.lost.is_set))
            return claimed.judge(outcome, prepared.version)
    except runtime.stop_errors:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a handler raises, its stage fails, not the worker
        return claimed.judge_error(spec, error, version)


# -- what follows -----------------------------------------------------------------------------------------

TOGETHER = 100
"""How many attempts are settled in one transaction: others who want to write wait for no longer than that."""

EndedClaim = tuple["Claimed", "Ending"]

Sends = list[tuple["JobSpec", list[Message]]]


@dataclass(frozen=True, slots=True)
class Concluded:
    """What became of several attempts, each None if its lease was lost, and what is to be published of that."""

    ended: Sequence[EndedClaim]
    outcomes: Sequence[Settled | None]
    sends: Sends

    @property
    def settled(self) -> list[Settled]:
        """What became of those whose lease was not lost."""
        return [one for one in self.outcomes if one is not None]


def conclude(runtime: Runtime, claimed: Claimed, ending: Ending) -> Settled | None:
    """Settle an attempt, refill what runs low, publish. None when its lease was lost: then nothing is changed."""
    ended = _prepare(runtime, claimed, ending)
    settled = [] if ended is None else conclude_prepared(runtime, [ended])
    return settled[0] if settled else None


def conclude_all(runtime: Runtime, ended: Sequence[EndedClaim]) -> list[Settled]:
    """
    Settle many attempts, refill what runs low, publish; what became of those whose lease was not lost.

    Commits each hundred of them. Where some cannot be settled together, each is alone; one that cannot be settled is
    left to its lease.
    """
    small: list[EndedClaim] = []
    for claimed, ending in ended:
        wait_for_room(claimed.costs.write)
        if (one := _prepare(runtime, claimed, ending)) is not None:
            small.append(one)
    settled = []
    for first in range(0, len(small), TOGETHER):
        some = small[first : first + TOGETHER]
        try:
            settled += conclude_prepared(runtime, some)
        except runtime.stop_errors:
            raise
        except Exception as error:  # noqa: BLE001 - each is tried by itself then
            log.warning("failed together; each is settled alone", attempts=len(some), error=repr(error))
            settled += [done for one in some for done in _conclude_alone(runtime, one)]
    return settled


def _prepare(runtime: Runtime, claimed: Claimed, ending: Ending) -> EndedClaim | None:
    """Do what needs no turn to write: keep a big result, write the log. None when the lease was lost meanwhile."""
    claimed.write_log()
    try:
        return claimed, move_if_big(runtime, claimed.holder, ending)
    except StaleLeaseError:
        _tell_dropped(claimed)
        return None


def conclude_prepared(runtime: Runtime, ended: Sequence[EndedClaim]) -> list[Settled]:
    """Settle attempts of which no result is big any more, refill what runs low, publish. Commits."""
    done = wait_for_room(partial(_commit, runtime, ended))
    follow_up(runtime, done)
    return done.settled


def _conclude_alone(runtime: Runtime, ended: EndedClaim) -> list[Settled]:
    try:
        return conclude_prepared(runtime, [ended])
    except runtime.stop_errors:
        raise
    except Exception as error:  # noqa: BLE001 - one that cannot be settled must not take the others with it
        claim = ended[0].claim
        log.error("not settled; its lease will run out", job=claim.job_id, key=claim.key, error=repr(error))
        return []


def _commit(runtime: Runtime, ended: Sequence[EndedClaim]) -> Concluded:
    with write(runtime.tracker):
        return conclude_together(runtime, ended)


def conclude_together(runtime: Runtime, ended: Sequence[EndedClaim]) -> Concluded:
    """
    Settle several attempts like `conclude`, in the caller's transaction, who calls `follow_up` once it is committed.

    None of their results may be big. One whose lease was lost changes nothing.
    """
    conn, jobs = runtime.tracker, runtime.jobs.jobs
    named = {(claimed.claim.job_id, claimed.claim.stage) for claimed, _ in ended}
    places = {one: _look_up(runtime, *one) for one in named}
    outcomes = moves.settle_together(
        conn,
        [
            _describe(claimed, ending, places[claimed.claim.job_id, claimed.claim.stage])
            for claimed, ending in ended
        ],
        by=runtime.worker,
    )
    low, own, succeeded = Low(), dict[str, list[Message]](), set[str]()
    for (claimed, ending), one in zip(ended, outcomes, strict=True):
        if one is None:
            continue
        claim = claimed.claim
        _note(conn, claimed, ending)
        own.setdefault(claim.job_id, []).extend(_list_countdown(claimed, one))
        if ending.result_json is not None:
            succeeded.add(claim.job_id)
        place = places[claim.job_id, claim.stage]
        if place.job is not None:
            note_ending(conn, place.job, one, ending)
            low.update({(claim.job_id, queue): place.job for queue in place.queues})
        if place.queue is not None:
            runtime.pace.note(claim.job_id, place.queue, claimed.seconds)
    for job_id in succeeded:
        reset_auto_unpauses(conn, job_id)
    for (_, queue), job in sorted(low.items()):
        own[job.name] += refill(runtime, conn, job, queue)
    return Concluded(tuple(ended), outcomes, [(jobs[name], own[name]) for name in own if name in jobs])


def follow_up(runtime: Runtime, done: Concluded) -> None:
    """Publish what several attempts brought about, and log what became of each, once that is committed."""
    for job, messages in done.sends:
        publish(runtime, job, messages)
    for (claimed, ending), settled in zip(done.ended, done.outcomes, strict=True):
        if settled is None:
            _tell_dropped(claimed)
        else:
            _tell(claimed, ending)


@dataclass(frozen=True, slots=True)
class _Place:
    """
    What jobs.yaml has to say of a stage when an attempt of it ends.

    `queues` are those whose runways may run low then: its own, and its followers'. `hand_over` tells whether a short
    wait may be the broker's; else it is the tracker's, where dispatch counts it.
    """

    job: JobSpec | None = None
    queue: str | None = None
    queues: frozenset[str] = frozenset()
    hand_over: bool = False


def _look_up(runtime: Runtime, job_id: str, stage: str) -> _Place:
    job = runtime.jobs.jobs.get(job_id)
    spec = None if job is None else next((one for one in job.stages if one.name == stage), None)
    if job is None or spec is None:
        return _Place(job)
    limited = any((spec.concurrency, spec.rate, spec.batch)) or has_budget(runtime, job)
    queues = frozenset(job.stage(name).queue for name in (stage, *job.children(stage)))
    return _Place(job, spec.queue, queues, hand_over=not limited)


def _describe(claimed: Claimed, ending: Ending, place: _Place) -> Ended:
    claim = claimed.claim
    return Ended(claim.item_id, claim.stage, claim.attempt, ending, place.hand_over, claimed.took_ms)


def _note(conn: Connection, claimed: Claimed, ending: Ending) -> None:
    """Note what the handler logged, and for which host the stage waits."""
    claim, logged = claimed.claim, claimed.write_log()
    if logged is not None:
        put_log(conn, claim.item_id, claim.stage, claim.attempt, claim.job_id, logged)
    if ending.waits_for_host is not None and ending.retry_at is not None:
        keep_wait(conn, ending.waits_for_host, claim.item_id, claim.stage, ending.retry_at)


def _list_countdown(claimed: Claimed, settled: Settled) -> list[Message]:
    if settled.countdown_seconds is None:
        return []
    claim, delay_seconds = claimed.claim, settled.countdown_seconds
    return [Message(claim.item_id, claim.job_id, claim.stage, claim.attempt + 1, claim.key, delay_seconds)]


def _tell(claimed: Claimed, ending: Ending) -> None:
    told, claim = log.info if ending.failure is None else log.warning, claimed.claim
    told(
        f"{claim.job_id}.{claim.stage} {ending.move.name}",
        key=claim.key,
        attempt=claim.attempt,
        seconds=round(claimed.seconds, 3),
        **({"reason": ending.reason} if ending.reason else {}),
    )


def _tell_dropped(claimed: Claimed) -> None:
    claim = claimed.claim
    reason = str(StaleLeaseError(claim.item_id, claim.stage, claim.attempt))
    log.warning("dropped", reason=reason, job=claim.job_id, key=claim.key)
