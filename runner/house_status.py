"""How all jobs stand, or one with its stages: what `celeriac status` and the dashboard's API tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.causes import Told  # noqa: TC001 - for the JSON schema of the API
from runner.explain import explain_job, find_job
from runner.planning import JobPlan, list_held_plans
from tracker.chores import ChoreReport, find_last_chore
from tracker.notice_messages import UnsentReport, list_unsent
from tracker.notices import Notice, list_open_notices
from tracker.progress import Told as Progress
from tracker.progress import list_progress
from tracker.reports import JobReport, StageReport, get_job_report, list_job_reports, list_stage_reports

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.filespec import JobsFile
    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class HouseStatus:
    """
    Every job; by job the one cause for which it does not move, where it does not and something is left of it.

    `plans` wait to be applied, `notices` are open, `unsent` could not be sent, `chores` are the last of each. None of
    jobs.yaml's words are here when it is refused, and `jobs_file_refused` says why.
    """

    jobs: list[JobReport]
    stuck: dict[str, Told]
    plans: list[JobPlan]
    notices: list[Notice]
    unsent: list[UnsentReport]
    chores: list[ChoreReport]
    jobs_file_refused: str | None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job with its stages, and how far its running attempts said that they are; the rest as in `HouseStatus`."""

    job: JobReport
    stages: list[StageReport]
    progress: list[Progress]
    stuck: dict[str, Told]
    plans: list[JobPlan]
    jobs_file_refused: str | None


def read_house_status(conn: Connection, jobs: JobsFile | None, refusal: str | None) -> HouseStatus:
    """Tell how all jobs stand, those of jobs.yaml and those of the tracker, by name."""
    reports = list_job_reports(conn, jobs.jobs if jobs else ())
    chores = [find_last_chore(conn, chore) for chore in (jobs.maintenance.schedules if jobs else ())]
    return HouseStatus(
        jobs=reports,
        stuck=_list_stuck(conn, jobs, [report.job for report in reports]),
        plans=[] if jobs is None else list_held_plans(conn, jobs),
        notices=list_open_notices(conn),
        unsent=list_unsent(conn),
        chores=[chore for chore in chores if chore is not None],
        jobs_file_refused=refusal,
    )


def read_job_status(conn: Connection, jobs: JobsFile | None, refusal: str | None, job: str) -> JobStatus:
    """Tell how one job stands, which the caller knows to exist."""
    plans = [] if jobs is None else list_held_plans(conn, jobs)
    return JobStatus(
        job=get_job_report(conn, job),
        stages=list_stage_reports(conn, job),
        progress=list_progress(conn, job),
        stuck=_list_stuck(conn, jobs, [job]),
        plans=[plan for plan in plans if plan.job == job],
        jobs_file_refused=refusal,
    )


def _list_stuck(conn: Connection, jobs: JobsFile | None, names: Iterable[str]) -> dict[str, Told]:
    explained = [explain_job(conn, find_job(jobs, name), name) for name in names]
    return {one.job: one.cause for one in explained if one.parts and not one.moves}
