"""Keeps foreign pages out: only known hosts are answered, no other site's page may act, and no page loads from afar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from dashboard.house import Served

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Middleware before every route."""

    def __init__(self, app: ASGIApp, served: Served) -> None:
        self._app, self._served = app, served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what comes from elsewhere; send the headers with everything else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        prefix = self._served.prefix
        if prefix and scope["path"].startswith(f"{prefix}/"):
            scope["root_path"] = prefix  # a proxy that does not strip it
        refusal = self._find_refusal(scope["method"], Headers(scope=scope))
        app = self._say(scope["path"], *refusal) if refusal else self._app

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await app(scope, receive, send_guarded)

    def _say(self, path: str, status: int, problem: str) -> ASGIApp:
        if path.removeprefix(self._served.prefix).startswith("/api/"):
            return JSONResponse({"error": problem}, status)
        return PlainTextResponse(problem, status)

    def _find_refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if name_of(host) not in self._served.hosts:
            return 400, f"this dashboard does not answer to the host {host!r}; see --host-name"
        if method in SAFE or headers.get("authorization", "").lower().startswith("bearer "):
            return None  # a browser sends no token by itself
        site = headers.get("sec-fetch-site")
        if site is not None:
            return None if site == "same-origin" else (403, "another site's page may not act here")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] == host:
            return None
        return 403, "it does not say from which page it comes; a program sends a token: celeriac access token"


def name_of(host: str) -> str:
    """
    Name the host of a Host header, without its port.

    >>> name_of("localhost:8765"), name_of("[::1]:80"), name_of("example.org")
    ('localhost', '[::1]', 'example.org')
    """
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
