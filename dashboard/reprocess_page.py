"""Make results again: first the quote, and a trial on some items if one likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request

from dashboard import deeds
from dashboard.item_acts import Sent, go_back
from dashboard.item_choice import Chosen, read_chosen, write_filter
from dashboard.item_list import Asked
from dashboard.known import list_stage_names, require_job
from dashboard.rendering import render
from dashboard.visitors import Needs, Visitor
from pipeline.errors import OperatorError, UnclearRequestError
from runner.apart import canary_apart
from runner.reprocess import make_wish, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from dashboard.house import House
    from runner.quoting import Quote
    from runner.reprocess import Wish

router = APIRouter(include_in_schema=False)

MOST_TRIED = 10
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
    chosen = _read(request, job, sent)
    return _show(request, chosen)


@router.post("/jobs/{job}/items/reprocess/canary", response_model=None, dependencies=[ALLOWED])
def try_some(request: Request, job: str, sent: Sent) -> Response:
    """Run what is meant of some items aside, show old and new, and ask again with a quote that knows more."""
    chosen = _read(request, job, sent)
    house = request.app.state.house
    number = _read_number(sent.get("canary"))
    wish = _make_wish(house, chosen)
    seconds = number * sum(stage.timeout for stage in wish.job.stages)
    return _show(request, chosen, canary_apart(house.settings, job, wish.how, number, seconds))


@router.post("/jobs/{job}/items/reprocess", response_model=None)
def do(request: Request, job: str, sent: Sent, visitor: Visitor = ALLOWED) -> Response:
    """Make results again."""
    chosen = _read(request, job, sent)
    house = request.app.state.house
    return go_back(house, chosen, deeds.make_again(house, _make_wish(house, chosen), visitor.name))


def _read(request: Request, job: str, sent: Any) -> Chosen:
    require_job(request.app.state.house, job)
    return read_chosen(job, sent)


def _read_number(value: object) -> int:
    if not isinstance(value, str) or not value.isdecimal() or not 1 <= int(value[:9]) <= MOST_TRIED:
        raise UnclearRequestError(f"a trial is on 1 to {MOST_TRIED} items")
    return int(value)


def _show(request: Request, chosen: Chosen, tried: Sequence[dict[str, Any]] | None = None) -> Response:
    house = request.app.state.house
    quoted: Quote | None = None
    problem = None
    try:
        quoted = quote(house.runtime, _make_wish(house, chosen), _count_changed(tried or ()))
    except OperatorError as error:
        problem = str(error)
    return render(
        request,
        "reprocess.html",
        400 if problem else 200,
        chosen=chosen,
        quoted=quoted,
        problem=problem,
        tried=tried,
        most_tried=MOST_TRIED,
        stages=list_stage_names(house, chosen.job),
        asked=Asked(chosen.job, chosen.filter),
    )


def _count_changed(tried: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Count what share of the results came out as others, by stage."""
    runs: dict[str, list[bool]] = {}
    for one in tried:
        for done in one["stages"]:
            runs.setdefault(done["stage"], []).append(done["ran"]["ending"] != "done" or bool(done["diff"]))
    return {stage: sum(changed) / len(changed) for stage, changed in runs.items()}
