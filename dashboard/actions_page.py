"""The actions: how far each is, what it changed; and putting one back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse

from dashboard import deeds
from dashboard.addresses import job_path
from dashboard.asking import Question, ask
from dashboard.house import house_of
from dashboard.rendering import render
from dashboard.visitors import Needs, Visitor
from runner import actions
from tracker.actions import get_action, list_actions
from tracker.acts import ACTS
from tracker.undoing import find_undoable

if TYPE_CHECKING:
    from starlette.responses import Response

    from tracker.actions import Action

router = APIRouter(include_in_schema=False)


SHOWN = 50


@router.get("/actions", dependencies=[Depends(Needs("view"))], response_model=None)
def show_actions(request: Request) -> Response:
    """Show the last actions, the newest first."""
    found = list_actions(house_of(request).reader, SHOWN)
    undone = {one.action_id: actions.say_put_back(one) for one in found}
    return render(request, "actions.html", rows=[deeds.describe(action) for action in found], undone=undone)


@router.get("/actions/{action_id}", dependencies=[Depends(Needs("view"))], response_model=None)
def show_action(request: Request, action_id: int) -> Response:
    """Show one action."""
    reader = house_of(request).reader
    action = get_action(reader, action_id)
    undone = actions.say_put_back(get_action(reader, action.undone_by)) if action.undone_by else ""
    return render(request, "action.html", action=action, done=deeds.describe(action), undone=undone)


@router.get("/undo", dependencies=[Depends(Needs("undo"))], response_model=None)
def ask_undo(request: Request, action: int | None = None) -> Response:
    """Ask before an action is put back: the one named, or the last."""
    found = find_undoable(house_of(request).reader, action)
    counted = ACTS[found.act].counts
    return ask(
        request,
        Question(
            title=f"Undo the {found.act}{_of(found)}",
            number=found.done,
            words=f"[{counted.removesuffix('s')} was|{counted} were] changed by {found.by}. "
            "[It becomes what it was|They become what they were], but for items in which something has run since.",
            do="Undo it",
            to="/undo",
            back=job_path(found.job_id),
            hidden={"action": str(found.action_id)},
        ),
    )


@router.post("/undo", response_model=None)
def undo(
    request: Request, action: Annotated[int, Form()], visitor: Annotated[Visitor, Depends(Needs("undo"))]
) -> Response:
    """Put an action back."""
    house = house_of(request)
    found = actions.find_undoable(house.runtime, action)
    query = deeds.undo(house, found, visitor.name)
    return RedirectResponse(f"{house.served.prefix}{job_path(found.job_id)}?{query}", 303)


def _of(action: Action) -> str:
    return f" of {action.job_id}" if action.job_id else ""
