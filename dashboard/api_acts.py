"""
The JSON API for acting: what `celeriac pause`, `retry` and the rest do, with who asked on record.

An action on many stages answers when it is through, with the record of the command line's `--json`; what takes longer
than a moment is answered with 202, goes on, and is watched at `/api/actions/ID`. With `count` nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from dashboard import deeds
from dashboard.api_answers import HAS_TOKEN, PROBLEMS, answer
from dashboard.house import house_of
from dashboard.visitors import Needs, Visitor
from runner import actions, choices, operate, pausing
from runner.actions import ActedOnMany, Order
from runner.operate import Acted
from runner.pausing import PauseActed
from tracker.actions import Action, get_action
from tracker.acts import ACTS
from tracker.pauses import Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


router = APIRouter(prefix="/api", tags=["acting"], dependencies=[HAS_TOKEN], responses=PROBLEMS)

MOST_KEYS = 10_000

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Body(BaseModel):
    """What is asked for; anything that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class PauseBody(Body):
    """Why something is paused, and until when."""

    reason: Text = Field(description="Why; people will read it.")
    until: AwareDatetime | None = Field(
        None, description="When it goes on by itself; without it, when somebody says."
    )
    stage: Name | None = Field(None, description="Only this stage.")


class UnpauseBody(Body):
    """What may go on."""

    stage: Name | None = Field(None, description="Only this stage.")


class WhichBody(Body):
    """Which items are meant: those with these `keys`, those of a `filter`, or with `all` every one."""

    keys: list[str] | None = Field(None, min_length=1, max_length=MOST_KEYS)
    filter: str | None = Field(None, min_length=1, max_length=10_000, description="As in docs/filters.md.")
    all: bool = False
    count: bool = Field(False, description="Only count them, and change nothing.")

    @model_validator(mode="after")
    def _say_one(self) -> Self:
        if sum((self.keys is not None, self.filter is not None, self.all)) != 1:
            raise ValueError("say which: keys, filter, or all: one of them")
        return self


class StagesBody(WhichBody):
    """Which stages of which items are meant."""

    stage: Name | None = Field(None, description="Only this stage.")


class SkipBody(StagesBody):
    """Which stages are skipped, and why."""

    reason: Text | None = None


class ResetBody(WhichBody):
    """From which stage on items are done again."""

    stage: Name


class PriorityBody(WhichBody):
    """Which priority items get."""

    priority: int = Field(ge=-(2**31), lt=2**31, description="Higher goes first.")


@dataclass(frozen=True, slots=True)
class Counted:
    """How many stages or items (`counts` says which) an act would touch."""

    act: str
    job: str
    total: int
    counts: str


@dataclass(frozen=True, slots=True)
class ActionReport:
    """One action as it stands: `done` of `total`, which are stages or items as `counts` says. Times are Unix ms."""

    action: int
    act: str
    job: str | None
    stage: str | None
    by: str
    asked_at: int
    total: int
    done: int
    passed: int
    counts: str
    finished_at: int | None
    undone_by: int | None


LONG: dict[int | str, dict[str, Any]] = {
    202: {"model": ActionReport, "description": "It goes on; its action is watched at /api/actions/ID."}
}


# -- a job ------------------------------------------------------------------------------------------------


@router.post("/jobs/{job}/pause", response_model=PauseActed)
def pause(
    request: Request, job: str, body: PauseBody, visitor: Annotated[Visitor, Depends(Needs("pause"))]
) -> Response:
    """Hold a job back, or one stage of it, as `celeriac pause --json`."""
    try:
        acted = pausing.pause(
            house_of(request).runtime, _target(job, body.stage), body.reason, body.until, visitor.name
        )
    except ValueError as error:
        raise HTTPException(400, f"until: {error}") from None
    return answer(acted)


@router.post("/jobs/{job}/unpause", response_model=PauseActed)
def unpause(
    request: Request,
    job: str,
    visitor: Annotated[Visitor, Depends(Needs("unpause"))],
    body: UnpauseBody | None = None,
) -> Response:
    """Let a job go on, or one stage of it, as `celeriac unpause --json`."""
    target = _target(job, body.stage if body else None)
    return answer(pausing.unpause(house_of(request).runtime, target, visitor.name))


@router.post("/jobs/{job}/wake", response_model=Acted)
def wake(request: Request, job: str, visitor: Annotated[Visitor, Depends(Needs("wake"))]) -> Response:
    """Let a job look for items at the next sweep, as `celeriac wake --json`."""
    return answer(operate.wake(house_of(request).runtime, job, visitor.name))


def _target(job: str, stage: str | None) -> Target:
    return Target.of_job(job) if stage is None else Target.of_stage(job, stage)


# -- many stages ------------------------------------------------------------------------------------------


