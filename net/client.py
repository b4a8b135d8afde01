"""The polite HTTP client: says who it is, goes only where it may, takes only so much."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2

from net.body import ACCEPTED_ENCODINGS, Caps, read_body
from net.connections import GuardedConnections
from net.fetched import Fetched
from net.guard import Guard
from net.identity import identify
from net.refusals import explain_refusal
from net.request import Hop
from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

__all__ = ["Fetched", "PoliteClient"]

MIB = 1024 * 1024

_NO_ANSWER = (httpx2.HTTPError, httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError)

_shared: ContextVar[dict[int, GuardedConnections]] = ContextVar("shared_connections")
"""The connections kept open around the present task, by the id of their client."""


class PoliteClient:
    """
    Fetch from addresses that strangers chose, within bounds.

    `contact` is a mail address or URL by which the owner of a site reaches whoever runs this. `allow_hosts`
    are names, addresses and networks that may be reached although they are private. `max_bytes` counts what
    comes over the wire, `max_decoded_bytes` what it unpacks to, `total_seconds` everything from the first
    look-up to the last byte, redirects included. Safe to share between threads.

    Raises `OperatorError` for a contact or an allow-list that cannot be used.
    """

    def __init__(
        self,
        *,
        contact: str | None,
        allow_hosts: Sequence[str] = (),
        max_bytes: int = 20 * MIB,
        max_decoded_bytes: int = 50 * MIB,
        max_redirects: int = 5,
        total_seconds: float = 60.0,
    ) -> None:
        self._identity = {"User-Agent": identify(contact), "Accept-Encoding": ", ".join(ACCEPTED_ENCODINGS)}
        self._guard = Guard.allowing(allow_hosts)
        self._caps = Caps(max_bytes, max_decoded_bytes)
        self._max_redirects = max_redirects
        self._total_seconds = total_seconds

    async def fetch(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        json: Any = None,
        not_modified_ok: bool = False,
        robots: bool = False,
    ) -> Fetched:
        """
        Ask one address, following redirects.

        `json` is sent as the body. `headers` go to the origin of `url` alone, not to where it redirects. With
        `not_modified_ok` an answer of 304 is a `Fetched` like any other. With `robots` the site's robots.txt is
        obeyed.

        Raises `SourceUnavailableError` (no such host, no connection, too slow, 5xx, 408, 425, 429),
        `SourceRejectedError` (any other status, too large, too many redirects, not http or https) or
        `BlockedAddressError` (leads into a private network).
        """
        first = Hop.start(url, self._identity, headers or {}, method, json)
        try:
            async with asyncio.timeout(self._total_seconds), self._connections() as connections:
                return await self._follow(first, connections, not_modified_ok)
        except TimeoutError as error:
            raise SourceUnavailableError(f"{first} took over {self._total_seconds:g} seconds") from error

    def fetch_now(
        self, url: str, *, headers: Mapping[str, str] | None = None, not_modified_ok: bool = False
    ) -> Fetched:
        """Do as `fetch` does, from code that runs in no event loop."""
        return asyncio.run(self.fetch(url, headers=headers, not_modified_ok=not_modified_ok))

    @asynccontextmanager
    async def keep_connections(self) -> AsyncIterator[None]:
        """Keep connections open from one fetch to the next, for this task and those that it starts inside."""
        connections = GuardedConnections(self._guard)
        token = _shared.set({**_shared.get({}), id(self): connections})
        try:
            yield
        finally:
            _shared.reset(token)
            await connections.aclose()

    @asynccontextmanager
    async def _connections(self) -> AsyncIterator[GuardedConnections]:
        if kept := _shared.get({}).get(id(self)):
            yield kept
            return
        async with GuardedConnections(self._guard) as connections:
            yield connections

    async def _follow(self, hop: Hop, connections: GuardedConnections, not_modified_ok: bool) -> Fetched:
        for _ in range(self._max_redirects + 1):
            answer = await self._ask(hop, connections, not_modified_ok)
            if isinstance(answer, Fetched):
                return answer
            hop = answer
        raise SourceRejectedError(f"{hop} is where over {self._max_redirects} redirects led; stopped there")

    async def _ask(self, hop: Hop, connections: GuardedConnections, not_modified_ok: bool) -> Fetched | Hop:
        try:
            response = await connections.handle_async_request(hop.request())
            try:
                return await self._judge(hop, response, not_modified_ok)
            finally:
                await response.aclose()
        except SourceError:
            raise
        except (httpx2.DecodingError, httpcore2.LocalProtocolError) as error:
            raise SourceRejectedError(f"{hop} cannot be read: {error}") from error
        except _NO_ANSWER as error:
            raise SourceUnavailableError(f"{hop} did not answer: {_tell(error)}") from error

    async def _judge(self, hop: Hop, response: httpx2.Response, not_modified_ok: bool) -> Fetched | Hop:
        status = response.status_code
        if response.has_redirect_location:
            return hop.redirected(response)
        if not response.is_success and not (not_modified_ok and status == HTTPStatus.NOT_MODIFIED):
            raise explain_refusal(str(hop), status, response.headers)
        body = await read_body(response, str(hop), self._caps)
        return Fetched(str(hop.url), status, dict(response.headers), body, datetime.now(UTC))


def _tell(error: Exception) -> str:
    return str(error) or type(error).__name__
