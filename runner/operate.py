"""
What people do to a job and its items, from a shell or the dashboard. Each act is one event, with who.

Acts on many stages are in `runner.actions`, pauses in `runner.pausing`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.errors import HeldPlanError
from runner.dispatch import dispatch_job
from tracker import held, items, jobs
from tracker.collecting import collect
from tracker.connection import write
from tracker.events import append_event
from tracker.injecting import record_injection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.runtime import Runtime
    from tracker.collecting import Collected
    from tracker.items import ItemToStore


@dataclass(frozen=True, slots=True)
class Acted:
    """What an act did: how many items it touched, and how many messages it sent to workers."""

    act: str
    job: str
    items: int
    sent: int = 0


def enqueue(runtime: Runtime, job_id: str, found: Sequence[ItemToStore], by: str) -> Acted:
    """
    Add items by hand, and send what the runway has room for; `items` counts the new ones.

    One that waits for approval and is named without data comes in as it was found, with the priority given, if any.
    """
    job, conn = runtime.jobs.get_job(job_id), runtime.tracker
    with write(conn):
        as_found = {item["key"]: item.get("priority") for item in found if not item.get("data")}
        held.set_priorities(conn, job_id, {key: one for key, one in as_found.items() if one is not None})
        new = held.admit(conn, job_id, list(as_found))
        new += items.upsert_items(conn, job_id, found, job.priority)
        held.drop(conn, job_id, [item["key"] for item in found])
        append_event(conn, job_id, "enqueue", None, None, None, by, {"items": len(found), "new": new})
    return Acted("enqueue", job_id, new, dispatch_job(runtime, job))


def enqueue_at(
    runtime: Runtime,
    job_id: str,
    key: str,
    stage: str,
    by: str,
    data: Mapping[str, Any] | None = None,
    results: Mapping[str, Mapping[str, Any]] | None = None,
) -> Acted:
    """Add an item that starts at a stage in the middle, the earlier ones counted as done."""
    job = runtime.jobs.get_job(job_id)
    job.stage(stage)
    plan = runtime.plan_in_force(job)
    if stage not in plan.names:
        raise HeldPlanError(job_id, stage)
    conn = runtime.tracker
    with write(conn):
        waited = held.read_held(conn, job_id, key)
        waited = waited if held.admit(conn, job_id, [key]) else None  # else it had come in by another way
        if waited is not None and data:
            held.prefer_data(conn, job_id, key, data)
        is_new = items.upsert_items(conn, job_id, [{"key": key}], job.priority) == 1
        item_id = items.inject_at_stage(conn, job_id, key, stage, plan, data=data, results=results)
        action_id = record_injection(conn, job_id, item_id, stage, by=by, is_new=is_new, held=waited)
        append_event(conn, job_id, "inject", item_id, stage, None, by, {"action": action_id})
    return Acted("enqueue", job_id, 1, dispatch_job(runtime, job))


APPROVE_AT_ONCE = 1000
"""How many held items are let in with one transaction."""


def approve(runtime: Runtime, job_id: str, by: str, limit: int | None = None) -> Acted:
    """Let in held items, the earliest found first: `limit` of them, or all; and send what there is room for."""
    job = runtime.jobs.get_job(job_id)
    take = partial(held.approve_next, runtime.tracker, job_id, by=by)
    return Acted("approve", job_id, _take_held(take, limit), dispatch_job(runtime, job))


def dismiss(runtime: Runtime, job_id: str, by: str, limit: int | None = None) -> Acted:
    """Make held items known without running them: `limit` of them, or all."""
    plan = runtime.plan(runtime.jobs.get_job(job_id))
    take = partial(held.dismiss_next, runtime.tracker, job_id, by=by, plan=plan)
    return Acted("dismiss", job_id, _take_held(take, limit))


def _take_held(take: Callable[..., int], limit: int | None) -> int:
    taken = 0
    while limit is None or taken < limit:
        wanted = APPROVE_AT_ONCE if limit is None else min(APPROVE_AT_ONCE, limit - taken)
        got = take(limit=wanted)
        taken += got
        if got < wanted:
            break
    return taken


def prioritise(runtime: Runtime, job_id: str, key: str, priority: int, by: str) -> Acted:
    """Set an item's priority; higher goes first. Raises `NotFoundError`."""
    runtime.jobs.get_job(job_id)
    items.update_item_priority(runtime.tracker, job_id, key, priority, by=by)
    return Acted("priority", job_id, 1)


def wake(runtime: Runtime, job_id: str, by: str) -> Acted:
    """Ask that a job look for work now, and send what is ready."""
    job = runtime.jobs.get_job(job_id)
    jobs.wake_job(runtime.tracker, job_id, by=by)
    return Acted("wake", job_id, 0, dispatch_job(runtime, job))


def collect_artifacts(runtime: Runtime, by: str) -> Collected:
    """Remove the kept files that nothing refers to."""
    conn = runtime.tracker
    collected = collect(conn, runtime.artifacts)
    if collected.files:
        with write(conn):
            append_event(conn, None, "collect_artifacts", None, None, None, by, asdict(collected))
    return collected
