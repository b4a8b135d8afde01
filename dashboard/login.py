"""Logging in and out. Wrong passwords slow down whoever tries, by name and by address."""

from __future__ import annotations

import threading
import time
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from dashboard.house import house_of
from dashboard.rendering import render
from dashboard.visitors import COOKIE, SESSION_SECONDS, find_address, make_session
from runner.access import is_password
from tracker import access

router = APIRouter(include_in_schema=False)

FREE_TRIES = 5
LONGEST_WAIT_SECONDS = 900.0
REMEMBERED = 10_000


class Throttle:
    """How often a name or an address was wrong of late, and until when it is not listened to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}

    def begin_try(self, *who: str) -> float:
        """
        Let these try a password, or tell how long they have to wait first: 0 when not at all.

        It counts as wrong until forgiven: else many at once would all be free. After a few, each doubles the wait.
        """
        now = time.monotonic()
        with self._lock:
            if (left := max(self._wrong.get(one, (0, 0.0))[1] for one in who) - now) > 0:
                return left
            if len(self._wrong) > REMEMBERED:
                self._wrong = {one: known for one, known in self._wrong.items() if known[1] > now}
            for one in who:
                times = self._wrong.get(one, (0, 0.0))[0] + 1
                wait = min(LONGEST_WAIT_SECONDS, 2.0 ** (times - FREE_TRIES)) if times >= FREE_TRIES else 0.0
                self._wrong[one] = times, now + wait
        return 0.0

    def forgive(self, *who: str) -> None:
        """Forget what was wrong: they know the password."""
        with self._lock:
            for one in who:
                self._wrong.pop(one, None)


@router.get("/login")
def show_login(request: Request, to: str = "/") -> Response:
    """Ask who it is."""
    return _ask(request, to)


def _ask(
    request: Request, to: str, name: str = "", status: int = 200, problem: str | None = None
) -> Response:
    return render(
        request,
        "login.html",
        status,
        to=_local_path(to),
        name=name,
        problem=problem,
        has_accounts=access.has_accounts(house_of(request).reader),
    )


@router.post("/login")
def log_in(
    request: Request,
    name: Annotated[str, Form()],
    password: Annotated[str, Form()],
    to: Annotated[str, Form()] = "/",
) -> Response:
    """Let somebody in who knows the password, and back to the page that they came for."""
    house, throttle = house_of(request), request.app.state.throttle
    who = [f"name {name[:80]}"]
    if (address := find_address(request)) is not None:
        who.append(f"address {address[:80]}")
    if (wait := throttle.begin_try(*who)) > 0:
        problem = f"Too many wrong passwords. Try again in {wait:.0f} s."
        return _ask(request, to, name, 429, problem)
    account = access.find_account(house.reader, name)
    if not is_password(password, account.password if account else None) or account is None:
        return _ask(request, to, name, 403, "Name or password is wrong.")
    throttle.forgive(*who)
    answer = RedirectResponse(house.served.prefix + _local_path(to), 303)
    answer.set_cookie(
        COOKIE,
        make_session(house, account),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="lax",
        secure=house.served.https,
        path=house.served.prefix or "/",
    )
    return answer


@router.post("/logout")
def log_out(request: Request) -> Response:
    """End a session."""
    house = house_of(request)
    answer = RedirectResponse(f"{house.served.prefix}/login", 303)
    answer.delete_cookie(COOKIE, path=house.served.prefix or "/")
    return answer


def _local_path(to: str) -> str:
    """
    Keep a path of ours as it is; anything that leads elsewhere becomes the first page.

    >>> _local_path("/jobs/hn?status=failed"), _local_path("//evil.example"), _local_path("https://evil.example")
    ('/jobs/hn?status=failed', '/', '/')
    """
    is_ours = to.startswith("/") and not to.startswith(("//", "/\\"))
    return to if is_ours and "\n" not in to and "\r" not in to else "/"
