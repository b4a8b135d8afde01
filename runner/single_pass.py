"""One pass over a job: discover, then work through the same tasks as ever, until nothing is due."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.lifecycle import Status
from runner.candidates import can_open
from runner.discover import Discovered, discover
from runner.dispatch import dispatch_job
from runner.search_keeping import keep_search
from runner.sweep import sweep
from tracker import items, jobs, recovery, stages, stats
from tracker.applying import find_change
from tracker.backlog import count_statuses, read_backlog
from tracker.clock import now_ms
from tracker.holds import find_reached
from tracker.progress import list_progress
from tracker.workers import count_serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.jobspec import JobSpec
    from runner.context import RunContext
    from runner.runtime import Runtime
    from tracker.backlog import Backlog

ALL_ITEMS = 2**31
LOOK_SECONDS = 0.1
SWEEP_EVERY_SECONDS = 1.0
WAIT_SECONDS = 60.0
"""A pass waits for retries that are due within this time, and for workers far away; then it leaves them to the next."""

LAST_SEARCH_SECONDS = 2.0
"""How long a pass reads in, at its end, what can be searched: no sweep may follow it."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A pass that can begin: what discovery came to, and how the workers are to behave."""

    discovered: Discovered | None
    run: RunContext


@dataclass(frozen=True, slots=True)
class Finished:
    """
    What a pass came to: its items by status, and when (Unix ms) the next of them is due, if any waits.

    `unserved` are the queues on which its stages wait, and that no worker serves.
    """

    statuses: dict[str, int]
    next_due_at: int | None
    unserved: list[str]

    @property
    def all_done(self) -> bool:
        """Tell whether every item of the pass is done."""
        return not any(count for status, count in self.statuses.items() if status != Status.DONE)


def prepare_pass(runtime: Runtime, job_id: str, run: RunContext, *, cold: bool) -> Ready:
    """
    Discover, and choose the items that a limited pass keeps to; nothing is sent yet.

    `cold` says that no other worker can be running: claims left by dead ones are given back at once, unless
    `no_reset`. Raises `NotFoundError` for a job, stage or item that does not exist.
    """
    job = runtime.jobs.get_job(job_id)
    if run.test_stage is not None:
        job.stage(run.test_stage)
    runtime.run = replace(run, active_items=frozenset())  # discovery must not send anything yet
    if cold and not run.no_reset:
        recovery.reset_in_progress_stages(runtime.tracker, job_id)
    known = run.test_item is not None and items.find_item(runtime.tracker, job_id, run.test_item) is not None
    discovered = None if known else discover(runtime, job_id)
    active = None if run.discover_only or not run.is_scoped else _choose_items(runtime, job_id, run)
    runtime.run = replace(run, active_items=active)
    return Ready(discovered, runtime.run)


def _choose_items(runtime: Runtime, job_id: str, run: RunContext) -> frozenset[int]:
    conn = runtime.tracker
    if run.test_item is not None:
        return frozenset({items.get_item(conn, job_id, run.test_item)["item_id"]})
    limit = run.limit if run.limit is not None else ALL_ITEMS
    if run.test_stage is not None:
        rows = stages.get_items_needing_stage(conn, job_id, run.test_stage, limit)
    else:
        rows = items.get_pending(conn, job_id, limit)
    return frozenset(row["item_id"] for row in rows)


def work_until_nothing_is_due(
    runtime: Runtime, job_id: str, still_alive: Callable[[], None]
) -> Iterator[Backlog]:
    """
    Send what is ready until nothing is due within a minute, and yield the backlog at every look.

    A paused job, or one whose budget is reached, is waited for only if that lifts itself within that time. So are
    stages that only workers far from the file run, if there are none.
    `still_alive` is called at every look, to see to the workers.
    """
    job, swept_at, served_at = runtime.jobs.get_job(job_id), 0.0, time.monotonic()
    while True:
        if time.monotonic() - swept_at >= SWEEP_EVERY_SECONDS:
            sweep(runtime, only=job_id)
            swept_at = time.monotonic()
        else:
            dispatch_job(runtime, job)
        left = _look(runtime, job_id)
        yield left
        if left.running or not _is_unserved(runtime, job, left.queued):
            served_at = time.monotonic()
        nobody_comes = time.monotonic() - served_at > WAIT_SECONDS
        if nobody_comes or not _is_worth_waiting(runtime, job_id, left):
            keep_search(runtime, job_id, LAST_SEARCH_SECONDS)
            return
        still_alive()
        time.sleep(LOOK_SECONDS)


def _look(runtime: Runtime, job_id: str) -> Backlog:
    active, stage = runtime.run.active_items, runtime.run.test_stage
    latest = next(iter(list_progress(runtime.tracker, job_id, limit=1)), None)
    left = replace(read_backlog(runtime.tracker, job_id, active, stage), latest=latest)
    if can_open(runtime, runtime.jobs.get_job(job_id)):
        return left
    return replace(left, unopened=0)  # this run sends no stage that they could begin with


def _is_worth_waiting(runtime: Runtime, job_id: str, left: Backlog) -> bool:
    if find_change(runtime.tracker, job_id) is not None:
        return True  # the next sweep brings more of its items to the stages of jobs.yaml
    pause = jobs.get_retry_info(runtime.tracker, job_id)
    if pause["paused"] and not (left.running or left.queued):
        return _is_soon(pause["until_at"])
    if not (left.running or left.queued) and (reached := find_reached(runtime.tracker, job_id)) is not None:
        return _is_soon(reached.until_at)  # what costs nothing was sent just now
    return left.is_moving or (not runtime.run.single_pass and _is_soon(left.next_retry_at))


def _is_unserved(runtime: Runtime, job: JobSpec, queued: int) -> bool:
    """Tell whether all that was sent waits where no worker is."""
    return bool(queued) and sum(_count_unserved(runtime, job).values()) >= queued


def _count_unserved(runtime: Runtime, job: JobSpec) -> dict[str, int]:
    """Count the stages that wait, by the queue of workers far from the file, of each that no worker serves."""
    far = [stage for stage in job.stages if stage.remote]
    if not far:
        return {}
    counts, served = stats.stage_stats(runtime.tracker, job.name), count_serving(runtime.tracker)
    waiting: Counter[str] = Counter()
    for stage in far:
        if stage.queue not in served and stage.name in counts:
            waiting[stage.queue] += counts[stage.name]["queued"]
    return dict(+waiting)


def _is_soon(due_at: int | None) -> bool:
    return due_at is not None and due_at <= now_ms() + WAIT_SECONDS * 1000


def finish_pass(runtime: Runtime, job_id: str) -> Finished:
    """Sum up what the pass came to."""
    conn = runtime.tracker
    statuses = count_statuses(conn, job_id, runtime.run.active_items)
    unserved = sorted(_count_unserved(runtime, runtime.jobs.get_job(job_id)))
    return Finished(statuses, _look(runtime, job_id).next_retry_at, unserved)
