"""The first page: a card for each job, those with a problem first; and what holds everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request

from dashboard.job_cards import make_cards
from dashboard.rendering import render
from dashboard.standing import Stand
from dashboard.visitors import Needs
from tracker.notices import list_open_notices
from tracker.pauses import Target, read_pause

if TYPE_CHECKING:
    from starlette.responses import Response

router = APIRouter(include_in_schema=False)

SHOWN_NOTICES = 10


@router.get("/", dependencies=[Depends(Needs("view"))], response_model=None)
def show_overview(request: Request, stand: str = "") -> Response:
    """Show every job, or those that stand in one way."""
    house = request.app.state.house
    jobs, refusal = house.read_jobs()
    cards = make_cards(house.reader, jobs)
    return render(
        request,
        "overview.html",
        cards=[card for card in cards if stand in {"", card.stand.value}],
        stands={one: count for one in Stand if (count := sum(card.stand is one for card in cards))},
        stand=stand,
        refusal=refusal,
        pause=read_pause(house.reader, Target.everything()),
        notices=list_open_notices(house.reader)[-SHOWN_NOTICES:][::-1],
    )
