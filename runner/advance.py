"""Run one attempt of one stage: claim it, run its handler, settle it, and send what becomes ready."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from handlers.base import HandlerContext
from handlers.running import run_handler
from pipeline.durations import format_duration
from pipeline.errors import (
    HandlerContractError,
    NotFoundError,
    StaleLeaseError,
    TrackerFullError,
)
from pipeline.outcomes import GiveUp, Outcome, RetryLater, Skip
from runner.dispatch import publish, refill
from tracker import moves
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.dispatch import Message
from tracker.endings import Ending, Failure
from tracker.events import log_cost
from tracker.jobs import reset_auto_unpauses
from tracker.results import read_results

if TYPE_CHECKING:
    from pipeline.jobspec import JobSpec, StageSpec
    from runner.leases import Held
    from runner.runtime import Prepared, Runtime
    from tracker.moves import Claim, Settled

log = structlog.get_logger(__name__)

LONGEST_BACKOFF_SECONDS = 3600.0
LOOK_FOR_ROOM_SECONDS = 1.0

T = TypeVar("T")


def advance(runtime: Runtime, item_id: int, stage: str, attempt: int) -> Settled | None:
    """
    Run one attempt of one stage of one item; what became of it, or None if there was nothing to run.

    The message may be a duplicate, late or overtaken: the claim decides. Commits twice: the claim, and the
    settling with all that follows from it.
    """
    claim = wait_for_room(
        lambda: moves.claim(runtime.tracker, item_id, stage, attempt, worker=runtime.worker)
    )
    if claim is None:
        log.debug("nothing to claim", item_id=item_id, stage=stage, attempt=attempt)
        return None
    spent: list[Cost] = []
    ending = _work(runtime, claim, spent)
    return conclude(runtime, claim, ending, spent)


@dataclass(frozen=True, slots=True)
class Cost:
    """Something that an attempt spent."""

    usd: float | None
    provider: str
    units: Mapping[str, float]


def _work(runtime: Runtime, claim: Claim, spent: list[Cost]) -> Ending:
    """Run the claimed stage's handler, whatever it does, to an ending."""
    try:
        prepared = runtime.prepare(runtime.jobs.get_job(claim.job_id), claim.stage)
    except NotFoundError as error:
        return Ending.released(f"not in this worker's jobs.yaml: {error}")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the plugin, its stage fails, not the worker
        return judge_failure(runtime.jobs.get_job(claim.job_id).stage(claim.stage), claim.retries, error)
    renew = _renewal(claim)
    with runtime.leases.hold(f"{claim.job_id}.{claim.stage}", renew) as held:
        return run_prepared(runtime, prepared, claim, held, spent)


def _renewal(claim: Claim) -> Callable[[Connection], bool]:
    return lambda conn: moves.renew_lease(conn, claim.item_id, claim.stage, claim.attempt)


def run_prepared(runtime: Runtime, prepared: Prepared, claim: Claim, held: Held, spent: list[Cost]) -> Ending:
    """Run a handler and judge how it ended. Only what ends the process itself comes through as an exception."""
    try:
        context = make_context(runtime, prepared, claim, held, spent)
        outcome = run_handler(prepared.handler, context)
        return judge_outcome(outcome, prepared.version)
    except runtime.stop_errors:
        moves.settle(
            runtime.tracker,
            claim.item_id,
            claim.stage,
            claim.attempt,
            Ending.released("the worker was stopped"),
        )
        raise
    except runtime.timeout_error as error:
        return judge_timeout(prepared.spec, claim.retries, Failure.of(error).traceback)
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is its stage's failure
        return judge_failure(prepared.spec, claim.retries, error)


def make_context(
    runtime: Runtime, prepared: Prepared, claim: Claim, held: Held, spent: list[Cost]
) -> HandlerContext:
    """Gather what a handler may know of its attempt."""
    spec = prepared.spec
    return HandlerContext(
        job=claim.job_id,
        key=claim.key,
        data=claim.data,
        results=NeededResults(lambda: read_results(runtime.tracker, claim.item_id, spec.needs)),
        attempt=claim.attempt,
        log=log.bind(job=claim.job_id, key=claim.key, stage=claim.stage, attempt=claim.attempt),
        http=runtime.http,
        deadline=datetime.now(UTC) + timedelta(seconds=spec.timeout),
        record_cost=lambda usd, provider, units: spent.append(Cost(usd, provider, units)),
        stop_asked=held.lost.is_set,
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


# -- how it ended -----------------------------------------------------------------------------------------


def judge_outcome(outcome: Outcome, version: str) -> Ending:
    """Turn what a handler returned into the ending that is recorded."""
    if isinstance(outcome, Skip):
        return Ending.skipped(outcome.reason, rest=outcome.rest)
    if isinstance(outcome, GiveUp):
        return Ending.gave_up(outcome.reason)
    if isinstance(outcome, RetryLater):
        return Ending.later(outcome.reason, now_ms() + int(outcome.delay_seconds() * 1000))
    return Ending.finished(json.dumps(outcome, ensure_ascii=False, allow_nan=False), version)


def judge_failure(spec: StageSpec, retries: int, error: BaseException) -> Ending:
    """Turn an exception into another try after a backoff, or into failure when the retries are used up."""
    if isinstance(error, HandlerContractError):
        return _retry_or_fail(spec, retries, Failure.of(error.__cause__ or error))
    return _retry_or_fail(spec, retries, Failure.of(error))


def judge_timeout(spec: StageSpec, retries: int, trace: str | None = None) -> Ending:
    """Judge an attempt that ran past its stage's timeout; `trace` says where it was, if that is known."""
    message = f"exceeded its timeout of {format_duration(spec.timeout)}"
    return _retry_or_fail(spec, retries, Failure.named("StageTimeout", message, trace))


def _retry_or_fail(spec: StageSpec, retries: int, failure: Failure) -> Ending:
    if retries >= spec.retries:
        return Ending.failed(failure)
    return Ending.retried(failure, now_ms() + int(backoff_seconds(spec.backoff, retries) * 1000))


def backoff_seconds(first: float, retries: int) -> float:
    """Tell how long to wait before retry number `retries` + 1: doubled each time, half to one and a half of it."""
    wait = min(first * 2.0 ** min(retries, 30), LONGEST_BACKOFF_SECONDS)
    return wait * random.uniform(0.5, 1.5)  # noqa: S311 - jitter keeps retries apart, it guards nothing


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
    _tell(claim, settled, ending)
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


def _tell(claim: Claim, settled: Settled, ending: Ending) -> None:
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
