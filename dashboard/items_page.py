"""A job's items: filtered, sorted, page after page; and the lists of them that people keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse

from dashboard.house import house_of
from dashboard.item_list import Asked, Sort, list_sorts, read_list, suggest
from dashboard.known import list_stage_names, require_job
from dashboard.rendering import render
from dashboard.visitors import Needs, Visitor
from pipeline.errors import InvalidFilterError, UnclearRequestError
from pipeline.filter_words import FILTER_WORDS
from pipeline.filters import Filter
from pipeline.lifecycle import Status
from tracker.saved_views import NAME_CHARACTERS, forget_view, list_views, save_view
from tracker.stats import get_job_stats

if TYPE_CHECKING:
    from starlette.responses import Response

router = APIRouter(include_in_schema=False)


@router.get("/jobs/{job}/items", dependencies=[Depends(Needs("view"))], response_model=None)
def show_items(
    request: Request,
    job: str,
    filter_text: Annotated[str, Query(alias="filter")] = "",
    sort: str = Sort.NEWEST,
    after: str | None = None,
) -> Response:
    """Show one page of a list; for htmx its rows alone."""
    house = house_of(request)
    require_job(house, job)
    asked = Asked(job, filter_text, _read_sort(sort), after)
    is_part = request.headers.get("hx-request") == "true" and after is not None
    listed = read_list(house.reader, asked, counts=not is_part)
    facts: dict[str, Any] = {"asked": asked, "listed": listed, "may_act": _may_act(request)}
    status = 400 if listed.problem else 200
    if is_part:
        return render(request, "item_rows.html", status, **facts)
    stages = list_stage_names(house, job)
    return render(
        request,
        "items.html",
        status,
        **facts,
        job=job,
        stages=stages,
        counts=get_job_stats(house.reader, job),
        statuses=[str(status) for status in Status],
        sorts=_list_sorts(asked),
        suggestions=suggest(asked.filter, stages),
        words=FILTER_WORDS.values(),
        views=list_views(house.reader, job),
    )


def _read_sort(text: str) -> Sort:
    try:
        return Sort(text)
    except ValueError:
        raise UnclearRequestError(f"items are not sorted by {text!r}: {', '.join(Sort)}") from None


def _list_sorts(asked: Asked) -> list[Sort]:
    try:
        return list_sorts(asked.read_filter())
    except InvalidFilterError:
        return list_sorts(Filter())


def _may_act(request: Request) -> bool:
    visitor = Needs("view")(request)
    return visitor.may("retry")


# -- kept lists -------------------------------------------------------------------------------------------


@router.post("/jobs/{job}/views", response_model=None)
def keep_view(
    request: Request,
    job: str,
    visitor: Annotated[Visitor, Depends(Needs("save_view"))],
    name: Annotated[str, Form()],
    filter_text: Annotated[str, Form(alias="filter")] = "",
    sort: Annotated[str, Form()] = Sort.NEWEST,
) -> Response:
    """Keep a list under a name."""
    house = house_of(request)
    require_job(house, job)
    asked = Asked(job, filter_text, _read_sort(sort))
    asked.read_filter()
    if not 0 < len(name.strip()) <= NAME_CHARACTERS:
        raise UnclearRequestError(f"a name has 1 to {NAME_CHARACTERS} characters")
    save_view(house.runtime.tracker, job, name.strip(), asked.filter, asked.sort.value, visitor.name)
    return RedirectResponse(f"{house.served.prefix}{asked.url()}", 303)


@router.post("/jobs/{job}/views/forget", response_model=None)
def drop_view(
    request: Request,
    job: str,
    visitor: Annotated[Visitor, Depends(Needs("save_view"))],
    name: Annotated[str, Form()],
) -> Response:
    """Forget a kept list."""
    house = house_of(request)
    forget_view(house.runtime.tracker, job, name, visitor.name)
    return RedirectResponse(f"{house.served.prefix}{Asked(job).url()}", 303)
