"""
Compare jobs.yaml with the tracker: what differs, how many items that touches, and what it is expected to cost.

It reads only. What a change touches comes from counters, and so costs the same for any number of items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.stage_changes import MORE_TO_DO, Change, compare_stages, describe_plan
from runner.staleness import list_versions
from tracker.applying import PlanChange, find_change
from tracker.items import get_pending_count
from tracker.plan import find_plan
from tracker.planning import list_expected_costs, list_job_states, weigh_job
from tracker.reports import list_job_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.filespec import JobsFile
    from tracker.connection import Connection
    from tracker.planning import JobState


@dataclass(frozen=True, slots=True)
class JobPlan:
    """
    What jobs.yaml would change of one job.

    It touches at most `items` items. `held` says that running processes leave it for `celeriac apply`: it touches more
    than `apply_above`, or a stage may have been renamed. `usd` is what is expected to be spent, as far as it is known.
    `under_way` is a change that items are being brought to already.
    """

    job: str
    changes: tuple[Change, ...]
    items: int
    held: bool
    usd: float
    under_way: PlanChange | None = None

    @property
    def renames(self) -> tuple[tuple[str, str], ...]:
        """The likely renames, each as (old name, new name)."""
        return tuple((one.was[0], one.stage or "") for one in self.changes if one.kind == "stage_renamed")

    @property
    def reopens(self) -> int:
        """How many items get more to do, at most."""
        return max((one.items for one in self.changes if one.kind in MORE_TO_DO), default=0)


def plan_jobs(
    conn: Connection, jobs: JobsFile, only: str | None = None, *, with_renames: bool = True
) -> list[JobPlan]:
    """
    Compare every job, or only one, in the order of jobs.yaml, those that it no longer has last.

    A job that differs in nothing is left out, unless a change of it is under way. Without `with_renames` a stage that
    may have been renamed is taken for one removed and another added.
    """
    states = list_job_states(conn)
    gone = [name for name in sorted({*list_job_names(conn), *states}) if name not in jobs.jobs]
    found = [
        plan_job(conn, jobs, name, states.get(name), with_renames=with_renames)
        for name in (*jobs.jobs, *gone)
        if only in (None, name)
    ]
    return [one for one in found if one.changes or one.under_way]


def list_held_plans(conn: Connection, jobs: JobsFile) -> list[JobPlan]:
    """List the changes that running processes leave for `celeriac apply`, and those that are under way."""
    return [one for one in plan_jobs(conn, jobs) if one.held or one.under_way]


def plan_job(
    conn: Connection, jobs: JobsFile, name: str, state: JobState | None, *, with_renames: bool = True
) -> JobPlan:
    """Compare one job, whose state the tracker last had as `state`."""
    known, job = find_plan(conn, name), jobs.jobs.get(name)
    changes = tuple(_compare_job(conn, jobs, name, state, is_known=known is not None))
    if job is not None and known is not None and job.enabled:
        changes += compare_stages(conn, name, known, describe_plan(job), with_renames=with_renames)
    return _sum_up(conn, name, changes, jobs.apply_above)


def _compare_job(
    conn: Connection, jobs: JobsFile, name: str, state: JobState | None, *, is_known: bool
) -> Iterator[Change]:
    if name not in jobs.jobs:
        if state != "gone":
            yield Change("job_removed", items=get_pending_count(conn, name))
    elif not jobs.jobs[name].enabled:
        if state != "off":
            yield Change("job_switched_off", items=get_pending_count(conn, name))
    elif state != "on" and not is_known:  # it was never on, though somebody may have woken it
        yield Change("job_added", now=jobs.jobs[name].stage_names)
    elif state in {"off", "gone"}:
        yield Change("job_switched_on", items=get_pending_count(conn, name))


def _sum_up(conn: Connection, name: str, changes: tuple[Change, ...], apply_above: int) -> JobPlan:
    touched = sum(
        one.items for one in changes if one.kind.startswith("stage_") and one.kind != "stage_renamed"
    )
    items = min(touched, weigh_job(conn, name).opened) if touched else 0
    has_renames = any(one.kind == "stage_renamed" for one in changes)
    return JobPlan(
        job=name,
        changes=changes,
        items=items,
        held=items > apply_above or has_renames,
        usd=sum(one.usd or 0.0 for one in changes),
        under_way=find_change(conn, name),
    )


# -- versions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StaleStage:
    """How many results of a stage another version made, and what doing them again is expected to cost, if known."""

    job: str
    stage: str
    results: int
    usd: float | None


def list_stale_stages(conn: Connection, jobs: JobsFile, only: str | None = None) -> list[StaleStage]:
    """List the stages of jobs.yaml whose handlers have another version now than made some of their results."""
    found = []
    for name, job in jobs.jobs.items():
        if only not in (None, name) or not job.enabled:
            continue
        costs = list_expected_costs(conn, name)
        counted: dict[str, int] = {}
        for report in list_versions(conn, jobs.jobs, name):
            if report.state == "stale" and report.stage in job.stage_names:
                counted[report.stage] = counted.get(report.stage, 0) + report.results
        for stage, results in counted.items():
            each = costs.get(stage)
            found.append(StaleStage(name, stage, results, None if each is None else results * each))
    return found
