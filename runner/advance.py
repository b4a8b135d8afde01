"""Run one attempt of one stage: claim it, run its handler, settle it, and send what becomes ready."""

from __future__ import annotations

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
from tracker.clock import now_ms
from tracker.connection import write
from tracker.dispatch import Message
from tracker.endings import Ending
from tracker.host_waits import keep_wait
from tracker.jobs import reset_auto_unpauses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.jobspec import JobSpec, StageSpec
    from runner.runtime import Runtime
    from tracker.attempt_logs import AttemptLog
    from tracker.claims import Claim
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
    try:
        ending = _work(runtime, claimed)
    except runtime.stop_errors:
        claimed.give_back()
        raise
    wait_for_room(claimed.costs.write)
    return conclude(runtime, claimed, ending)


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


def conclude(runtime: Runtime, claimed: Claimed, ending: Ending) -> Settled | None:
    """Settle an attempt, refill what runs low, publish. None when its lease was lost: then nothing is changed."""
    claim = claimed.claim
    job = runtime.jobs.jobs.get(claim.job_id)
    try:
        ending = move_if_big(runtime, claimed.holder, ending)
        logged = claimed.write_log()
        settled, messages = wait_for_room(lambda: _settle(runtime, job, claim, ending, logged))
    except StaleLeaseError as error:
        log.warning("dropped", reason=str(error), job=claim.job_id, key=claim.key)
        return None
    _tell(claim, ending)
    if job is not None:
        publish(runtime, job, messages)
    return settled


def conclude_together(
    runtime: Runtime, ended: Sequence[tuple[Claimed, Ending]]
) -> list[tuple[JobSpec | None, list[Message]]]:
    """
    Settle several attempts like `conclude`, in the caller's transaction; what is to be published after it, by job.

    None of their results may be big. One whose lease was lost changes nothing.
    """
    conn, low, messages = runtime.tracker, Low(), []
    for claimed, ending in ended:
        claim = claimed.claim
        job = runtime.jobs.jobs.get(claim.job_id)
        try:
            _, own = _settle(runtime, job, claim, ending, claimed.write_log(), low)
        except StaleLeaseError as error:
            log.warning("dropped", reason=str(error), job=claim.job_id, key=claim.key)
            continue
        _tell(claim, ending)
        messages.append((job, own))
    return messages + [(job, refill(runtime, conn, job, queue)) for (_, queue), job in sorted(low.items())]


def _settle(
    runtime: Runtime,
    job: JobSpec | None,
    claim: Claim,
    ending: Ending,
    logged: AttemptLog | None,
    low: Low | None = None,
) -> tuple[Settled, list[Message]]:
    conn = runtime.tracker
    spec = next((stage for stage in job.stages if stage.name == claim.stage), None) if job else None
    limits = () if spec is None else (spec.concurrency, spec.rate, spec.batch)
    limited = job is None or spec is None or any(limits) or has_budget(runtime, job)
    with write(conn):
        settled = moves.settle(
            conn,
            claim.item_id,
            claim.stage,
            claim.attempt,
            ending,
            by=runtime.worker,
            hand_over=not limited,  # then it waits in the tracker, where dispatch counts it
        )
        if logged is not None:
            put_log(conn, claim.item_id, claim.stage, claim.attempt, claim.job_id, logged)
        if job is not None:
            note_ending(conn, job, settled, ending)
        if ending.waits_for_host is not None and ending.retry_at is not None:
            keep_wait(conn, ending.waits_for_host, claim.item_id, claim.stage, ending.retry_at)
        if ending.result_json is not None:
            reset_auto_unpauses(conn, claim.job_id)
        messages = _follow_up(runtime, conn, job, spec, settled, claim, low)
    return settled, messages


def _follow_up(
    runtime: Runtime,
    conn: Connection,
    job: JobSpec | None,
    spec: StageSpec | None,
    settled: Settled,
    claim: Claim,
    low: Low | None,
) -> list[Message]:
    """
    Stamp what may be sent now that this attempt has ended: its own countdown, and what runs low.

    With `low`, what may run low is only noted there.
    """
    messages = []
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
        runtime.pace.note(job.name, spec.queue, (now_ms() - claim.started_at) / 1000)
        next_queues = {job.stage(name).queue for name in job.children(spec.name)}
        for queue in sorted({spec.queue} | next_queues):
            if low is None:
                messages += refill(runtime, conn, job, queue)
            else:
                low[job.name, queue] = job
    return messages


def _tell(claim: Claim, ending: Ending) -> None:
    told = log.info if ending.failure is None else log.warning
    told(
        f"{claim.job_id}.{claim.stage} {ending.move.name}",
        key=claim.key,
        attempt=claim.attempt,
        seconds=round((now_ms() - claim.started_at) / 1000, 3),
        **({"reason": ending.reason} if ending.reason else {}),
    )