@router.post("/jobs/{job}/retry", response_model=ActedOnMany | Counted, responses=LONG)
def retry(
    request: Request, job: str, body: StagesBody, visitor: Annotated[Visitor, Depends(Needs("retry"))]
) -> Response:
    """Try failed stages again, as `celeriac retry --json`."""
    how = _choose(request, job, body, stage=body.stage, only_failed=True) or choices.EVERY_FAILURE
    return _act(request, body, Order("retry", job, visitor.name, body.stage, how))


@router.post("/jobs/{job}/skip", response_model=ActedOnMany | Counted, responses=LONG)
def skip(
    request: Request, job: str, body: SkipBody, visitor: Annotated[Visitor, Depends(Needs("skip"))]
) -> Response:
    """Leave out failed stages; a named one of named items also where it waits. As `celeriac skip --json`."""
    how = _choose(request, job, body, stage=body.stage, only_failed=body.stage is None)
    if how is None or body.stage is None:
        how = {**(how or choices.EVERY_FAILURE), "statuses": ["failed"]}
    by = visitor.name
    reason = f"{body.reason} (skipped by {by})" if body.reason else f"skipped by {by}"
    return _act(request, body, Order("skip", job, by, body.stage, how, reason=reason))


@router.post("/jobs/{job}/reset", response_model=ActedOnMany | Counted, responses=LONG)
def reset(
    request: Request, job: str, body: ResetBody, visitor: Annotated[Visitor, Depends(Needs("reset"))]
) -> Response:
    """Do a stage again, and all that needs it, as `celeriac reset --json`."""
    how = _choose(request, job, body) or choices.EVERY_ITEM
    return _act(
        request, body, Order("reset", job, visitor.name, body.stage, how, detail={"stage": body.stage})
    )


@router.post("/jobs/{job}/reopen", response_model=ActedOnMany | Counted, responses=LONG)
def reopen(
    request: Request, job: str, body: WhichBody, visitor: Annotated[Visitor, Depends(Needs("reopen"))]
) -> Response:
    """Take ended items through all their stages again, as `celeriac reopen --json`."""
    how = _choose(request, job, body) or choices.EVERY_ITEM
    return _act(request, body, Order("reopen", job, visitor.name, how=how))


@router.post("/jobs/{job}/cancel", response_model=ActedOnMany | Counted, responses=LONG)
def cancel(
    request: Request, job: str, body: StagesBody, visitor: Annotated[Visitor, Depends(Needs("cancel"))]
) -> Response:
    """Do no more for items, as `celeriac cancel --json`; which ones must be said."""
    how = _choose(request, job, body)
    if how is None:
        raise HTTPException(400, "cancel takes keys or a filter, not all")
    reason = f"cancelled by {visitor.name}"
    return _act(request, body, Order("cancel", job, visitor.name, body.stage, how, reason=reason))


@router.post("/jobs/{job}/priority", response_model=ActedOnMany | Counted, responses=LONG)
def prioritise(
    request: Request, job: str, body: PriorityBody, visitor: Annotated[Visitor, Depends(Needs("priority"))]
) -> Response:
    """Set the priority of items, as `celeriac priority --json`; which ones must be said."""
    how = _choose(request, job, body)
    if how is None:
        raise HTTPException(400, "priority takes keys or a filter, not all")
    return _act(
        request, body, Order("priority", job, visitor.name, how=how, detail={"priority": body.priority})
    )


def _choose(
    request: Request, job: str, body: WhichBody, *, stage: str | None = None, only_failed: bool = False
) -> Mapping[str, Any] | None:
    """Choose by keys or by a filter; None for all."""
    runtime = house_of(request).runtime
    if body.keys is not None:
        return choices.choose_keys(runtime, job, body.keys)
    if body.filter is None:
        return None
    return choices.choose_filter(runtime, body.filter, job_id=job, stage=stage, only_failed=only_failed)


def _act(request: Request, body: WhichBody, order: Order) -> Response:
    house = house_of(request)
    if body.count:
        total = actions.count(house.runtime, order)
        return answer(Counted(order.act, order.job_id or "", total, ACTS[order.act].counts))
    begun = deeds.begin(house, order)
    if begun.acted is not None:
        return answer(begun.acted)
    return answer(_report(get_action(house.reader, begun.action_id or 0)), 202)


# -- what goes on -----------------------------------------------------------------------------------------


@router.get("/actions/{action}", response_model=ActionReport, dependencies=[Depends(Needs("view"))])
def show_action(request: Request, action: Annotated[int, Path(ge=1, lt=2**62)]) -> Response:
    """Show how far an action is."""
    return answer(_report(get_action(house_of(request).reader, action)))


def _report(action: Action) -> ActionReport:
    act = action.detail.get("act", action.act)
    return ActionReport(
        action=action.action_id,
        act=action.act,
        job=action.job_id,
        stage=action.stage,
        by=action.by,
        asked_at=action.asked_at,
        total=action.total,
        done=action.done,
        passed=action.passed,
        counts=ACTS[act].counts if act in ACTS else "stages",
        finished_at=action.finished_at,
        undone_by=action.undone_by,
    )
