"""How the sources of every job, or of one, are doing; and the looks that one job took at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request

from dashboard.house import house_of
from dashboard.known import list_jobs, require_job
from dashboard.rendering import render
from dashboard.visitors import Needs
from tracker.runs import list_looks
from tracker.sources import list_sources

if TYPE_CHECKING:
    from starlette.responses import Response

router = APIRouter(include_in_schema=False)

SHOWN_OF_EACH, SHOWN_RUNS = 20, 50


@router.get("/sources", dependencies=[Depends(Needs("view"))], response_model=None)
def show_sources(
    request: Request, job: str = "", limit: Annotated[int, Query(ge=1, le=5000)] = 200
) -> Response:
    """Show the sources of one job, at most `limit`, or the first of every job; those in trouble first."""
    house = house_of(request)
    if job:
        require_job(house, job)
    names = [job] if job else list_jobs(house)
    most = limit if job else SHOWN_OF_EACH
    found = {name: list_sources(house.reader, name, most + 1) for name in names}
    return render(
        request,
        "sources.html",
        job=job,
        limit=limit,
        most=most,
        sources={name: listed for name, listed in found.items() if listed},
        runs=list_looks(house.reader, job, SHOWN_RUNS) if job else [],
    )
