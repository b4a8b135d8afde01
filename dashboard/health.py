"""Whether this process lives, and whether the house is ready: open to everybody, and saying nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from dashboard.api_answers import answer
from dashboard.house import house_of
from tracker.backlog import find_late_sweep

if TYPE_CHECKING:
    from dashboard.house import House

log = structlog.get_logger(__name__)

router = APIRouter(tags=["health"])

FRESH_SECONDS = 180
"""A sweep that is older means that beat, or every worker, is gone, unless what runs takes long."""


class Alive(BaseModel):
    """This process answers."""

    alive: Literal[True] = True


class Ready(BaseModel):
    """Whether the tracker can be read and the last sweep is fresh."""

    ready: bool


@router.get("/healthz")
async def say_alive() -> Alive:
    """Say that this process lives; it asks nobody else."""
    return Alive()


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready, "description": "Not ready."}})
def say_ready(request: Request) -> Response:
    """Say whether the tracker can be read and is swept, with 200 or 503."""
    is_ready = _is_ready(house_of(request))
    return answer({"ready": is_ready}, 200 if is_ready else 503)


def _is_ready(house: House) -> bool:
    try:
        late = find_late_sweep(house.reader, FRESH_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever it is, who asks is told no more than that it is not ready
        log.warning("the tracker cannot be read", error=str(error))
        return False
    return late is None or late.healthy
