"""
Do one thing to many stages: on record, in batches, and safe to be killed in the middle.

An `Order` says what is asked for: the act (a name in `tracker.acts.ACTS`), the job and stage, which items (a
choice), and who asks. `count` tells how many it would touch; `carry_out` does it:

    how = choose_keys(runtime, "papers", keys)          # of runner.choices
    order = Order("reset", "papers", by="ann", stage="extract", how=how)
    count(runtime, order)         # reads only
    carry_out(runtime, order)     # commits batch after batch; then one event, and dispatch sends

An action is a row of `actions`. Each batch is one short transaction, which also moves the action's cursor, so that
a killed one is taken up where it stopped: by the same order given again, or by the sweep. A choice is JSON, kept in
that row: `{"by": NAME, …}`, where NAME is in `tracker.choosing.CHOOSERS`, a function that gives the next page of
items after a cursor; with `"at_most": N` it ends after N. A new way to choose is one function there; a new act is
one row of `tracker.acts.ACTS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.errors import HeldPlanError
from runner.dispatch import dispatch_job
from runner.working_off import work_off
from tracker import action_batches, actions, choosing, undoing
from tracker.actions import UNDO, Action
from tracker.acts import ACTS
from tracker.clock import now_ms
from tracker.connection import write
from tracker.plan import find_plan, remember_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.runtime import Runtime

EARLIER_MS = 3_600_000
"""For how long it is said that somebody else did the same."""


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks for. `job_id` None is every job; `detail` is told in the event."""

    act: str
    job_id: str | None
    by: str
    stage: str | None = None
    how: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Earlier:
    """Somebody who did the same a while ago."""

    by: str
    at: int
    done: int


@dataclass(frozen=True, slots=True)
class ActedOnMany:
    """
    What an action did: `items` of `total`, which are stages or items as `counts` says, and how many messages it sent.

    `by` began it, which need not be who asked now. `passed` were left alone by an undo. `earlier` is who did the same
    before, when there was less to do than was counted.
    """

    act: str
    job: str | None
    items: int
    sent: int
    total: int
    counts: str
    passed: int
    action: int | None
    by: str
    earlier: Earlier | None


# -- doing it ---------------------------------------------------------------------------------------------


def count(runtime: Runtime, order: Order) -> int:
    """
    Count what an order would touch, as its act counts.

    It changes nothing, but that the tracker learns a job's stages if it did not know them. Raises `NotFoundError` for a
    job or stage that is not there.
    """
    _require_names(runtime, order)
    _make_known(runtime, order.job_id)
    conn, by = runtime.tracker, order.how["by"]
    if by == "failed":
        is_on = ACTS[order.act].only_switched_on
        return action_batches.count_failed(conn, order.job_id, order.stage, only_switched_on=is_on)
    if by == "job" and order.job_id is not None:
        return action_batches.count_ended(conn, order.job_id, order.stage)
    choice = choosing.Choice(order.job_id, order.stage, order.how, now_ms())
    total = action_batches.count_total(
        conn,
        order.act,
        choice,
        order.how.get("statuses"),
        _plan_sizes(runtime),
        order.detail.get("priority", 0),
    )
    return min(total, int(order.how.get("at_most", total)))


def carry_out(
    runtime: Runtime, order: Order, *, total: int | None = None, watch: Callable[[Action], None] | None = None
) -> ActedOnMany:
    """
    Do what is ordered, batch after batch, then send what became ready; `watch` is told after each batch.

    `total` is what was counted before. An order that somebody else gave just so, and that is not finished, is gone on
    with. Nothing is recorded when there was nothing to do from the first. Commits. Raises `NotFoundError`.
    """
    counted = count(runtime, order)
    total = counted if total is None else total
    if not total:
        return _report(runtime, order, None, 0)
    action = actions.begin(
        runtime.tracker,
        order.act,
        order.job_id,
        order.stage,
        order.how,
        by=order.by,
        total=total,
        reason=order.reason,
        detail=order.detail,
    )
    action = work_off(runtime.tracker, action, watch=watch)
    return _report(runtime, order, action, _send(runtime, order.job_id))


