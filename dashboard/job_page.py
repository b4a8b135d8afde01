"""One job: its pipeline, what it got through, its sources and looks, its lines of jobs.yaml, and what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request

from dashboard import graph
from dashboard.house import house_of
from dashboard.job_cards import Card, make_card
from dashboard.known import require_job
from dashboard.rendering import render
from dashboard.stage_facts import list_stage_facts
from dashboard.visitors import Needs
from pipeline.errors import JobsFileError, NotFoundError
from pipeline.job_text import is_of_job, read_job_text
from pipeline.problems import JobsFileInvalidError
from runner.plan_words import describe_change
from runner.planning import plan_jobs
from tracker.actions import list_actions
from tracker.activity import read_settled, read_spent
from tracker.runs import list_looks
from tracker.sources import list_sources
from tracker.stats import stage_stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from dashboard.house import House
    from pipeline.filespec import JobsFile
    from pipeline.job_text import JobText
    from pipeline.problems import Problem
    from runner.planning import JobPlan
    from tracker.actions import Action

router = APIRouter(include_in_schema=False)

SHOWN_SOURCES, SHOWN_RUNS, SHOWN_ACTIONS = 10, 10, 5
LOOKED_AT_ACTIONS = 50


@dataclass(frozen=True, slots=True)
class Span:
    """How far back the charts go, and how wide their slots are; those of costs are quarters of an hour at least."""

    name: str
    minutes: int
    every_minutes: int
    every_quarters: int


SPANS = {
    span.name: span
    for span in (
        Span("3h", 180, 1, 1),
        Span("24h", 1440, 5, 2),
        Span("7d", 7 * 1440, 60, 16),
    )
}


def get_span(name: str) -> Span:
    """Get a span by its name. Raises `NotFoundError`."""
    if name not in SPANS:
        raise NotFoundError("span", name)
    return SPANS[name]


@router.get("/jobs/{job}", dependencies=[Depends(Needs("view"))], response_model=None)
def show_job(request: Request, job: str, span: str = "24h") -> Response:
    """Show one job."""
    house = house_of(request)
    require_job(house, job)
    jobs, refusal = house.read_jobs()
    conn = house.reader
    return render(
        request,
        "job.html",
        **describe_job(house, job),
        spans=list(SPANS),
        span=get_span(span).name,
        sources=list_sources(conn, job, SHOWN_SOURCES + 1),
        shown_sources=SHOWN_SOURCES,
        runs=list_looks(conn, job, SHOWN_RUNS),
        actions=_list_actions(house, job),
        text=_read_text(house, jobs, job),
        refusal=refusal,
        plan=_find_plan(house, jobs, job),
    )


def describe_job(house: House, job: str) -> dict[str, Any]:
    """Describe how a job stands, and its stages, as the templates show it."""
    jobs, _ = house.read_jobs()
    spec = jobs.jobs.get(job) if jobs else None
    card, stages = make_card(house.reader, jobs, job), list_stage_facts(house.reader, job, spec)
    return {
        "job": job,
        "card": card,
        "one": card.report,
        "spec": spec,
        "stages": stages,
        "graph": graph.draw(stages),
        "acts": list_acts(card),
    }


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: what may be done to the job as it stands, and which of `roles.ACTIONS` it takes."""

    name: str
    words: str
    needs: str


def list_acts(card: Card) -> list[Choice]:
    """List what may be done to a job as it stands."""
    one = card.report
    is_own = one.pause is not None and one.pause.scope == "job"
    found = [
        Choice("unpause", "Let it go on", "unpause") if is_own else Choice("pause", "Pause", "pause"),
        Choice("wake", "Look for items now", "wake"),
    ]
    if one.held:
        found += [
            Choice("approve", f"Let in {one.held:,} held", "approve"),
            Choice("dismiss", f"Leave out {one.held:,} held", "approve"),
        ]
    if one.failed:
        found.append(Choice("retry", "Try again what failed", "retry"))
    return found


def _list_actions(house: House, job: str) -> list[Action]:
    return [one for one in list_actions(house.reader, LOOKED_AT_ACTIONS) if one.job_id == job][:SHOWN_ACTIONS]


def _find_plan(house: House, jobs: JobsFile | None, job: str) -> tuple[JobPlan, list[str]] | None:
    """Find what jobs.yaml would change of a job, also in words; None when it follows the file."""
    plan = next(iter(plan_jobs(house.reader, jobs, job)), None) if jobs else None
    return None if plan is None else (plan, [describe_change(job, change) for change in plan.changes])


def _read_text(house: House, jobs: JobsFile | None, job: str) -> JobText | str:
    """Read a job's lines of jobs.yaml, with the faults of the file and what this machine lacks; or say why not."""
    lacks = jobs.unavailable.get(job, ()) if jobs else ()
    try:
        return read_job_text(house.settings.jobs, job, [*_list_faults(house, job), *lacks])
    except OSError as error:
        return f"{house.settings.jobs} cannot be read: {error.strerror}"


def _list_faults(house: House, job: str) -> Sequence[Problem]:
    """List the faults of the file as it is now: of this job, and those that are of no job."""
    refusal: JobsFileError | None = house.watch.refusal
    if refusal is None:
        try:
            house.watch.current()
        except JobsFileError as error:
            refusal = error
    problems = refusal.problems if isinstance(refusal, JobsFileInvalidError) else ()
    return [one for one in problems if is_of_job(one, job) or not one.path.startswith("jobs.")]


@router.get("/jobs/{job}/series", dependencies=[Depends(Needs("view"))], response_model=None)
def read_series(request: Request, job: str, span: str = "24h") -> dict[str, Any]:
    """Read what the charts of a job show: of each the instants (Unix seconds), and the values of each line."""
    house = house_of(request)
    require_job(house, job)
    wide = get_span(span)
    settled = read_settled(house.reader, job, wide.minutes, wide.every_minutes)
    spent = read_spent(house.reader, job, wide.minutes // 15, wide.every_quarters)
    order = [*stage_stats(house.reader, job)]
    lines: list[dict[str, Any]] = [
        {"name": stage, "values": settled.by_stage[stage]} for stage in order if stage in settled.by_stage
    ]
    if any(settled.failed):
        lines.append({"name": "failed", "values": settled.failed, "is_failed": True})
    return {
        "settled": {
            "every_minutes": settled.every_minutes,
            "at": [at // 1000 for at in settled.at],
            "lines": lines,
        },
        "spent": {
            "every_minutes": spent.every_minutes,
            "at": [at // 1000 for at in spent.at],
            "lines": [{"name": "US dollars", "values": spent.usd}],
            "is_usd": True,
        },
    }
