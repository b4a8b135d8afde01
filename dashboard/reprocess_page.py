"""Make results again: first the quote, and a canary on some items if one likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote as encode

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse

from dashboard import deeds
from dashboard.house import house_of
from dashboard.item_acts import Sent, go_back
from dashboard.item_choice import Chosen, read_chosen, write_filter
from dashboard.item_list import Asked
from dashboard.known import list_stage_names, require_job
from dashboard.rendering import render
from dashboard.visitors import Needs, Visitor
from pipeline.errors import OperatorError, UnclearRequestError
from runner.canary import find_changed_shares
from runner.kept_canaries import begin_canary, read_canary, take_canary
from runner.reprocess import Wish, make_wish, quote

if TYPE_CHECKING:
    from starlette.responses import Response

    from dashboard.house import House
    from runner.kept_canaries import KeptCanary
    from runner.quoting import Quote

router = APIRouter(include_in_schema=False)

MOST_TRIED = 100
ALLOWED = Depends(Needs("reprocess"))


def _make_wish(house: House, chosen: Chosen) -> Wish:
    return make_wish(
        house.runtime,
        chosen.job,
        stage=chosen.stage,
        stale=chosen.is_stale,
        filter_text=write_filter(house, chosen),
    )


@router.post("/jobs/{job}/items/reprocess/confirm", response_model=None, dependencies=[ALLOWED])
def confirm(request: Request, job: str, sent: Sent) -> Response:
    """Ask before results are made again, with the quote."""
    house = house_of(request)
    chosen = _read(request, job, sent)
    quoted: Quote | None = None
    problem = None
    try:
        quoted = quote(house.runtime, _make_wish(house, chosen))
    except OperatorError as error:
        problem = str(error)
    return render(
        request,
        "reprocess.html",
        400 if problem else 200,
        chosen=chosen,
        quoted=quoted,
        problem=problem,
        most_tried=MOST_TRIED,
        stages=list_stage_names(house, chosen.job),
        asked=Asked(chosen.job, chosen.filter),
    )


@router.post("/jobs/{job}/items/reprocess", response_model=None)
def do(request: Request, job: str, sent: Sent, visitor: Annotated[Visitor, ALLOWED]) -> Response:
    """Make results again."""
    chosen = _read(request, job, sent)
    house = house_of(request)
    return go_back(house, chosen, deeds.make_again(house, _make_wish(house, chosen), visitor.name))


# -- a canary ---------------------------------------------------------------------------------------------


@router.post("/jobs/{job}/items/reprocess/canary", response_model=None)
def try_some(request: Request, job: str, sent: Sent, visitor: Annotated[Visitor, ALLOWED]) -> Response:
    """Begin to run what is meant of some items aside, and go to the page that shows it."""
    chosen = _read(request, job, sent)
    house = house_of(request)
    number = _read_number(sent.get("canary"))
    wish, text = _make_wish(house, chosen), write_filter(house, chosen)
    seconds = number * sum(stage.timeout for stage in wish.job.stages)
    name = begin_canary(house.settings, wish, text, number, visitor.name, seconds)
    return RedirectResponse(f"{house.served.prefix}/jobs/{encode(job, safe='')}/canaries/{name}", 303)


@router.get("/jobs/{job}/canaries/{name}", response_model=None, dependencies=[ALLOWED])
def show_canary(request: Request, job: str, name: str) -> Response:
    """Show how far a canary is, old and new of what it has done, and at its end a quote that knows more."""
    house = house_of(request)
    canary = read_canary(house.settings, job, name)
    quoted = None
    if not canary.is_running:
        quoted = quote(house.runtime, _wish_of(house, canary), find_changed_shares(canary.items))
    return render(
        request,
        "canary.html",
        canary=canary,
        wanted=canary.asked,
        quoted=quoted,
        most_tried=MOST_TRIED,
        asked=Asked(job, canary.asked.filter_text or ""),
    )


@router.post("/jobs/{job}/canaries/{name}/go-on", response_model=None)
def go_on(request: Request, job: str, name: str, visitor: Annotated[Visitor, ALLOWED]) -> Response:
    """Make the results again, but for those of the canary, which count."""
    house = house_of(request)
    wish = _wish_of(house, read_canary(house.settings, job, name))
    canary = take_canary(house.settings, job, name)
    query = deeds.make_again(house, wish, visitor.name, canary.items)
    back = Asked(job, canary.asked.filter_text or "").url()
    return RedirectResponse(f"{house.served.prefix}{back}{'&' if '?' in back else '?'}{query}", 303)


def _wish_of(house: House, canary: KeptCanary) -> Wish:
    """Make the wish anew that the canary is of: just that one, whatever has changed since."""
    asked = canary.asked
    return Wish(house.runtime.jobs.get_job(asked.job), asked.stage, asked.only_stale, asked.how, {})


def _read(request: Request, job: str, sent: Any) -> Chosen:
    require_job(house_of(request), job)
    return read_chosen(job, sent)


def _read_number(value: object) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) < 10 and 1 <= int(value) <= MOST_TRIED:
        return int(value)
    raise UnclearRequestError(f"a canary is on 1 to {MOST_TRIED} items")
