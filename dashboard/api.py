"""
The JSON API for reading: the same records as the command line's `--json`, below `/api`.

Errors are `{"error": …}`. Lists are pages; `next_after` says where the next one begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from dashboard.api_answers import HAS_TOKEN, PROBLEMS, After, Limit, answer
from dashboard.filters import read_filter
from dashboard.house import house_of
from dashboard.known import require_job, require_stage
from dashboard.visitors import Needs
from pipeline.problems import InvalidValueError
from pipeline.since import Since
from runner.explain import ItemExplained, JobExplained, explain_item, explain_job, find_job
from runner.house_status import HouseStatus, JobStatus, read_house_status, read_job_status
from tracker.clock import now_ms, to_datetime, to_ms
from tracker.costs import By, Costs, read_costs
from tracker.event_pages import WantedEvents, list_events_after, list_events_before
from tracker.failures import FailureGroups, GroupReport, get_group_report, list_groups
from tracker.item_reports import WholeItemReport, get_whole_item_report
from tracker.reports import EventReport, StageReport, list_stage_reports
from tracker.result_pages import Place, ResultPage, list_result_page
from tracker.selected import Cursor, Selected
from tracker.selecting import select_page
from tracker.workers import WorkerReport, list_workers

router = APIRouter(prefix="/api", tags=["reading"], dependencies=[HAS_TOKEN], responses=PROBLEMS)

VIEW = [Depends(Needs("view"))]

Job = Annotated[str, Query(max_length=200, description="Only of this job.")]
FilterText = Annotated[
    str, Query(alias="filter", max_length=10_000, description="As in docs/filters.md; empty: everything.")
]


@dataclass(frozen=True, slots=True)
class SelectedPage:
    """Some items, or stages of items, that a filter selects."""

    items: list[Selected]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class EventsPage:
    """
    Some events, the oldest first.

    `next_after` is what to give as `after` for those that come later; with `is_last` there were none yet.
    """

    events: list[EventReport]
    next_after: int
    is_last: bool


# -- jobs -------------------------------------------------------------------------------------------------


@router.get("/jobs", response_model=HouseStatus, dependencies=VIEW)
def list_all_jobs(request: Request) -> Response:
    """List every job, as `celeriac status --json`."""
    house = house_of(request)
    return answer(read_house_status(house.reader, *house.read_jobs()))


@router.get("/jobs/{job}", response_model=JobStatus, dependencies=VIEW)
def show_job(request: Request, job: str) -> Response:
    """Show one job with its stages, as `celeriac status JOB --json`."""
    house = house_of(request)
    require_job(house, job)
    return answer(read_job_status(house.reader, *house.read_jobs(), job))


@router.get("/jobs/{job}/stages", response_model=list[StageReport], dependencies=VIEW)
def list_stages(request: Request, job: str) -> Response:
    """List the stages of a job that any item has been opened for."""
    house = house_of(request)
    require_job(house, job)
    return answer(list_stage_reports(house.reader, job))


@router.get("/explain", response_model=JobExplained | ItemExplained, dependencies=VIEW)
def explain(
    request: Request,
    job: Annotated[str, Query(min_length=1)],
    key: Annotated[str | None, Query(description="The key of one item of it.")] = None,
) -> Response:
    """Tell why a job, or one item of it, does not move, as `celeriac explain --json`."""
    house = house_of(request)
    require_job(house, job)
    file = find_job(house.read_jobs()[0], job)
    if key is None:
        return answer(explain_job(house.reader, file, job))
    return answer(explain_item(house.reader, file, job, key))


# -- items and results ------------------------------------------------------------------------------------


@router.get("/jobs/{job}/items", response_model=SelectedPage, dependencies=VIEW)
def list_items(
    request: Request, job: str, text: FilterText = "", limit: Limit = 50, after: After = ""
) -> Response:
    """List items of a job, or stages of them, by a filter, as `celeriac items JOB --filter … --json`."""
    house = house_of(request)
    require_job(house, job)
    page = select_page(house.reader, read_filter(text, job), after=_read_cursor(after), limit=limit)
    return answer(SelectedPage(page.rows, None if page.next_after is None else str(page.next_after)))


@router.get("/items", response_model=WholeItemReport, dependencies=VIEW)
def show_item(
    request: Request, job: Annotated[str, Query(min_length=1)], key: Annotated[str, Query(min_length=1)]
) -> Response:
    """Show everything about one item, as `celeriac show JOB KEY --json`."""
    house = house_of(request)
    require_job(house, job)
    return answer(get_whole_item_report(house.reader, job, key))


@router.get("/jobs/{job}/results", response_model=ResultPage, dependencies=VIEW)
def list_results(
    request: Request,
    job: str,
    stage: Annotated[str, Query(max_length=200, description="Only of this stage.")] = "",
    limit: Limit = 50,
    after: After = "",
) -> Response:
    """List the results of a job in the order of its items: the records of `celeriac results JOB --json`."""
    house = house_of(request)
    require_job(house, job)
    if stage:
        require_stage(house, job, stage)
    page = list_result_page(house.reader, job, stage or None, after=_read_place(after), limit=limit)
    return answer(page)


# -- failures, costs, workers, events ---------------------------------------------------------------------


@router.get("/failures", response_model=FailureGroups, dependencies=VIEW)
def list_failures(
    request: Request,
    job: Job = "",
    text: FilterText = "",
    every: Annotated[
        bool, Query(alias="all", description="Muted groups too, and those that are over.")
    ] = False,
    limit: Limit = 50,
) -> Response:
    """List what failed, grouped by what is alike, as `celeriac failures --json`."""
    house = house_of(request)
    if job:
        require_job(house, job)
    return answer(list_groups(house.reader, read_filter(text, job), with_all=every, limit=limit))


@router.get("/failures/{group}", response_model=GroupReport, dependencies=VIEW)
def show_failures(request: Request, group: str, limit: Limit = 50) -> Response:
    """Show one group of failures, as `celeriac failures show ID --json`."""
    return answer(get_group_report(house_of(request).reader, group, limit))


@router.get("/costs", response_model=Costs, dependencies=VIEW)
def list_costs(
    request: Request,
    job: Job = "",
    by: By | None = None,
    since: Annotated[str, Query(max_length=60, description="A span such as 7d, or a date in UTC.")] = "",
) -> Response:
    """Show what was spent, as `celeriac costs --json`."""
    house = house_of(request)
    if job:
        require_job(house, job)
    return answer(read_costs(house.reader, job or None, by, read_since(since)))


@router.get("/workers", response_model=list[WorkerReport], dependencies=VIEW)
def list_all_workers(request: Request) -> Response:
    """List the workers and what each runs, as `celeriac workers --json`."""
    return answer(list_workers(house_of(request).reader))


@router.get("/events", response_model=EventsPage, dependencies=VIEW)
def list_events(
    request: Request,
    job: Job = "",
    kind: Annotated[str, Query(max_length=200)] = "",
    by: Annotated[str, Query(max_length=200, description="Who did it: a person, or a worker.")] = "",
    acts: Annotated[
        bool, Query(description="Only what people and the house did, no moves of items.")
    ] = False,
    after: Annotated[int | None, Query(ge=0, lt=2**62, description="Only events with a higher id.")] = None,
    limit: Limit = 50,
) -> Response:
    """List events, the oldest first: the newest, as `celeriac events --json`; or those after one, to follow them."""
    house = house_of(request)
    if job:
        require_job(house, job)
    wanted = WantedEvents(job or None, kind or None, by or None, acts)
    if after is None:
        events = list_events_before(house.reader, wanted, limit=limit).events[::-1]
        return answer(EventsPage(events, events[-1].event_id if events else 0, is_last=True))
    page = list_events_after(house.reader, wanted, after=after, limit=limit)
    last = page.events[-1].event_id if page.events else after
    return answer(EventsPage(page.events, page.next_id or last, is_last=page.next_id is None))


# -- reading what was asked -------------------------------------------------------------------------------


def _read_cursor(text: str) -> Cursor | None:
    try:
        return Cursor.parse(text) if text else None
    except ValueError:
        raise HTTPException(400, _NO_PLACE) from None


def _read_place(text: str) -> Place | None:
    try:
        return Place.parse(text) if text else None
    except ValueError:
        raise HTTPException(400, _NO_PLACE) from None


_NO_PLACE = "after: give what the page before said in `next_after`"


def read_since(text: str) -> int:
    """Read a span, a date or an instant, as Unix ms; 0 for nothing. Raises `HTTPException`."""
    if not text.strip():
        return 0
    try:
        return max(0, to_ms(Since.parse(text.strip()).instant(to_datetime(now_ms()))))
    except InvalidValueError as error:
        raise HTTPException(400, f"since: {error}") from None
