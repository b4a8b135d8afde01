"""
Send ready stages to the workers: keep every runway short and never dry.

A runway belongs to a job and a queue. Whoever settles a stage looks at the counters, and refills the runway
when it is low, in the same transaction; the sweep does so for what a limit or a pause had held back.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import structlog

from pipeline.errors import BrokerUnavailableError
from pipeline.schedule import SWEEP_SECONDS
from runner.budgets import open_purse
from runner.candidates import NOTHING, choose, find_root, is_waiting, list_stages_on, list_unopened
from runner.cargo import load_cargo
from runner.loads import list_loads
from tracker import dispatch as tracker_dispatch
from tracker.connection import Connection, write
from tracker.pauses import read_holds
from tracker.plan import open_items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.jobspec import JobSpec, StageSpec
    from pipeline.rate import Rate
    from runner.budgets import Purse
    from runner.runtime import Runtime
    from tracker.dispatch import Message, Runway

log = structlog.get_logger(__name__)


def dispatch_job(runtime: Runtime, job: JobSpec) -> int:
    """Fill every runway of a job; how many messages were sent. Commits, then publishes."""
    sent = 0
    for queue in sorted({stage.queue for stage in job.stages}):
        conn = runtime.tracker
        if not has_work(runtime, conn, job, queue):
            continue  # an idle sweep writes nothing
        with write(conn):
            messages = refill(runtime, conn, job, queue)
        sent += publish(runtime, job, messages)
    return sent


def has_work(runtime: Runtime, conn: Connection, job: JobSpec, queue: str) -> bool:
    """Tell, without writing, whether a job has anything that could be sent on a queue."""
    stages = list_stages_on(runtime, job, queue)
    if any(tracker_dispatch.list_ready(conn, job.name, stage.name, 1) for stage in stages):
        return True
    root = find_root(runtime, job, stages)
    return root is not None and bool(list_unopened(runtime, conn, job, root, 1))


def refill(runtime: Runtime, conn: Connection, job: JobSpec, queue: str) -> list[Message]:
    """
    Stamp what a job's runway on one queue has room for, in the caller's transaction.

    Returns the messages to publish once it is committed; none when the runway is not low, or the job is
    paused. The cost is that of what is sent: it does not grow with what waits.
    """
    stages = list_stages_on(runtime, job, queue)
    runways = _read_runways(conn, job)
    mine = [runways.get(stage.name, NOTHING) for stage in stages]
    queued, running = sum(one.queued for one in mine), sum(one.running for one in mine)
    low, high = runtime.pace.marks(job.name, queue, running)
    if queued >= low or (holds := read_holds(conn, job.name)).all_stages:
        return []
    room, purse = high - queued, open_purse(runtime, conn, job)
    if holds.probes_left is not None:  # its breaker lets out so many, whatever the queue
        room = min(room, holds.probes_left - sum(one.queued for one in runways.values()))
    stages = [stage for stage in stages if stage.name not in holds.stages]
    allowed = {stage.name: _count_allowed(conn, job, stage, runways, room, purse) for stage in stages}
    chosen = [one for load in choose(runtime, conn, job, stages, allowed, room, purse) for one in load]
    unopened = [one.item_id for one in chosen if one.unopened]
    if unopened:
        open_items(conn, job.name, unopened, runtime.plan(job))
    messages = tracker_dispatch.stamp(conn, chosen) if chosen else []
    _take_rates(conn, job, stages, messages)
    if purse is not None:
        dry = [stage for stage in stages if purse.is_dry(stage)]
        purse.settle(messages, [stage.name for stage in dry if is_waiting(runtime, conn, job, stage)])
    return messages


def _read_runways(conn: Connection, job: JobSpec) -> dict[str, Runway]:
    """Read the runways of a job's stages, counted in loads."""
    runways = tracker_dispatch.read_runways(conn, job.name)
    for stage in job.stages:
        if stage.batch is not None and stage.name in runways:
            runways[stage.name] = runways[stage.name].in_loads_of(stage.batch)
    return runways


def publish(runtime: Runtime, job: JobSpec, messages: Sequence[Message]) -> int:
    """
    Publish stamped messages; how many. If the broker is away, their stamps are taken back.

    Then the next sweep, or whoever settles next, sends them again.
    """
    if not messages:
        return 0
    try:
        runtime.publisher.publish_stages(job, load_cargo(runtime, job, messages))
    except BrokerUnavailableError as error:
        log.warning("the broker is away; stages wait in the tracker", error=str(error), stages=len(messages))
        with write(runtime.tracker):
            tracker_dispatch.take_back_stamps(runtime.tracker, messages)
        return 0
    return len(messages)


def _count_allowed(
    conn: Connection,
    job: JobSpec,
    stage: StageSpec,
    runways: dict[str, Runway],
    room: int,
    purse: Purse | None,
) -> int:
    """Count how many loads of a stage its concurrency, its rate and the budget let go, at most the runway's room."""
    if stage.concurrency is not None:
        room = min(room, stage.concurrency - runways.get(stage.name, NOTHING).outstanding)
    if stage.rate is not None and room > 0:
        interval_us, burst = _spacing(stage.rate)
        room = min(room, tracker_dispatch.count_allowed(conn, job.name, stage.name, interval_us, burst))
    if purse is not None and room > 0:
        room = purse.count_allowed(stage, runways.get(stage.name, NOTHING), room)
    return max(0, room)


def _take_rates(
    conn: Connection, job: JobSpec, stages: Sequence[StageSpec], messages: Sequence[Message]
) -> None:
    sent = Counter(stage.name for stage, _ in list_loads(job, messages))
    for stage in stages:
        if stage.rate is not None and sent[stage.name]:
            interval_us, burst = _spacing(stage.rate)
            tracker_dispatch.take_allowed(conn, job.name, stage.name, interval_us, burst, sent[stage.name])


def _spacing(rate: Rate) -> tuple[int, int]:
    """Give the microseconds between two sendings, and how many may be saved up: what falls due in one sweep."""
    interval_us = max(1, int(1_000_000 / rate.per_second))
    return interval_us, max(1, int(rate.per_second * SWEEP_SECONDS))
