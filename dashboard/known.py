"""What a page may be asked about: the jobs of jobs.yaml and of the tracker, and their stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.catalog import find_nearest
from pipeline.errors import NotFoundError
from tracker.reports import list_job_names
from tracker.stats import stage_stats

if TYPE_CHECKING:
    from dashboard.house import House


def list_jobs(house: House) -> list[str]:
    """List the jobs that the tracker or jobs.yaml knows, by name."""
    jobs, _ = house.read_jobs()
    return sorted({*list_job_names(house.reader), *(jobs.jobs if jobs else ())})


def require_job(house: House, job: str) -> None:
    """Raise `NotFoundError`, with the nearest name, for a job that neither jobs.yaml nor the tracker has."""
    known = list_jobs(house)
    if job not in known:
        raise NotFoundError("job named", job, find_nearest(job, known))


def list_stage_names(house: House, job: str) -> list[str]:
    """List the stages of a job: those of jobs.yaml in its order, then those that only the tracker knows still."""
    jobs, _ = house.read_jobs()
    spec = jobs.jobs.get(job) if jobs else None
    named = list(spec.stage_names) if spec else []
    return [*named, *(stage for stage in stage_stats(house.reader, job) if stage not in named)]


def require_stage(house: House, job: str, stage: str) -> None:
    """Raise `NotFoundError`, with the nearest name, for a stage that neither jobs.yaml nor the tracker has of a job."""
    known = list_stage_names(house, job)
    if stage not in known:
        raise NotFoundError(f"stage of job {job!r} named", stage, find_nearest(stage, known))
