"""Run one attempt of one stage: claim it, run its handler, settle it, and send what becomes ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from handlers.running import run_handler
from pipeline.errors import NotFoundError, StaleLeaseError, TrackerFullError
from runner.attempt import Cost, Work, make_context
from runner.dispatch import publish, refill
from runner.judge import describe_error, describe_timeout, judge_failure, judge_outcome
from tracker import claims, moves
from tracker.clock import now_ms
from tracker.connection import write
from tracker.dispatch import Message
from tracker.endings import Ending
from tracker.events import log_cost
from tracker.jobs import reset_auto_unpauses
from tracker.results import read_results

if TYPE_CHECKING:
    from pipeline.jobspec import JobSpec, StageSpec
    from runner.runtime import Runtime
    from tracker.claims import Claim
    from tracker.connection import Connection
    from tracker.moves import Settled

log = structlog.get_logger(__name__)

LOOK_FOR_ROOM_SECONDS = 1.0

T = TypeVar("T")


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
    spent: list[Cost] = []
    try:
        ending = _work(runtime, claim, spent)
    except runtime.stop_errors:
        _give_back(runtime.tracker, claim, spent)
        raise
    return conclude(runtime, claim, ending, spent)


def _work(runtime: Runtime, claim: Claim, spent: list[Cost]) -> Ending:
    """Run the claimed stage's handler, whatever it does, to an ending."""
    try:
        job = runtime.jobs.get_job(claim.job_id)
        spec = job.stage(claim.stage)
    except NotFoundError as error:
        return Ending.released(f"not in this worker's jobs.yaml: {error}")
    try:
        with runtime.leases.hold(f"{claim.job_id}.{claim.stage}", _renewal(claim)) as held:
            prepared = runtime.prepare(job, spec.name)
            work = _describe_work(runtime, spec, claim)
            context = make_context(work, runtime.http, spent.append, held.lost.is_set)
            return judge_outcome(run_handler(prepared.handler, context), prepared.version)
    except runtime.stop_errors:
        raise
    except runtime.timeout_error as error:
        timed_out = describe_timeout(spec.timeout, describe_error(error).traceback)
        return judge_failure(spec, claim.retries, timed_out)
    except BaseException as error:  # noqa: BLE001 - whatever a handler raises, its stage fails, not the worker
        return judge_failure(spec, claim.retries, describe_error(error))


def _renewal(claim: Claim) -> Callable[[Connection], bool]:
    return lambda conn: claims.renew_lease(conn, claim.item_id, claim.stage, claim.attempt)


def _give_back(conn: Connection, claim: Claim, spent: list[Cost]) -> None:
    ending = Ending.released("the worker was stopped")
    with suppress(TrackerFullError), write(conn):  # its lease runs out, then
        _record_costs(conn, claim, spent)
        with suppress(StaleLeaseError):
            moves.settle(conn, claim.item_id, claim.stage, claim.attempt, ending)


def _describe_work(runtime: Runtime, spec: StageSpec, claim: Claim) -> Work:
    return Work(
        job=claim.job_id,
        key=claim.key,
        stage=claim.stage,
        attempt=claim.attempt,
        data=claim.data,
        results=NeededResults(lambda: read_results(runtime.tracker, claim.item_id, spec.needs)),
        timeout_seconds=spec.timeout,
    )


@dataclass(slots=True)
class NeededResults(Mapping[str, dict[str, Any]]):
    """The results of the stages that a stage needs, read when first looked at."""

    read: Callable[[], dict[str, dict[str, Any]]]
    _known: dict[str, dict[str, Any]] | None = field(default=None, init=False)

    def _all(self) -> dict[str, dict[str, Any]]:
        if self._known is None:
            self._known = self.read()
        return self._known

    def __getitem__(self, stage: str) -> dict[str, Any]:
        return self._all()[stage]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


# -- what follows -----------------------------------------------------------------------------------------


def conclude(runtime: Runtime, claim: Claim, ending: Ending, spent: list[Cost]) -> Settled | None:
    """
    Settle an attempt, record what it spent, refill what runs low, publish. None when its lease was lost.

    A lost lease changes nothing but the costs: the money is gone all the same.
    """
    job = runtime.jobs.jobs.get(claim.job_id)
    try:
        settled, messages = wait_for_room(lambda: _settle(runtime, job, claim, ending, spent))
    except StaleLeaseError as error:
        log.warning("dropped", reason=str(error), job=claim.job_id, key=claim.key)
        wait_for_room(lambda: _record_costs(runtime.tracker, claim, spent))
        return None
    _tell(claim, ending)
    if job is not None:
        publish(runtime, job, messages)
    return settled


def _settle(
    runtime: Runtime, job: JobSpec | None, claim: Claim, ending: Ending, spent: list[Cost]
) -> tuple[Settled, list[Message]]:
    conn = runtime.tracker
    spec = next((stage for stage in job.stages if stage.name == claim.stage), None) if job else None
    limited = spec is None or spec.concurrency is not None or spec.rate is not None
    with write(conn):
        settled = moves.settle(
            conn,
            claim.item_id,
            claim.stage,
            claim.attempt,
            ending,
            by=runtime.worker,
            hand_over=not limited,  # a limited stage waits in the tracker, where dispatch counts it
        )
        _record_costs(conn, claim, spent)
        if ending.result_json is not None:
            reset_auto_unpauses(conn, claim.job_id)
        messages = _follow_up(runtime, conn, job, spec, settled, claim)
    return settled, messages


def _follow_up(
    runtime: Runtime,
    conn: Connection,
    job: JobSpec | None,
    spec: StageSpec | None,
    settled: Settled,
    claim: Claim,
) -> list[Message]:
    """Stamp what may be sent now that this attempt has ended: its own countdown, and what runs low."""
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
            messages += refill(runtime, conn, job, queue)
    return messages


def _record_costs(conn: Connection, claim: Claim, spent: list[Cost]) -> None:
    for cost in spent:
        log_cost(
            conn,
            claim.job_id,
            cost.usd,
            cost.provider,
            item_id=claim.item_id,
            stage=claim.stage,
            attempt=claim.attempt,
            units=cost.units,
        )


def _tell(claim: Claim, ending: Ending) -> None:
    told = log.info if ending.failure is None else log.warning
    told(
        f"{claim.job_id}.{claim.stage} {ending.move.name}",
        key=claim.key,
        attempt=claim.attempt,
        seconds=round((now_ms() - claim.started_at) / 1000, 3),
        **({"reason": ending.reason} if ending.reason else {}),
    )


def wait_for_room(act: Callable[[], T]) -> T:
    """
    Do a write; on a full disk wait, saying so once, and do it again until there is room.

    Meanwhile this worker claims nothing, and loses nothing.
    """
    told = False
    while True:
        try:
            done = act()
        except TrackerFullError as error:
            if not told:
                log.error("the disk is full; waiting for room", error=str(error))
            told = True
            time.sleep(LOOK_FOR_ROOM_SECONDS)
        else:
            if told:
                log.info("there is room on the disk again")
            return done
