"""Pausing a job, one of its stages, or everything, and letting everything go on: it asks why, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Form, Request

from dashboard.addresses import job_path
from dashboard.asking import Question, ask
from dashboard.job_acts import (
    UNPAUSE,
    address_of,
    ask_about,
    check,
    count_waiting,
    find_target,
    go_back,
    name_what,
)
from dashboard.visitors import Needs
from pipeline.until import parse_until
from runner import pausing
from tracker.clock import now_ms, to_datetime

if TYPE_CHECKING:
    from starlette.responses import Response

router = APIRouter(include_in_schema=False)

MOST_CHARS = 500
"""How long a reason may be."""

PAUSED = (
    "unfinished [item stays as it is|items stay as they are]: nothing more of it is begun. What runs ends as it "
    "would."
)

STAGE_PAUSED = (
    "[item is|items are] not through this stage: it is begun for none of them. What runs ends as it would, and so do "
    "the other stages, but for those that need it."
)


def _ask_pause(
    request: Request, job: str | None, stage: str | None, problem: str | None = None, **filled: str
) -> Response:
    question = Question(
        title=f"Pause {name_what(job, stage)}",
        number=count_waiting(check(request, job, stage)),
        words=STAGE_PAUSED if stage else PAUSED,
        do="Pause it",
        to=address_of(job, "pause"),
        back=job_path(job),
        hidden={"stage": stage} if stage else {},
        asks_why=True,
    )
    return ask(request, question, problem, **filled)


def _pause(request: Request, job: str | None, stage: str | None, reason: str, until: str) -> Response:
    asked = check(request, job, stage)
    if not reason.strip():
        return _ask_pause(request, job, stage, "Say why: people will read it.", until=until)
    try:
        end = parse_until(until.strip(), to_datetime(now_ms())) if until.strip() else None
    except ValueError as error:
        return _ask_pause(request, job, stage, f"Until {error}.", reason=reason, until=until)
    pausing.pause(asked.house.runtime, find_target(asked), reason.strip()[:MOST_CHARS], end, asked.by)
    return go_back(request, job, "did=pause")


@router.get("/jobs/{job}/pause", dependencies=[Depends(Needs("pause"))], response_model=None)
def ask_pause(request: Request, job: str, stage: str | None = None) -> Response:
    """Ask why, and until when, a job or one of its stages is to be paused."""
    return _ask_pause(request, job, stage)


@router.post("/jobs/{job}/pause", dependencies=[Depends(Needs("pause"))], response_model=None)
def pause(
    request: Request,
    job: str,
    reason: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
    stage: Annotated[str | None, Form()] = None,
) -> Response:
    """Pause a job, or one of its stages."""
    return _pause(request, job, stage, reason, until)


@router.get("/pause", dependencies=[Depends(Needs("pause"))], response_model=None)
def ask_pause_everything(request: Request) -> Response:
    """Ask why, and until when, everything is to be paused."""
    return _ask_pause(request, None, None)


@router.post("/pause", dependencies=[Depends(Needs("pause"))], response_model=None)
def pause_everything(
    request: Request, reason: Annotated[str, Form()] = "", until: Annotated[str, Form()] = ""
) -> Response:
    """Pause everything."""
    return _pause(request, None, None, reason, until)


@router.get("/unpause", dependencies=[Depends(Needs("unpause"))], response_model=None)
def ask_unpause_everything(request: Request) -> Response:
    """Ask before everything is let go on."""
    return ask_about(request, UNPAUSE, None, None)


@router.post("/unpause", dependencies=[Depends(Needs("unpause"))], response_model=None)
def unpause_everything(request: Request) -> Response:
    """Let everything go on."""
    return go_back(request, None, UNPAUSE.do(check(request, None, None)))
