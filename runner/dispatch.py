"""
Send ready stages to the workers: keep every runway short and never dry.

A runway belongs to a job and a queue. Whoever settles a stage looks at the counters, and refills the runway
when it is low, in the same transaction; the sweep does so for what a limit or a pause had held back.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import structlog

from pipeline.errors import BrokerUnavailableError
from pipeline.schedule import SWEEP_SECONDS
from runner.budgets import open_purse
from runner.candidates import (
    NOTHING,
    choose,
    find_root,
    is_waiting,
    list_ready_loads,
    list_stages_on,
    list_unopened,
)
from runner.cargo import load_cargo
from runner.loads import list_loads
from tracker import dispatch as tracker_dispatch
from tracker import rates
from tracker.connection import Connection, write
from tracker.pauses import read_holds
from tracker.plan import open_items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.jobspec import JobSpec, StageSpec
    from pipeline.rate import Rate
    from runner.budgets import Purse
    from runner.lanes import Load
    from runner.runtime import Runtime
    from tracker.dispatch import Candidate, Message, Runway
    from tracker.paused import Holds

log = structlog.get_logger(__name__)


def dispatch_job(runtime: Runtime, job: JobSpec) -> int:
    """
    Fill every runway of a job; how many messages were sent. Commits, then publishes.

    Does nothing in a process that has nobody to publish to: workers take up what is ready.
    """
    if not runtime.has_publisher:
        return 0
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
    low, high = runtime.pace.marks(job.name, queue, sum(_get(runways, stage).running for stage in stages))
    if _count_queued(stages, runways) >= low or (holds := read_holds(conn, job.name)).all_stages:
        return []
    purse, free = open_purse(runtime, conn, job), [one for one in stages if one.name not in holds.stages]
    count_room = partial(_count_room, conn, job, stages, holds, high, purse)
    room, allowed = count_room(runways)
    loads = list_ready_loads(runtime, conn, job, free, allowed, purse)
    if _count_short_loads(conn, job, loads, runways):
        if _count_queued(stages, runways) >= low:
            return []
        room, allowed = count_room(runways)
    chosen = [one for load in choose(conn, job, free, loads, allowed, room, purse) for one in load]
    messages = _stamp(runtime, conn, job, chosen) if chosen else []
    _take_rates(conn, job, free, messages)
    if purse is not None:
        dry = [stage for stage in free if purse.is_dry(stage)]
        purse.settle(messages, [stage.name for stage in dry if is_waiting(runtime, conn, job, stage)])
    return messages


def _read_runways(conn: Connection, job: JobSpec) -> dict[str, Runway]:
    """Read the runways of a job's stages, counted in loads as if each were full."""
    runways = tracker_dispatch.read_runways(conn, job.name)
    for stage in job.stages:
        if stage.batch is not None and stage.name in runways:
            runways[stage.name] = runways[stage.name].in_loads_of(stage.batch)
    return runways


def _count_short_loads(
    conn: Connection, job: JobSpec, loads: Sequence[Load], runways: dict[str, Runway]
) -> bool:
    """
    Correct the runways of the stages with `batch` of which a load could go; True if more loads are out than seemed.

    The counters cannot know how many loads are short, and looking costs what is out: so only before one is sent.
    """
    before, batched = dict(runways), {stage.name for stage in job.stages if stage.batch is not None}
    for name in batched & runways.keys() & {load[0].stage for load in loads}:
        runways[name] = runways[name].at_least(tracker_dispatch.count_loads(conn, job.name, name))
    return runways != before


def _get(runways: dict[str, Runway], stage: StageSpec) -> Runway:
    return runways.get(stage.name, NOTHING)


def _count_queued(stages: Sequence[StageSpec], runways: dict[str, Runway]) -> int:
    return sum(_get(runways, stage).queued for stage in stages)


def _count_room(
    conn: Connection,
    job: JobSpec,
    stages: Sequence[StageSpec],
    holds: Holds,
    high: int,
    purse: Purse | None,
    runways: dict[str, Runway],
) -> tuple[int, dict[str, int]]:
    """Count how many loads may go in all, and of each stage that no pause holds."""
    room = high - _count_queued(stages, runways)
    if holds.probes_left is not None:  # its breaker lets out so many, whatever the queue
        room = min(room, holds.probes_left - sum(one.queued for one in runways.values()))
    return room, {
        stage.name: _count_allowed(conn, job, stage, _get(runways, stage), room, purse)
        for stage in stages
        if stage.name not in holds.stages
    }


def _stamp(runtime: Runtime, conn: Connection, job: JobSpec, chosen: Sequence[Candidate]) -> list[Message]:
    """Stamp what was chosen; an item gets its stages first, if this is its first."""
    unopened = [one.item_id for one in chosen if one.unopened]
    if unopened:
        open_items(conn, job.name, unopened, runtime.plan(job))
    return tracker_dispatch.stamp(conn, chosen, _tell_apart(conn, job, chosen))


def _tell_apart(conn: Connection, job: JobSpec, chosen: Sequence[Candidate]) -> dict[Candidate, int]:
    """Give each load of a stage with `batch` an instant of its own, by which it is counted while it waits."""
    instants: dict[Candidate, int] = {}
    if all(stage.batch is None for stage in job.stages):
        return instants
    after: dict[str, int] = {}
    for stage, load in list_loads(job, chosen):
        if stage.batch is not None:
            if stage.name not in after:
                after[stage.name] = tracker_dispatch.next_instant(conn, job.name, stage.name)
            instants.update(dict.fromkeys(load, after[stage.name]))
            after[stage.name] += 1
    return instants


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
            tracker_dispatch.take_back_stamps(runtime.tracker, [one.attempt_key for one in messages])
        return 0
    return len(messages)


def _count_allowed(
    conn: Connection, job: JobSpec, stage: StageSpec, runway: Runway, room: int, purse: Purse | None
) -> int:
    """Count how many loads of a stage its concurrency, its rate and the budget let go, at most the runway's room."""
    if stage.concurrency is not None:
        room = min(room, stage.concurrency - runway.outstanding)
    if stage.rate is not None and room > 0:
        interval_us, burst = _spacing(stage.rate)
        room = min(room, rates.count_allowed(conn, job.name, stage.name, interval_us, burst))
    if purse is not None and room > 0:
        room = purse.count_allowed(stage, runway, room)
    return max(0, room)


def _take_rates(
    conn: Connection, job: JobSpec, stages: Sequence[StageSpec], messages: Sequence[Message]
) -> None:
    sent = Counter(stage.name for stage, _ in list_loads(job, messages))
    for stage in stages:
        if stage.rate is not None and sent[stage.name]:
            interval_us, burst = _spacing(stage.rate)
            rates.take_allowed(conn, job.name, stage.name, interval_us, burst, sent[stage.name])


def _spacing(rate: Rate) -> tuple[int, int]:
    """Give the microseconds between two sendings, and how many may be saved up: what falls due in one sweep."""
    interval_us = max(1, int(1_000_000 / rate.per_second))
    return interval_us, max(1, int(rate.per_second * SWEEP_SECONDS))
