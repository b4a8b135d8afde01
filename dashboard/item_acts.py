"""What people do to items from a list or from an item's page: each act asks first, with the number that it touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse

from dashboard import deeds
from dashboard.addresses import item_path
from dashboard.house import house_of
from dashboard.item_choice import MOST_CHOSEN, Chosen, find_keys, make_order, read_chosen
from dashboard.item_list import Asked
from dashboard.known import list_stage_names, require_job
from dashboard.rendering import render
from dashboard.visitors import Needs, Visitor
from pipeline.errors import OperatorError, TakesTooLongError
from runner import actions
from tracker.patience import for_at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from dashboard.house import House
    from runner.actions import Order

router = APIRouter(include_in_schema=False)

COUNT_SECONDS = 5.0
"""How long a page may count; what takes longer is counted as it is done."""


@dataclass(frozen=True, slots=True)
class Words:
    """
    How an act is spoken of, and what it wants to know: `fields` of stage, reason and priority.

    What depends on the number of them stands as `[one|several]` (see `runner.saying.agree`).
    """

    title: str
    words: str
    do: str
    fields: tuple[str, ...] = ()


WORDS = {
    "retry": Words(
        "Retry",
        "failed [stage is|stages are] tried again, as if for the first time.",
        "Retry [it|them]",
        ("stage",),
    ),
    "reset": Words(
        "Do again",
        "[item is|items are] done again from this stage on; what needs it follows.",
        "Do [it|them] again",
        ("stage",),
    ),
    "skip": Words(
        "Skip",
        "[stage is left out, and its item goes on without its result|stages are left out, and their items go on "
        "without their results]. Without a stage these are failed ones; with one it is left out also where it waits.",
        "Skip [it|them]",
        ("stage", "reason"),
    ),
    "cancel": Words(
        "Cancel",
        "[stage is|stages are] not done: what waits is skipped at once, what runs is told to stop, and what waits to "
        "be done again stays as it ended.",
        "Cancel [it|them]",
        ("stage",),
    ),
    "reopen": Words(
        "Reopen",
        "ended [item goes|items go] through all [its|their] stages again; those under way are left alone.",
        "Reopen [it|them]",
    ),
    "priority": Words(
        "Priority", "[item gets|items get] this priority; higher goes first.", "Set it", ("priority",)
    ),
}
"""Each act, by its name in `tracker.acts.ACTS`, which is also what whoever does it must be allowed."""


async def read_form(request: Request) -> FormData:
    """Read a form that may name very many items."""
    return await request.form(max_fields=MOST_CHOSEN + 100)


Sent = Annotated[FormData, Depends(read_form)]


def confirm(act: str, request: Request, job: str, visitor: Visitor, sent: FormData) -> Response:
    """Ask before an act is done, and say how many it touches; what is missing yet is asked for."""
    house = house_of(request)
    require_job(house, job)
    chosen = read_chosen(job, sent)
    number, problem, missing = None, None, _find_missing(act, chosen, sent)
    try:
        number = None if missing else _count(house, make_order(house, act, chosen, visitor.name))
    except OperatorError as error:
        problem = str(error)
    return render(
        request,
        "item_act.html",
        400 if problem else 200,
        act=act,
        words=WORDS[act],
        chosen=chosen,
        number=number,
        problem=problem,
        missing=missing,
        stages=list_stage_names(house, job),
        asked=Asked(job, chosen.filter),
        back=_find_back(house, chosen),
    )


def _find_missing(act: str, chosen: Chosen, sent: FormData) -> str | None:
    """Say what is to be said before it can be counted, where nobody was asked for it yet."""
    if "asked" in sent or not (chosen.is_all or chosen.places):
        return None
    if act == "reset" and chosen.stage is None:
        return "From which stage on?"
    return "Which priority? Higher goes first." if act == "priority" and chosen.priority is None else None


def _count(house: House, order: Order) -> str:
    conn = house.runtime.tracker
    try:
        with for_at_most(conn, COUNT_SECONDS):
            return f"{actions.count(house.runtime, order):,}"
    except TakesTooLongError:
        return f"More than could be counted within {COUNT_SECONDS:g} s:"


def do(act: str, request: Request, job: str, visitor: Visitor, sent: FormData) -> Response:
    """Do what was asked for, and go back to where it was, which says what came of it."""
    house = house_of(request)
    require_job(house, job)
    chosen = read_chosen(job, sent)
    query = deeds.carry_out(house, make_order(house, act, chosen, visitor.name))
    return go_back(house, chosen, query)


def go_back(house: House, chosen: Chosen, query: str) -> Response:
    """Go back to the list, or to the item's page, with a query that says what was done."""
    back = _find_back(house, chosen)
    return RedirectResponse(f"{house.served.prefix}{back}{'&' if '?' in back else '?'}{query}", 303)


def _find_back(house: House, chosen: Chosen) -> str:
    if chosen.is_from_item and len(chosen.item_ids) == 1:
        ((item_id, key),) = find_keys(house, chosen).items()
        return item_path(chosen.job, key, item_id)
    return Asked(chosen.job, chosen.filter).url()


def _add(act: str, path: str, answer: Callable[[str, Request, str, Visitor, FormData], Response]) -> None:
    allowed = Depends(Needs(act))

    def route(request: Request, job: str, sent: Sent, visitor: Visitor = allowed) -> Response:
        return answer(act, request, job, visitor, sent)

    router.add_api_route(
        path,
        route,
        methods=["POST"],
        response_model=None,
        name=f"{answer.__name__}_{act}",
        dependencies=[allowed],
    )


for _act in WORDS:
    _add(_act, f"/jobs/{{job}}/items/{_act}/confirm", confirm)
    _add(_act, f"/jobs/{{job}}/items/{_act}", do)
