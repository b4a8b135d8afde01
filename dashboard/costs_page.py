"""What was spent, on what; what is left of the budgets; and what the backlog is still going to cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args

from fastapi import APIRouter, Depends, Query, Request

from dashboard.bars import draw_bars
from dashboard.house import house_of
from dashboard.known import list_jobs, require_job
from dashboard.rendering import render, show_usd
from dashboard.visitors import Needs
from pipeline.problems import InvalidValueError
from pipeline.since import Since
from tracker.budgets import list_budget_reports
from tracker.clock import DAY_MS, format_ms, now_ms, to_datetime, to_ms
from tracker.costs import HEADINGS, By, CostReport, read_costs
from tracker.forecasts import list_forecasts, total_usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from dashboard.bars import Bars

router = APIRouter(include_in_schema=False)

SPANS = {"1d": "since yesterday", "7d": "7 days", "30d": "30 days", "90d": "90 days", "": "all"}
"""What one click chooses."""

MOST_ROWS, MOST_BARS = 500, 120


@router.get("/costs", dependencies=[Depends(Needs("view"))], response_model=None)
def show_costs(
    request: Request, job: str = "", by: By | None = None, since: Annotated[str, Query(max_length=60)] = "30d"
) -> Response:
    """Show what was spent, by jobs, stages, models or days; the budgets; and a forecast."""
    house = house_of(request)
    if job:
        require_job(house, job)
    problem = None
    try:
        since_ms = begin_of_day(since)
    except InvalidValueError as error:
        problem, since_ms = str(error), now_ms() // DAY_MS * DAY_MS
    found = read_costs(house.reader, job or None, by, since_ms)
    forecasts = list_forecasts(house.reader, job or None)
    budgets = [one for one in list_budget_reports(house.reader) if not job or one.job in {job, None}]
    return render(
        request,
        "costs.html",
        400 if problem else 200,
        found=found,
        rows=_list_rows(found.costs, found.by),
        headings=HEADINGS[found.by],
        chart=_draw_days(found.costs) if found.by == "day" else None,
        left_out=max(0, len(found.costs) - MOST_ROWS),
        budgets=budgets,
        forecasts=forecasts,
        forecast_usd=total_usd(forecasts),
        jobs=list_jobs(house),
        job=job,
        bys=get_args(By),
        since=since,
        since_at=format_ms(since_ms)[:10] if since_ms else None,
        spans=SPANS,
        problem=problem,
    )


def begin_of_day(since: str) -> int:
    """
    Read how far back is asked for, as Unix ms of the midnight UTC before; 0 for everything.

    Raises `InvalidValueError`. From a midnight on, costs are added up from counters, however many there are.
    """
    if not since.strip():
        return 0
    return max(0, to_ms(Since.parse(since.strip()).instant(to_datetime(now_ms()))) // DAY_MS * DAY_MS)


def _list_rows(costs: Sequence[CostReport], by: By) -> list[CostReport]:
    """Days stand in their order, the newest first; everything else by what it cost."""
    ordered = (
        costs[::-1] if by == "day" else sorted(costs, key=lambda one: (one.usd, one.costs), reverse=True)
    )
    return list(ordered[:MOST_ROWS])


def _draw_days(costs: Sequence[CostReport]) -> Bars:
    shown = costs[-MOST_BARS:]
    titles = [f"{one.day}: {show_usd(one.usd)}" for one in shown]
    most = max(shown, key=lambda one: one.usd, default=None)
    words = "Nothing was spent." if most is None else f"The most on {most.day}: {show_usd(most.usd)}."
    return draw_bars([one.usd for one in shown], titles, words)
