"""Names that must exist: jobs and stages that the tracker knows, or jobs.yaml, which is read only if it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.catalog import find_nearest
from pipeline.errors import NotFoundError
from tracker.reports import list_job_names
from tracker.stats import list_stage_names, stage_stats

if TYPE_CHECKING:
    from pipeline.filespec import JobsFile
    from tracker.connection import Connection

ReadJobs = Callable[[], "JobsFile | None"]
"""Reads jobs.yaml; None while it is refused."""


def read_none() -> None:
    """Read no jobs.yaml: then the tracker alone says what there is."""


def require_job(conn: Connection, job: str, read_jobs: ReadJobs = read_none) -> None:
    """Raise `NotFoundError`, with the nearest name, for a job unknown to the tracker and to jobs.yaml."""
    known = set(list_job_names(conn))
    if job in known:
        return
    jobs = read_jobs()
    known.update(jobs.jobs if jobs else ())
    if job not in known:
        raise NotFoundError("job", job, find_nearest(job, sorted(known)))


def require_stage(conn: Connection, job: str, stage: str, read_jobs: ReadJobs = read_none) -> None:
    """Raise `NotFoundError`, with the nearest name, for a stage of a job unknown to the tracker and to jobs.yaml."""
    known = list(stage_stats(conn, job))
    if stage in known:
        return
    jobs = read_jobs()
    known.extend(jobs.jobs[job].stage_names if jobs and job in jobs.jobs else ())
    if stage not in known:
        raise NotFoundError(f"stage of job {job!r} named", stage, find_nearest(stage, known))


def require_stage_of_any(conn: Connection, stage: str, read_jobs: ReadJobs = read_none) -> None:
    """Raise `NotFoundError`, with the nearest name, for a stage that no job has."""
    known = set(list_stage_names(conn))
    if stage in known:
        return
    jobs = read_jobs()
    known.update(name for job in (jobs.jobs.values() if jobs else ()) for name in job.stage_names)
    if stage not in known:
        raise NotFoundError("stage named", stage, find_nearest(stage, sorted(known)))
