"""How much a request may carry: who sends more is refused, and the rest is not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 16 * 1024 * 1024

MORE = "/api/remote/artifacts/"
"""Below this path a body is counted by its route, which keeps it in a file, piece by piece."""

TOO_MUCH = f"more than {MOST_BYTES // 1024 // 1024} MiB in one request: send it in parts"


class BodyBound:
    """Middleware that lets a request's body be read up to `MOST_BYTES`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes; whoever reads beyond the bound gets an `HTTPException`, which is answered as any other."""
        if scope["type"] != "http" or _counts_itself(scope):
            await self._app(scope, receive, send)
            return
        left = -1 if _declares_too_much(Headers(scope=scope)) else MOST_BYTES

        async def receive_bounded() -> Message:
            nonlocal left
            if left >= 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if left >= 0:
                    return message
            raise HTTPException(413, TOO_MUCH)

        await self._app(scope, receive_bounded, send)


def _counts_itself(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["method"] == "PUT" and path.removeprefix(scope.get("root_path", "")).startswith(MORE)


def _declares_too_much(headers: Headers) -> bool:
    declared = headers.get("content-length", "")
    return declared.isdecimal() and (len(declared) > len(str(MOST_BYTES)) or int(declared) > MOST_BYTES)
