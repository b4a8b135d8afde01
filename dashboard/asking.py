"""The page that asks before anything is done, with the number that it touches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dashboard.rendering import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request
    from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Question:
    """
    What is asked before it is done.

    `number` is how many are touched and `words` what they are, and what becomes of them, with `[one|several]` where
    that depends on the number (see `runner.saying.agree`). The form is sent to `to` with the `hidden` fields; `back`
    is where one goes who thinks better of it. With `asks_why` it has fields for a reason and an end.
    """

    title: str
    number: int
    words: str
    do: str
    to: str
    back: str
    hidden: Mapping[str, str] = field(default_factory=dict)
    asks_why: bool = False


def ask(request: Request, question: Question, problem: str | None = None, **filled: str) -> Response:
    """Ask; with the `problem` of what was filled in before, if it was wrong."""
    status = 200 if problem is None else 400
    return render(request, "ask.html", status, ask=question, problem=problem, filled=filled)
