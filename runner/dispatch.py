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
from tracker import dispatch as tracker_dispatch
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
    return any(tracker_dispatch.list_ready(conn, job.name, stage.name, 1) for stage in stages) or bool(
        _list_unopened(runtime, conn, job, stages, 1)
    )


def refill(runtime: Runtime, conn: Connection, job: JobSpec, queue: str) -> list[Message]:
    """
    Stamp what a job's runway on one queue has room for, in the caller's transaction.

    Returns the messages to publish once it is committed; none when the runway is not low, or the job is
    paused. The cost is that of what is sent: it does not grow with what waits.
    """
    stages = _stages_on(runtime, job, queue)
    runways = tracker_dispatch.read_runways(conn, job.name)
    mine = [runways.get(stage.name, NOTHING) for stage in stages]
    queued, running = sum(one.queued for one in mine), sum(one.running for one in mine)
    low, high = runtime.pace.marks(job.name, queue, running)
    if queued >= low or is_job_paused(conn, job.name):
        return []
    room = high - queued
    allowed = {stage.name: _count_allowed(conn, job, stage, runways, room) for stage in stages}
    chosen = _choose(runtime, conn, job, stages, allowed, room)
    unopened = [one.item_id for one in chosen if one.unopened]
    if unopened:
        open_items(conn, job.name, unopened, runtime.plan(job))
    messages = tracker_dispatch.stamp(conn, chosen) if chosen else []
    _take_rates(conn, job, stages, messages)
    return messages


def publish(runtime: Runtime, job: JobSpec, messages: Sequence[Message]) -> int:
    """
    Publish stamped messages; how many. If the broker is away, their stamps are taken back.

    Then the next sweep, or whoever settles next, sends them again.
    """
    if not messages:
        return 0
    try:
        runtime.publisher.publish_stages(job, load_cargo(runtime.tracker, job, messages))
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


def _choose(
    runtime: Runtime,
    conn: Connection,
    job: JobSpec,
    stages: Sequence[StageSpec],
    allowed: dict[str, int],
    room: int,
) -> list[Candidate]:
    found: list[Candidate] = []
    for stage in stages:
        if allowed[stage.name]:
            found += _list_ready(runtime, conn, job, stage.name, allowed[stage.name])
    free = [stage for stage in stages if allowed[stage.name]]  # one at its limit does not hold up the others
    found += _list_unopened(runtime, conn, job, free, max(allowed.values(), default=0))
    return _within(allowed, sorted(found), room)


def _within(allowed: dict[str, int], candidates: Iterable[Candidate], room: int) -> list[Candidate]:
    taken: Counter[str] = Counter()
    chosen: list[Candidate] = []
    for one in candidates:
        if taken[one.stage] < allowed[one.stage] and len(chosen) < room:
            taken[one.stage] += 1
            chosen.append(one)
    return chosen


def _list_ready(runtime: Runtime, conn: Connection, job: JobSpec, stage: str, limit: int) -> list[Candidate]:
    active = runtime.run.active_items
    if active is None:
        return tracker_dispatch.list_ready(conn, job.name, stage, limit)
    return tracker_dispatch.list_ready_among(conn, json.dumps(sorted(active)), stage, limit)


def _list_unopened(
    runtime: Runtime, conn: Connection, job: JobSpec, stages: Sequence[StageSpec], limit: int
) -> list[Candidate]:
    root, active = _find_root(runtime, job, stages), runtime.run.active_items
    if limit == 0 or root is None:
        return []
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
    """Count how many of a stage its concurrency and rate let go, at most the runway's room."""
    if stage.concurrency is not None:
        room = min(room, stage.concurrency - runways.get(stage.name, NOTHING).outstanding)
    if stage.rate is not None and room > 0:
        interval_us, burst = _spacing(stage.rate)
        room = min(room, tracker_dispatch.count_allowed(conn, job.name, stage.name, interval_us, burst))
    return max(0, room)


def _take_rates(
    conn: Connection, job: JobSpec, stages: Sequence[StageSpec], messages: Sequence[Message]
) -> None:
    sent = Counter(message.stage for message in messages)
    for stage in stages:
        if stage.rate is not None and sent[stage.name]:
            interval_us, burst = _spacing(stage.rate)
            tracker_dispatch.take_allowed(conn, job.name, stage.name, interval_us, burst, sent[stage.name])


def _spacing(rate: Rate) -> tuple[int, int]:
    """Give the microseconds between two sendings, and how many may be saved up: what falls due in one sweep."""
    interval_us = max(1, int(1_000_000 / rate.per_second))
    return interval_us, max(1, int(rate.per_second * SWEEP_SECONDS))
