"""
Send ready stages to the workers: keep every runway short and never dry.

A runway belongs to a job and a queue. Whoever settles a stage looks at the counters, and refills the runway
when it is low, in the same transaction; the sweep does so for what a limit or a pause had held back.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from pipeline.errors import BrokerUnavailableError
from pipeline.schedule import SWEEP_SECONDS
from runner.cargo import load_cargo
from runner.loads import list_loads, size_of_load, split_into_loads
from tracker import dispatch as tracker_dispatch
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.dispatch import Candidate, Message, Runway
from tracker.jobs import is_job_paused
from tracker.plan import open_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.jobspec import JobSpec, StageSpec
    from pipeline.rate import Rate
    from runner.runtime import Runtime

log = structlog.get_logger(__name__)

NOTHING = Runway(0, 0)

SHORT_LOAD_WAITS_MS = 10_000
"""How long a load of a stage with `batch` waits to become full while more is coming."""


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
    stages = _stages_on(runtime, job, queue)
    if any(tracker_dispatch.list_ready(conn, job.name, stage.name, 1) for stage in stages):
        return True
    root = _find_root(runtime, job, stages)
    return root is not None and bool(_list_unopened(runtime, conn, job, root, 1))


def refill(runtime: Runtime, conn: Connection, job: JobSpec, queue: str) -> list[Message]:
    """
    Stamp what a job's runway on one queue has room for, in the caller's transaction.

    Returns the messages to publish once it is committed; none when the runway is not low, or the job is
    paused. The cost is that of what is sent: it does not grow with what waits.
    """
    stages = _stages_on(runtime, job, queue)
    runways = _read_runways(conn, job)
    mine = [runways.get(stage.name, NOTHING) for stage in stages]
    queued, running = sum(one.queued for one in mine), sum(one.running for one in mine)
    low, high = runtime.pace.marks(job.name, queue, running)
    if queued >= low or is_job_paused(conn, job.name):
        return []
    room = high - queued
    allowed = {stage.name: _count_allowed(conn, job, stage, runways, room) for stage in stages}
    chosen = [one for load in _choose(runtime, conn, job, stages, allowed, room) for one in load]
    unopened = [one.item_id for one in chosen if one.unopened]
    if unopened:
        open_items(conn, job.name, unopened, runtime.plan(job))
    messages = tracker_dispatch.stamp(conn, chosen) if chosen else []
    _take_rates(conn, job, stages, messages)
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


def _stages_on(runtime: Runtime, job: JobSpec, queue: str) -> list[StageSpec]:
    only = runtime.run.test_stage
    return [
        stage for stage in job.stages if stage.queue == queue and stage.enabled and only in (None, stage.name)
    ]


Load = list[Candidate]


def _choose(
    runtime: Runtime,
    conn: Connection,
    job: JobSpec,
    stages: Sequence[StageSpec],
    allowed: dict[str, int],
    room: int,
) -> list[Load]:
    found = {
        stage.name: _list_ready(runtime, conn, job, stage.name, allowed[stage.name] * size_of_load(stage))
        for stage in stages
        if allowed[stage.name]
    }
    free = [stage for stage in stages if allowed[stage.name]]  # one at its limit does not hold up the others
    if (root := _find_root(runtime, job, free)) is not None:
        limit = max(allowed.values()) * size_of_load(job.stage(root))
        found[root] += _list_unopened(runtime, conn, job, root, limit)
    loads: list[Load] = []
    for stage in free:
        made = split_into_loads(sorted(found[stage.name]), size_of_load(stage))
        loads += [load for load in made if _may_go(runtime, conn, job, stage, load)]
    return _within(allowed, sorted(loads), room)


def _within(allowed: dict[str, int], loads: Iterable[Load], room: int) -> list[Load]:
    taken: Counter[str] = Counter()
    chosen: list[Load] = []
    for load in loads:
        stage = load[0].stage
        if taken[stage] < allowed[stage] and len(chosen) < room:
            taken[stage] += 1
            chosen.append(load)
    return chosen


def _may_go(runtime: Runtime, conn: Connection, job: JobSpec, stage: StageSpec, load: Load) -> bool:
    """Tell whether a load is full, or need not wait for more: nothing is coming, or it has waited long enough."""
    if len(load) == size_of_load(stage) or load[0].crashes:
        return True
    return (
        not _is_more_coming(runtime, conn, job, stage)
        or tracker_dispatch.ready_since(conn, load) <= now_ms() - SHORT_LOAD_WAITS_MS
    )


def _is_more_coming(runtime: Runtime, conn: Connection, job: JobSpec, stage: StageSpec) -> bool:
    before = job.ancestors(stage.name)
    runways = tracker_dispatch.read_runways(conn, job.name)
    if any(runways.get(name, NOTHING).outstanding for name in before):
        return True
    earlier = [one for one in job.stages if one.name in before and one.enabled]
    if any(_list_ready(runtime, conn, job, one.name, 1) for one in earlier):
        return True
    root = _find_root(runtime, job, earlier)
    return root is not None and bool(_list_unopened(runtime, conn, job, root, 1))


def _list_ready(runtime: Runtime, conn: Connection, job: JobSpec, stage: str, limit: int) -> list[Candidate]:
    active = runtime.run.active_items
    if active is None:
        return tracker_dispatch.list_ready(conn, job.name, stage, limit)
    return tracker_dispatch.list_ready_among(conn, json.dumps(sorted(active)), stage, limit)


def _list_unopened(
    runtime: Runtime, conn: Connection, job: JobSpec, root: str, limit: int
) -> list[Candidate]:
    active = runtime.run.active_items
    if active is None:
        return tracker_dispatch.list_unopened(conn, job.name, root, limit)
    return tracker_dispatch.list_unopened_among(conn, job.name, json.dumps(sorted(active)), root, limit)


def can_open(runtime: Runtime, job: JobSpec) -> bool:
    """Tell whether this run sends a stage with which an unopened item may begin."""
    queues = {stage.queue for stage in job.stages}
    return any(_find_root(runtime, job, _stages_on(runtime, job, queue)) for queue in queues)


def _find_root(runtime: Runtime, job: JobSpec, stages: Sequence[StageSpec]) -> str | None:
    plan = runtime.plan(job)
    return next((one.name for one in stages if not plan.switched_on & set(plan.needs[one.name])), None)


def _count_allowed(
    conn: Connection, job: JobSpec, stage: StageSpec, runways: dict[str, Runway], room: int
) -> int:
    """Count how many loads of a stage its concurrency and rate let go, at most the runway's room."""
    if stage.concurrency is not None:
        room = min(room, stage.concurrency - runways.get(stage.name, NOTHING).outstanding)
    if stage.rate is not None and room > 0:
        interval_us, burst = _spacing(stage.rate)
        room = min(room, tracker_dispatch.count_allowed(conn, job.name, stage.name, interval_us, burst))
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
