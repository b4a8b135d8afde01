"""The first page: a card for each job, those with a problem first; and what holds everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request

from dashboard.deeds import describe
from dashboard.house import house_of
from dashboard.job_cards import make_cards
from dashboard.rendering import render
from dashboard.standing import Stand
from dashboard.visitors import Needs
from tracker.actions import list_unfinished
from tracker.notices import list_open_notices
from tracker.pauses import Target, read_pause

if TYPE_CHECKING:
    from starlette.responses import Response

    from dashboard.house import House

router = APIRouter(include_in_schema=False)

SHOWN_NOTICES = 10
SHOWN_ACTIONS = 10


@router.get("/", dependencies=[Depends(Needs("view"))], response_model=None)
def show_overview(request: Request, stand: str = "") -> Response:
    """Show every job, or those that stand in one way."""
    described = describe_overview(house_of(request))
    described["cards"] = [card for card in described["cards"] if stand in {"", card.stand.value}]
    return render(request, "overview.html", stand=stand, **described)


def describe_overview(house: House) -> dict[str, Any]:
    """Describe every job, and what holds everything, as the templates show it."""
    jobs, refusal = house.read_jobs()
    cards = make_cards(house.reader, jobs)
    return {
        "cards": cards,
        "stands": {one: count for one in Stand if (count := sum(card.stand is one for card in cards))},
        "refusal": refusal,
        "pause": read_pause(house.reader, Target.everything()),
        "going_on": [describe(action) for action in list_unfinished(house.reader)[:SHOWN_ACTIONS]],
        "notices": list_open_notices(house.reader)[-SHOWN_NOTICES:][::-1],
    }
