"""What dispatch may send of a job, and in which order: ready stages and unopened items, in loads and by lanes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runner.lanes import share_out, split_into_lanes
from runner.loads import size_of_load, split_into_loads
from tracker import dispatch as tracker_dispatch
from tracker.clock import now_ms
from tracker.dispatch import Candidate, Runway
from tracker.lanes import keep_owed, read_owed
from tracker.pauses import read_holds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.jobspec import JobSpec, StageSpec
    from runner.budgets import Purse
    from runner.lanes import Load
    from runner.runtime import Runtime
    from tracker.connection import Connection

NOTHING = Runway(0, 0)

SHORT_LOAD_WAITS_MS = 10_000
"""How long a load of a stage with `batch` waits to become full while more is coming."""


def list_stages_on(runtime: Runtime, job: JobSpec, queue: str) -> list[StageSpec]:
    """List the stages of a job that this run sends on a queue."""
    only = runtime.run.test_stage
    return [
        stage for stage in job.stages if stage.queue == queue and stage.enabled and only in (None, stage.name)
    ]


def list_ready_loads(
    runtime: Runtime,
    conn: Connection,
    job: JobSpec,
    stages: Sequence[StageSpec],
    allowed: dict[str, int],
    purse: Purse | None,
) -> list[Load]:
    """
    List the loads that may go, of each lane and stage the best, and at least as many as are `allowed` if there are.

    An item that has spent its share of a budget is left out.
    """
    found = {
        stage.name: _list_affordable(
            runtime, conn, job, stage.name, allowed[stage.name] * size_of_load(stage), purse
        )
        for stage in stages
        if allowed[stage.name]
    }
    free = [stage for stage in stages if allowed[stage.name]]  # one at its limit does not hold up the others
    if (root := find_root(runtime, job, free)) is not None:
        limit = max(allowed.values()) * size_of_load(job.stage(root))
        found[root] += list_unopened(runtime, conn, job, root, limit)
    loads: list[Load] = []
    for stage in free:
        for lane in split_into_lanes(sorted(found[stage.name])):
            made = split_into_loads(lane, size_of_load(stage))
            loads += [load for load in made if _may_go(runtime, conn, job, stage, load)]
    return loads


def choose(
    conn: Connection,
    job: JobSpec,
    stages: Sequence[StageSpec],
    loads: Sequence[Load],
    allowed: dict[str, int],
    room: int,
    purse: Purse | None,
) -> list[Load]:
    """
    Choose which loads are sent: at most `room`, and of each stage at most as many as are `allowed`.

    Of each lane highest priority first, then far on, then oldest. What cannot be paid for is left out.
    """
    is_contended = len({load[0].backfill for load in loads}) > 1
    owed = read_owed(conn, job.name, stages[0].queue) if is_contended else 0.0
    chosen, owing = share_out(loads, allowed, room, share=job.backfill_share, owed=owed, payer=purse)
    if owing != owed:
        keep_owed(conn, job.name, stages[0].queue, owing)
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
    if any(list_ready(runtime, conn, job, one.name, 1) for one in earlier):
        return True
    root = find_root(runtime, job, earlier)
    return root is not None and bool(list_unopened(runtime, conn, job, root, 1))


MARKING_ROUNDS = 8
"""How often a refill looks past items that it has just found to be over budget; the next goes on."""


def _list_affordable(
    runtime: Runtime, conn: Connection, job: JobSpec, stage: str, limit: int, purse: Purse | None
) -> list[Candidate]:
    """List ready stages, those left out whose items are over budget: they are marked, and passed over from then on."""
    for _ in range(MARKING_ROUNDS):
        found = list_ready(runtime, conn, job, stage, limit)
        if purse is None or not purse.mark_over_budget(stage, found):
            return found
    return []


def is_waiting(runtime: Runtime, conn: Connection, job: JobSpec, stage: StageSpec) -> bool:
    """Tell whether a stage of any item could be sent, if no limit and no budget held it."""
    if list_ready(runtime, conn, job, stage.name, 1):
        return True
    return find_root(runtime, job, [stage]) is not None and bool(
        list_unopened(runtime, conn, job, stage.name, 1)
    )


def list_ready(runtime: Runtime, conn: Connection, job: JobSpec, stage: str, limit: int) -> list[Candidate]:
    """List ready stages of one name, of the items that this run is about; at most `limit` of each lane."""
    active = runtime.run.active_items
    if active is None:
        return tracker_dispatch.list_ready(conn, job.name, stage, limit)
    return tracker_dispatch.list_ready_among(conn, json.dumps(sorted(active)), stage, limit)


def list_unopened(runtime: Runtime, conn: Connection, job: JobSpec, root: str, limit: int) -> list[Candidate]:
    """List at most `limit` unopened items, of those that this run is about, as candidates for their first stage."""
    active = runtime.run.active_items
    if active is None:
        return tracker_dispatch.list_unopened(conn, job.name, root, limit)
    return tracker_dispatch.list_unopened_among(conn, job.name, json.dumps(sorted(active)), root, limit)


def can_open(runtime: Runtime, job: JobSpec) -> bool:
    """Tell whether this run sends a stage with which an unopened item may begin."""
    queues, paused = {stage.queue for stage in job.stages}, read_holds(runtime.tracker, job.name).stages
    roots = {find_root(runtime, job, list_stages_on(runtime, job, queue)) for queue in queues}
    return bool(roots - paused - {None})


def find_root(runtime: Runtime, job: JobSpec, stages: Sequence[StageSpec]) -> str | None:
    """Find the first of these stages with which an unopened item may begin, or None."""
    plan = runtime.plan_in_force(job)  # a stage that only jobs.yaml has, no item has yet
    known = (one.name for one in stages if one.name in plan.switched_on)
    return next((name for name in known if not plan.switched_on & set(plan.needs[name])), None)
