"""
Bring items to the stages that jobs.yaml has now: at once where that touches few, else when somebody applies it.

What touches more than `apply_above` items, or may be a renamed stage, is held: the items follow the stages that the
tracker knows, new items too, and a stage that only jobs.yaml has is not sent. What jobs.yaml switched off is not sent
either, from the first moment; what waits for it goes on when the change is applied.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from pipeline.errors import OperatorError
from runner.planning import plan_job
from tracker.applying import begin_change, carry_over, find_change, list_changes
from tracker.plan import is_remembered, remember_keep, remember_made_of
from tracker.planning import list_job_states, note_job_states
from tracker.renaming import carry_history, list_renames, rename_stage
from tracker.reports import list_job_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.filespec import JobsFile
    from pipeline.jobspec import JobSpec
    from runner.runtime import Runtime
    from tracker.applying import PlanChange
    from tracker.connection import Connection
    from tracker.planning import JobState
    from tracker.renaming import Renamed

log = structlog.get_logger(__name__)

SWEEP_CARRIES_SECONDS = 1.0
"""How long one sweep brings items to a change; the next one goes on."""

NOBODY = "jobs.yaml"
"""By whom a change is applied that nobody had to ask for."""


def apply_jobs_file(runtime: Runtime) -> None:
    """Take up what jobs.yaml changed, where that touches few items; and go on with what is on its way. Commits."""
    conn, until = runtime.tracker, time.monotonic() + SWEEP_CARRIES_SECONDS
    note_job_states(conn, list_states_now(conn, runtime.jobs), NOBODY)
    for job in runtime.jobs.enabled_jobs:
        _take_up(runtime, job)
    for change in list_changes(conn):
        while carry_over(conn, change.job) and time.monotonic() < until:
            pass
    for renamed in list_renames(conn):
        while carry_history(conn, renamed) and time.monotonic() < until:
            pass


def _take_up(runtime: Runtime, job: JobSpec) -> None:
    conn, plan = runtime.tracker, runtime.plan(job)
    if is_remembered(conn, job.name, plan):
        remember_made_of(conn, job.name, plan)
        remember_keep(conn, job.name, plan)
        return
    found = plan_job(conn, runtime.jobs, job.name, "on")
    if not found.held:
        if begin_change(conn, job.name, plan, NOBODY):
            log.info("stages changed", job=job.name, stages=list(plan.names))
    elif (runtime.jobs.digest, job.name) not in runtime.told_held:
        runtime.told_held.add((runtime.jobs.digest, job.name))
        log.warning(
            "a change of stages is held: celeriac plan, celeriac apply",
            job=job.name,
            items=found.items,
            likely_renames=[f"{old} to {new}" for old, new in found.renames],
        )


def list_states_now(conn: Connection, jobs: JobsFile) -> dict[str, JobState]:
    """List every job that the tracker or jobs.yaml knows, with what became of it in jobs.yaml."""
    gone: dict[str, JobState] = dict.fromkeys([*list_job_states(conn), *list_job_names(conn)], "gone")
    there: dict[str, JobState] = {name: "on" if job.enabled else "off" for name, job in jobs.jobs.items()}
    return gone | there


def apply_job(runtime: Runtime, job_id: str, by: str) -> Iterator[PlanChange]:
    """
    Bring the items of a job to its stages in jobs.yaml, however many there are; yields how far it is.

    Batch by batch: it may be killed at any moment, and is then gone on with by the next `apply`, or by the sweep of a
    running process. What is likely to have been renamed is removed and added: see `rename` for that.
    """
    conn, job = runtime.tracker, runtime.jobs.jobs.get(job_id)
    note_job_states(conn, {job_id: list_states_now(conn, runtime.jobs)[job_id]}, by)
    if job is not None and job.enabled:
        begin_change(conn, job_id, runtime.plan(job), by)
    while (change := find_change(conn, job_id)) is not None:
        yield change
        carry_over(conn, job_id)


def rename(runtime: Runtime, job_id: str, old: str, new: str, by: str) -> Renamed:
    """
    Give a stage its new name in jobs.yaml everywhere: its items, results, failures, costs, times and events.

    Raises `NotFoundError` for a job, or a stage that the tracker or jobs.yaml does not have, and `OperatorError` when
    jobs.yaml has the old name still, the new one is taken, or attempts of the stage run. One that was killed before
    the history was through is gone on with.
    """
    conn, job = runtime.tracker, runtime.jobs.get_job(job_id)
    job.stage(new)
    if old in job.stage_names:
        raise OperatorError(f"{job_id} in jobs.yaml still has a stage {old!r}: rename it there first")
    for left in list_renames(conn):
        if left.job == job_id:
            _end_rename(conn, left)
            if (left.was, left.stage) == (old, new):
                return left
    renamed = rename_stage(conn, job_id, old, new, by)
    _end_rename(conn, renamed)
    return renamed


def _end_rename(conn: Connection, renamed: Renamed) -> None:
    while carry_history(conn, renamed):
        pass
