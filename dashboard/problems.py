"""What every error looks like: a page for a person, `{"error": …}` for a program."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Mount

from dashboard.api_answers import answer, say_invalid
from dashboard.house import house_of
from dashboard.rendering import render
from dashboard.visitors import NotAllowedError, NotKnownError
from pipeline.errors import (
    CeleriacError,
    ExportError,
    HeldPlanError,
    InvalidFilterError,
    JobsFileError,
    LostOwnershipError,
    NotFoundError,
    NotUndoableError,
    OperatorError,
    UnclearRequestError,
)
from pipeline.filter_values import ValueRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

STATUSES: tuple[tuple[type[CeleriacError], int], ...] = (
    (NotFoundError, 404),
    (InvalidFilterError, 400),
    (UnclearRequestError, 400),
    (ExportError, 400),
    (NotUndoableError, 409),
    (HeldPlanError, 409),
    (LostOwnershipError, 409),
    (JobsFileError, 503),
    (OperatorError, 503),
    (CeleriacError, 400),
)
"""The status for each kind of error; the first that fits."""


def add_problem_handlers(app: FastAPI) -> None:
    """Let every error of a route be said."""
    app.add_exception_handler(NotKnownError, ask_who)
    app.add_exception_handler(NotAllowedError, refuse)
    app.add_exception_handler(CeleriacError, explain)
    app.add_exception_handler(RequestValidationError, refuse_values)
    app.add_exception_handler(HTTPException, say_http)
    for kind in (ValueRefusedError, OverflowError, UnicodeEncodeError):
        app.add_exception_handler(kind, refuse_value)


def ask_who(request: Request, _: Exception) -> Response:
    """Send a person to the login, and tell a program that it needs a token."""
    if wants_json(request):
        return say(request, 401, "log in, or send a token", {"WWW-Authenticate": "Bearer"})
    house = house_of(request)
    asked_for = request.url.path.removeprefix(house.served.prefix)
    to = asked_for + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        return Response("log in first", 401)
    return RedirectResponse(f"{house.served.prefix}/login?to={quote(to)}", 303)


def refuse(request: Request, error: Exception) -> Response:
    """Say what whoever asks may not do."""
    return say(request, 403, str(error))


def explain(request: Request, error: Exception) -> Response:
    """Say in words what went wrong."""
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    return say(request, status, str(error))


def refuse_values(request: Request, error: Exception) -> Response:
    """Say which values of a request are not allowed."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is registered for no other
    return say(request, 422, say_invalid(error.errors()))


def refuse_value(request: Request, error: Exception) -> Response:
    """Say that a value cannot be: a number that is too large for SQLite, a text that is not Unicode."""
    return say(request, 400, f"a value that cannot be: {error}")


def say_http(request: Request, error: Exception) -> Response:
    """Say what the server refuses by itself: a path that is not there, a method that is not allowed."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for no other
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers |= _say_allowed(request)
    return say(request, error.status_code, str(error.detail), headers)


def _say_allowed(request: Request) -> dict[str, str]:
    """Say which methods a path has, from all routes that have it: each knows only of its own. Nothing for files."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    allowed = [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return {"Allow": ", ".join(allowed)} if allowed else {}


def say(request: Request, status: int, problem: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a problem, as JSON for a program and as a page for a person."""
    said = (
        answer({"error": problem}, status)
        if wants_json(request)
        else render(request, "problem.html", status, problem=problem)
    )
    said.headers.update(headers or {})
    return said


def wants_json(request: Request) -> bool:
    """Tell whether a program asks: below `/api`, for what only programs ask for, or when it accepts nothing else."""
    accepted: Any = request.headers.get("accept", "")
    path = request.url.path.removeprefix(house_of(request).served.prefix)
    return path.startswith(("/api/", "/live", "/metrics", "/healthz", "/readyz")) or accepted.startswith(
        "application/json"
    )
