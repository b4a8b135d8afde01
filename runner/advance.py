"""Run one attempt of one stage: claim it, run its handler, settle it, and send what becomes ready."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from handlers.running import run_handler
from pipeline.errors import NotFoundError, StaleLeaseError
from runner.big_results import is_big, move_if_big
from runner.breaker import note_ending
from runner.budgets import has_budget
from runner.claimed import Claimed
from runner.dispatch import publish, refill
from runner.room import wait_for_room
from tracker import claims, moves
from tracker.attempt_logs import put_log
from tracker.connection import join, write
from tracker.dispatch import Message
from tracker.endings import Ending
from tracker.host_waits import keep_wait
from tracker.jobs import reset_auto_unpauses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.jobspec import JobSpec, StageSpec
    from runner.runtime import Runtime
    from tracker.attempt_logs import AttemptLog
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
            outcome = run_handler(prepared.handler, claimed.make_context(spec, held.lost.is_set))
            return claimed.judge(outcome, prepared.version)
    except runtime.stop_errors:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a handler raises, its stage fails, not the worker
        return claimed.judge_error(spec, error, version)


# -- what follows -----------------------------------------------------------------------------------------

TOGETHER = 100
"""How many attempts are settled in one transaction: others who want to write wait for no longer than that."""

Sends = list[tuple["JobSpec", list[Message]]]


@dataclass(frozen=True, slots=True)
class Concluded:
    """What became of several attempts, and what is to be published once that is committed."""

    settled: list[Settled]
    sends: Sends


def conclude(runtime: Runtime, claimed: Claimed, ending: Ending) -> Settled | None:
    """Settle an attempt, refill what runs low, publish. None when its lease was lost: then nothing is changed."""
    job = runtime.jobs.jobs.get(claimed.claim.job_id)
    try:
        ending = move_if_big(runtime, claimed.holder, ending)
        logged = claimed.write_log()
        settled, messages = wait_for_room(lambda: _settle(runtime, job, claimed, ending, logged))
    except StaleLeaseError as error:
        _tell_dropped(claimed, error)
        return None
    _tell(claimed, ending)
    if job is not None:
        publish(runtime, job, messages)
    return settled


def conclude_all(runtime: Runtime, ended: Sequence[tuple[Claimed, Ending]]) -> list[Settled]:
    """
    Settle many attempts, refill what runs low, publish; what became of those whose lease was not lost.

    Commits each hundred of them, and by itself each whose result is big. Where some cannot be settled together, each is
    alone; one that cannot be settled is left to its lease.
    """
    settled, plain = [], []
    for claimed, ending in ended:
        wait_for_room(claimed.costs.write)
        if is_big(ending):
            one = conclude(runtime, claimed, ending)
            settled += [] if one is None else [one]
        else:
            plain.append((claimed, ending))
    for first in range(0, len(plain), TOGETHER):
        settled += _conclude_some(runtime, plain[first : first + TOGETHER])
    return settled


def _conclude_some(runtime: Runtime, ended: Sequence[tuple[Claimed, Ending]]) -> list[Settled]:
    try:
        done = wait_for_room(partial(_commit, runtime, ended))
    except runtime.stop_errors:
        raise
    except Exception as error:
        if len(ended) == 1:
            raise
        log.warning("failed together; each is settled alone", attempts=len(ended), error=repr(error))
        return [settled for one in ended for settled in _conclude_alone(runtime, *one)]
    publish_all(runtime, done.sends)
    return done.settled


def _conclude_alone(runtime: Runtime, claimed: Claimed, ending: Ending) -> list[Settled]:
    try:
        settled = conclude(runtime, claimed, ending)
    except runtime.stop_errors:
        raise
    except Exception as error:  # noqa: BLE001 - one that cannot be settled must not take the others with it
        claim = claimed.claim
        log.error("not settled; its lease will run out", job=claim.job_id, key=claim.key, error=repr(error))
        return []
    return [] if settled is None else [settled]


def _commit(runtime: Runtime, ended: Sequence[tuple[Claimed, Ending]]) -> Concluded:
    with write(runtime.tracker):
        return conclude_together(runtime, ended)


def conclude_together(runtime: Runtime, ended: Sequence[tuple[Claimed, Ending]]) -> Concluded:
    """
    Settle several attempts like `conclude`, in the caller's transaction.

    None of their results may be big. One whose lease was lost changes nothing.
    """
    low, settled, own = Low(), [], dict[str, list[Message]]()
    for claimed, ending in ended:
        job_id = claimed.claim.job_id
        job = runtime.jobs.jobs.get(job_id)
        try:
            one, messages = _settle(runtime, job, claimed, ending, claimed.write_log(), low)
        except StaleLeaseError as error:
            _tell_dropped(claimed, error)
            continue
        _tell(claimed, ending)
        settled.append(one)
        own.setdefault(job_id, []).extend(messages)
    for (_, queue), job in sorted(low.items()):
        own[job.name] += refill(runtime, runtime.tracker, job, queue)
    jobs = runtime.jobs.jobs
    return Concluded(settled, [(jobs[name], own[name]) for name in own if name in jobs])


def publish_all(runtime: Runtime, sends: Sends) -> None:
    """Publish what several attempts brought about, once that is committed."""
    for job, messages in sends:
        publish(runtime, job, messages)


def _settle(
    runtime: Runtime,
    job: JobSpec | None,
    claimed: Claimed,
    ending: Ending,
    logged: AttemptLog | None,
    low: Low | None = None,
) -> tuple[Settled, list[Message]]:
    conn, claim = runtime.tracker, claimed.claim
    spec = next((stage for stage in job.stages if stage.name == claim.stage), None) if job else None
    limits = () if spec is None else (spec.concurrency, spec.rate, spec.batch)
    limited = job is None or spec is None or any(limits) or has_budget(runtime, job)
    with join(conn):
        settled = moves.settle(
            conn,
            claim.item_id,
            claim.stage,
            claim.attempt,
            ending,
            by=runtime.worker,
            hand_over=not limited,  # then it waits in the tracker, where dispatch counts it
            took_ms=claimed.took_ms,
        )
        if logged is not None:
            put_log(conn, claim.item_id, claim.stage, claim.attempt, claim.job_id, logged)
        if job is not None:
            note_ending(conn, job, settled, ending)
        if ending.waits_for_host is not None and ending.retry_at is not None:
            keep_wait(conn, ending.waits_for_host, claim.item_id, claim.stage, ending.retry_at)
        if ending.result_json is not None:
            reset_auto_unpauses(conn, claim.job_id)
        messages = _follow_up(runtime, conn, job, spec, settled, claimed, low)
    return settled, messages


def _follow_up(
    runtime: Runtime,
    conn: Connection,
    job: JobSpec | None,
    spec: StageSpec | None,
    settled: Settled,
    claimed: Claimed,
    low: Low | None,
) -> list[Message]:
    """
    Stamp what may be sent now that this attempt has ended: its own countdown, and what runs low.

    With `low`, what may run low is only noted there.
    """
    messages, claim = [], claimed.claim
    if settled.countdown_seconds is not None:
        messages.append(
            Message(
                claim.item_id,
                claim.job_id,
                claim.stage,
                claim.attempt + 1,
                claim.key,
                settled.countdown_seconds,
            )
        )
    if job is not None and spec is not None:
        runtime.pace.note(job.name, spec.queue, claimed.seconds)
        next_queues = {job.stage(name).queue for name in job.children(spec.name)}
        for queue in sorted({spec.queue} | next_queues):
            if low is None:
                messages += refill(runtime, conn, job, queue)
            else:
                low[job.name, queue] = job
    return messages


def _tell(claimed: Claimed, ending: Ending) -> None:
    told, claim = log.info if ending.failure is None else log.warning, claimed.claim
    told(
        f"{claim.job_id}.{claim.stage} {ending.move.name}",
        key=claim.key,
        attempt=claim.attempt,
        seconds=round(claimed.seconds, 3),
        **({"reason": ending.reason} if ending.reason else {}),
    )


def _tell_dropped(claimed: Claimed, error: StaleLeaseError) -> None:
    log.warning("dropped", reason=str(error), job=claimed.claim.job_id, key=claimed.claim.key)
