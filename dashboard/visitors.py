"""Who asks: by a session's cookie, by a token, by a proxy's word, or because nobody needs to say who they are."""

from __future__ import annotations

import getpass
import json
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotations
from itsdangerous import BadSignature

from dashboard.guarding import name_of
from dashboard.house import LOCAL_HOSTS, house_of
from dashboard.roles import ACTIONS, Role
from runner.access import hash_token
from tracker import access

if TYPE_CHECKING:
    from collections.abc import Collection

    from dashboard.house import House

COOKIE = "celeriac_session"
SESSION_SECONDS = 7 * 86_400

FORWARDED = frozenset(
    {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
)
"""With any of these headers a request comes from farther away than from whoever sent it on."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever asks, and what they may."""

    name: str
    role: Role
    came_by: Literal["local", "session", "token", "proxy"]
    scopes: Collection[str] | None = None

    def may(self, action: str) -> bool:
        """Tell whether they may do an action of `ACTIONS`."""
        return self.role >= ACTIONS[action] and (self.scopes is None or action in self.scopes)


class NotKnownError(Exception):
    """Nobody knows who asks: they have to log in, or to send a token."""


class NotAllowedError(Exception):
    """It is known who asks, and they may not."""


class Needs:
    """A dependency of a route: whoever asks must be allowed this action."""

    def __init__(self, action: str) -> None:
        self.action, self._least = action, ACTIONS[action]

    def __call__(self, request: Request) -> Visitor:
        """Give the visitor. Raises `NotKnownError`, or `NotAllowedError`."""
        visitor = find_visitor(request)
        if visitor is None:
            raise NotKnownError
        if not visitor.may(self.action):
            raise NotAllowedError(
                f"{visitor.name} may not {self.action}: it takes the role {self._least.name.lower()}"
            )
        return visitor


def find_visitor(request: Request) -> Visitor | None:
    """Find out who asks, once for each request; None when they do not say, or what they say is not so."""
    if not hasattr(request.state, "visitor"):
        request.state.visitor = _find(request)
    visitor: Visitor | None = request.state.visitor
    return visitor


def _find(request: Request) -> Visitor | None:
    house = house_of(request)
    token = request.headers.get("authorization", "")
    if token.lower().startswith("bearer "):
        return _find_by_token(house, token[7:].strip())
    return _find_by_proxy(house, request) or _find_by_session(house, request) or _find_local(house, request)


def _find_by_token(house: House, token: str) -> Visitor | None:
    found = access.find_token(house.reader, hash_token(token))
    if found is None:
        return None
    access.note_use(house.runtime.tracker, found)
    return Visitor(f"token {found.name}", Role.named(found.role), "token", found.scopes)


def _find_by_proxy(house: House, request: Request) -> Visitor | None:
    header, client = house.served.user_header, request.client
    if header is None or client is None or client.host not in house.served.proxies:
        return None
    account = access.find_account(house.reader, request.headers.get(header, ""))
    return Visitor(account.name, Role.named(account.role), "proxy") if account else None


def _find_by_session(house: House, request: Request) -> Visitor | None:
    try:
        said = json.loads(house.signer.unsign(request.cookies.get(COOKIE, ""), max_age=SESSION_SECONDS))
    except BadSignature:
        return None
    account = access.find_account(house.reader, said["name"])
    if account is None or account.changed_at != said["changed_at"]:
        return None  # removed, or given another password since
    return Visitor(account.name, Role.named(account.role), "session")


def _find_local(house: House, request: Request) -> Visitor | None:
    if request.client is None or not _is_loopback(request.client.host) or _came_by_proxy(request):
        return None
    return Visitor(getpass.getuser(), Role.ADMIN, "local") if access.is_open(house.reader) else None


def _came_by_proxy(request: Request) -> bool:
    """Tell whether somebody passed it on, whose address may well be this machine's, or it was asked for elsewhere."""
    return (
        not FORWARDED.isdisjoint(request.headers)
        or name_of(request.headers.get("host", "")) not in LOCAL_HOSTS
    )


def find_address(request: Request) -> str | None:
    """
    Find the address of whoever asks: behind proxies that are believed, the one that the first of them was asked from.

    None when such a proxy does not say: its own address is that of everybody behind it.
    """
    proxies = house_of(request).served.proxies
    told = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    way = [*(one.strip() for one in told), request.client.host if request.client else ""]
    return next((one for one in reversed(way) if one not in proxies), None) or None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def make_session(house: House, account: access.Account) -> str:
    """Make what the cookie of a session holds."""
    said = json.dumps({"name": account.name, "changed_at": account.changed_at})
    return house.signer.sign(said).decode()
