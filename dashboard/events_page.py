"""What happened, the newest first: each move of an item, and each act with who did it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Query, Request

from dashboard.house import house_of
from dashboard.known import list_jobs, require_job
from dashboard.rendering import render
from dashboard.visitors import Needs
from pipeline.lifecycle import MOVES
from tracker.acts import ACTS
from tracker.event_pages import LOOK_AT, WantedEvents, find_last_event, list_events_before

if TYPE_CHECKING:
    from starlette.responses import Response

    from dashboard.house import House

router = APIRouter(include_in_schema=False)

PAGE = 50

DETAIL_CHARS = 300

KINDS = sorted({*(move.name for move in MOVES), *(act.event for act in ACTS.values()), "undo", "pause", "unpause",
                "enqueue", "discover", "approve", "dismiss", "mute", "unmute", "budget_reached", "notice"})  # fmt: skip
"""What is suggested as a kind; there are more."""

EventId = Annotated[int | None, Query(ge=0, lt=2**62)]


def read_wanted(
    job: str = "",
    kind: Annotated[str, Query(max_length=200)] = "",
    by: Annotated[str, Query(max_length=200)] = "",
    acts: bool = False,
) -> WantedEvents:
    """Read which events are asked for."""
    return WantedEvents(job or None, kind.strip() or None, by.strip() or None, acts)


Wanted = Annotated[WantedEvents, Depends(read_wanted)]


@router.get("/events", dependencies=[Depends(Needs("view"))], response_model=None)
def show_events(request: Request, wanted: Wanted, before: EventId = None, live: bool = True) -> Response:
    """Show the newest events, or those before one."""
    house = house_of(request)
    if wanted.job is not None:
        require_job(house, wanted.job)
    is_live = live and before is None
    return render(
        request,
        "events.html",
        **describe_events(house, wanted, before),
        wanted=wanted,
        jobs=list_jobs(house),
        kinds=KINDS,
        is_live=is_live,
        before=before,
        asked=_query(wanted),
        to_other_live=_query(wanted, live="false" if is_live else None),
        first_page=_query(wanted),
    )


def describe_events(house: House, wanted: WantedEvents, before: int | None = None) -> dict[str, Any]:
    """Describe the newest events, or those before one, as the templates show them."""
    newest = find_last_event(house.reader)
    page = list_events_before(house.reader, wanted, before=before or newest + 1, limit=PAGE)
    return {
        "page": page,
        "events": page.events,
        "details": {one.event_id: _shorten(one.detail) for one in page.events},
        "look_at": LOOK_AT,
        "older": None if page.next_id is None else _query(wanted, before=page.next_id),
    }


def read_query(text: str) -> WantedEvents:
    """Read which events a page shows from the query of its address."""
    said = dict(parse_qsl(text))
    return read_wanted(
        said.get("job", ""), said.get("kind", ""), said.get("by", ""), said.get("acts") == "true"
    )


def _shorten(detail: dict[str, Any]) -> list[tuple[str, str]]:
    """List what an event says, in texts that are not too long together."""
    said, left = [], DETAIL_CHARS
    for name, value in detail.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        said.append((name[:left], text if len(text) <= left else f"{text[:left]}…"))
        left = max(0, left - len(text))
        if not left:
            break
    return said


def _query(wanted: WantedEvents, **more: object) -> str:
    named = {
        "job": wanted.job,
        "kind": wanted.kind,
        "by": wanted.by,
        "acts": "true" if wanted.acts else None,
        **more,
    }
    return urlencode({name: value for name, value in named.items() if value is not None})
