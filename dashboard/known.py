"""What a page may be asked about: the jobs of jobs.yaml and of the tracker, and their stages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from runner import known
from tracker.reports import list_job_names
from tracker.stats import stage_stats

if TYPE_CHECKING:
    from dashboard.house import House
    from pipeline.filespec import JobsFile


def list_jobs(house: House) -> list[str]:
    """List the jobs that the tracker or jobs.yaml knows, by name."""
    jobs = _read_jobs(house)
    return sorted({*list_job_names(house.reader), *(jobs.jobs if jobs else ())})


def require_job(house: House, job: str) -> None:
    """Raise `NotFoundError`, with the nearest name, for a job that neither jobs.yaml nor the tracker has."""
    known.require_job(house.reader, job, partial(_read_jobs, house))


def list_stage_names(house: House, job: str) -> list[str]:
    """List the stages of a job: those of jobs.yaml in its order, then those that only the tracker knows still."""
    jobs = _read_jobs(house)
    spec = jobs.jobs.get(job) if jobs else None
    named = list(spec.stage_names) if spec else []
    return [*named, *(stage for stage in stage_stats(house.reader, job) if stage not in named)]


def require_stage(house: House, job: str, stage: str) -> None:
    """Raise `NotFoundError`, with the nearest name, for a stage that neither jobs.yaml nor the tracker has of a job."""
    known.require_stage(house.reader, job, stage, partial(_read_jobs, house))


def _read_jobs(house: House) -> JobsFile | None:
    jobs, _ = house.read_jobs()
    return jobs