def _require_names(runtime: Runtime, order: Order) -> None:
    if order.job_id is None:
        return
    job = runtime.jobs.get_job(order.job_id)
    if order.stage is not None and job.stage(order.stage).name not in runtime.plan_in_force(job).names:
        raise HeldPlanError(job.name, order.stage)


def _make_known(runtime: Runtime, job_id: str | None) -> None:
    """Let the tracker know the stages of a job that nothing was dispatched of yet."""
    for job in [runtime.jobs.get_job(job_id)] if job_id else runtime.jobs.enabled_jobs:
        if find_plan(runtime.tracker, job.name) is None:
            with write(runtime.tracker):
                remember_plan(runtime.tracker, job.name, runtime.plan_in_force(job))


def _plan_sizes(runtime: Runtime) -> dict[str, list[str]]:
    return {job.name: sorted(runtime.plan_in_force(job).switched_on) for job in runtime.jobs.jobs.values()}


def _send(runtime: Runtime, job_id: str | None) -> int:
    wanted = [job for job in runtime.jobs.enabled_jobs if job_id in {None, job.name}]
    return sum(dispatch_job(runtime, job) for job in wanted)


def _report(runtime: Runtime, order: Order, action: Action | None, sent: int) -> ActedOnMany:
    done, total = (action.done, action.total) if action else (0, 0)
    earlier = None
    if done < total or action is None:
        but = action.action_id if action else None
        found = actions.find_earlier(runtime.tracker, order.act, order.job_id, now_ms() - EARLIER_MS, but=but)
        if found and found.detail == order.detail:  # not another priority, nor another stage to begin from
            earlier = Earlier(found.by, found.worked_at, found.done)
    return ActedOnMany(
        act=order.act,
        job=order.job_id,
        items=done,
        sent=sent,
        total=total,
        counts=ACTS[order.act].counts,
        passed=0,
        action=action.action_id if action else None,
        by=action.by if action else order.by,
        earlier=earlier,
    )


def say_put_back(undo: Action | None) -> str:
    """Say of an undo how much it put back, to follow its name; nothing of one that put back all, or is under way."""
    if undo is None or undo.finished_at is None or not undo.passed:
        return ""
    return f", which put back {f'{undo.done:,} of {undo.total:,}' if undo.done else 'none'}"


# -- and back ---------------------------------------------------------------------------------------------


def find_undoable(runtime: Runtime, action_id: int | None = None) -> Action:
    """
    Find what an undo would put back: the action named, or the last; of an undo that was cut off, that one again.

    Raises `NotUndoableError`, which says why there is none, and `NotFoundError`.
    """
    conn = runtime.tracker
    newest = actions.find_newest(conn)
    if newest is not None and newest.act == UNDO and newest.finished_at is None:
        undone = int(newest.how["action"])
        if action_id in {None, undone}:
            return actions.get_action(conn, undone)
    return undoing.find_undoable(conn, action_id)


def undo(
    runtime: Runtime, action: Action, by: str, *, watch: Callable[[Action], None] | None = None
) -> ActedOnMany:
    """
    Put back what an action changed, in the items in which nothing has run since, and send what is ready then.

    Commits, batch after batch. Raises `NotUndoableError` when somebody else was quicker.
    """
    conn = runtime.tracker
    begun = undoing.find_unfinished_undo(conn, action) or undoing.begin_undo(conn, action, by)
    done = work_off(conn, begun, watch=watch)
    return ActedOnMany(
        act=UNDO,
        job=action.job_id,
        items=done.done,
        sent=_send(runtime, action.job_id),
        total=done.total,
        counts=ACTS[action.act].counts,
        passed=done.passed,
        action=done.action_id,
        by=done.by,
        earlier=None,
    )
