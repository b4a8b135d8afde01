"""The inbox of failures: what failed alike is one entry, to be looked at and acted on at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse

from dashboard import deeds
from dashboard.asking import Question, ask
from dashboard.bars import draw_bars
from dashboard.filters import read_filter
from dashboard.house import house_of
from dashboard.known import list_jobs, require_job
from dashboard.rendering import render
from dashboard.visitors import Needs, find_visitor
from pipeline.errors import InvalidFilterError
from runner import choices, muting
from runner.actions import Order
from tracker.clock import now_ms, to_datetime
from tracker.failure_hours import HOUR_MS, SHOWN_HOURS, read_failure_hours
from tracker.failures import FailureGroups, get_group, get_group_report, list_groups, make_group_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.responses import Response

    from dashboard.bars import Bars
    from dashboard.house import House
    from tracker.failures import FailureGroup

router = APIRouter(include_in_schema=False)

PAGE, MOST = 50, 1000


@router.get("/failures", dependencies=[Depends(Needs("view"))], response_model=None)
def show_failures(
    request: Request,
    job: str = "",
    text: Annotated[str, Query(alias="filter")] = "",
    every: Annotated[bool, Query(alias="all")] = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
) -> Response:
    """List the groups of failures, those with the most failed stages first."""
    house = house_of(request)
    if job:
        require_job(house, job)
    problem, found = None, FailureGroups([])
    try:
        found = list_groups(house.reader, read_filter(text, job), with_all=every, limit=limit + 1)
    except InvalidFilterError as error:
        problem = str(error)
    groups = found.groups[:limit]
    return render(
        request,
        "failures.html",
        400 if problem else 200,
        groups=groups,
        charts=_draw_charts(house, groups),
        muted=found.muted,
        is_complete=found.is_complete,
        next_limit=min(MOST, limit * 4) if len(found.groups) > limit and limit < MOST else None,
        jobs=list_jobs(house),
        job=job,
        filter=text,
        with_all=every,
        problem=problem,
    )


@router.get("/failures/{group_id}", dependencies=[Depends(Needs("view"))], response_model=None)
def show_group(request: Request, group_id: str) -> Response:
    """Show one group, with its last failure and some of the items that are failed with it now."""
    house = house_of(request)
    report = get_group_report(house.reader, group_id, PAGE)
    chart = _draw_charts(house, [report.group])[report.group.id]
    selects = str(make_group_filter(report.group))
    return render(request, "failure.html", report=report, group=report.group, chart=chart, selects=selects)


def _draw_charts(house: House, groups: Sequence[FailureGroup]) -> dict[str, Bars]:
    hours = read_failure_hours(house.reader, [group.id for group in groups])
    first = now_ms() // HOUR_MS - SHOWN_HOURS + 1
    begins = [f"{to_datetime((first + index) * HOUR_MS):%H:%M} UTC" for index in range(SHOWN_HOURS)]
    return {name: _draw_chart(counts, begins) for name, counts in hours.items()}


def _draw_chart(counts: Sequence[int], begins: Sequence[str]) -> Bars:
    titles = [f"hour from {begin}: {count:,}" for begin, count in zip(begins, counts, strict=True)]
    most = max(counts)
    peak = f"; most in the hour from {begins[counts.index(most)]}, {most:,}" if most else ""
    return draw_bars(counts, titles, f"Attempts that failed so within 24 hours: {sum(counts):,}{peak}.")


# -- what is done to a group ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GroupAct:
    """One thing to do to a group: what is asked before, and how it is done, giving the next page's query."""

    name: str
    title: str
    words: str
    do: Callable[[House, FailureGroup, str], str]


def _carry_out(house: House, act: str, group: FailureGroup, by: str) -> str:
    how = choices.choose_filter(house.runtime, None, job_id=None, group=group.id, only_failed=True)
    is_known = group.job in house.runtime.jobs.jobs
    order = Order(
        act,
        group.job if is_known else None,
        by,
        how=how if act == "retry" else {**how, "statuses": ["failed"]},
        reason=None if act == "retry" else f"skipped by {by}",
    )
    return deeds.carry_out(house, order)


def _retry(house: House, group: FailureGroup, by: str) -> str:
    return _carry_out(house, "retry", group, by)


def _skip(house: House, group: FailureGroup, by: str) -> str:
    return _carry_out(house, "skip", group, by)


def _mute(house: House, group: FailureGroup, by: str) -> str:
    muting.mute(house.runtime, [group], by)
    return "did=mute"


def _unmute(house: House, group: FailureGroup, by: str) -> str:
    muting.unmute(house.runtime, [group], by)
    return "did=unmute"


GROUP_ACTS = (
    GroupAct("retry", "Try again what failed so", "failed [stage is|stages are] tried again. It can be undone where "
             "nothing has run since.", _retry),
    GroupAct("skip", "Skip what failed so", "failed [stage is|stages are] skipped: what needs [it|them] goes on "
             "without [its result|their results]. It can be undone where nothing has run since.", _skip),
    GroupAct("mute", "Mute this group", "failed [stage stays as it is|stages stay as they are]. The group is listed no "
             "more, and nobody is told of it; what fails so in future joins it.", _mute),
    GroupAct("unmute", "List this group again", "failed [stage is|stages are] listed again.", _unmute),
)  # fmt: skip


def _add_routes(act: GroupAct) -> None:
    """Add the two routes of an act: the question, and the deed."""

    def ask_first(request: Request, group_id: str) -> Response:
        group = get_group(house_of(request).reader, group_id)
        page = _page_of(group)
        return ask(
            request, Question(act.title, group.failed, act.words, act.title, f"{page}/{act.name}", page)
        )

    def do(request: Request, group_id: str) -> Response:
        house, visitor = house_of(request), find_visitor(request)
        group = get_group(house.reader, group_id)
        query = act.do(house, group, visitor.name if visitor else "unknown")
        return RedirectResponse(f"{house.served.prefix}{_page_of(group)}?{query}", 303)

    for method, endpoint in (("GET", ask_first), ("POST", do)):
        router.add_api_route(
            f"/failures/{{group_id}}/{act.name}",
            endpoint,
            methods=[method],
            dependencies=[Depends(Needs(act.name))],
            response_model=None,
        )


def _page_of(group: FailureGroup) -> str:
    return f"/failures/{quote(group.id, safe='')}"


for _act in GROUP_ACTS:
    _add_routes(_act)
