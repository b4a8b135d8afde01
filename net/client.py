"""The polite HTTP client: says who it is, waits its turn, goes only where it may, takes only so much."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2

from net.body import ACCEPTED_ENCODINGS, Caps, begin_anywhere, read_body, read_start, save_body
from net.connections import GuardedConnections
from net.errand import Allowance, Errand
from net.fetched import Fetched
from net.guard import Guard
from net.host_rates import find_host_rate
from net.identity import identify
from net.refusals import explain_refusal
from net.request import Hop
from net.robots import MAX_ROBOTS_BYTES, ROBOTS_SECONDS, Robots
from net.turns import Turns
from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence
    from pathlib import Path

    from net.body import Begin, Sink
    from net.host_rates import FindRate
    from net.manners import Manners, Turn

__all__ = ["Fetched", "PoliteClient"]

MIB = 1024 * 1024

_NO_ANSWER = (httpx2.HTTPError, httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError)

_UNCHANGED = frozenset({HTTPStatus.NOT_MODIFIED})

_shared: ContextVar[dict[int, GuardedConnections]] = ContextVar("shared_connections")
"""The connections kept open around the present task, by the id of their client."""


class PoliteClient:
    """
    Fetch from addresses that strangers chose, within bounds, and from each host in turn.

    `contact` is a mail address or URL by which the owner of a site reaches whoever runs this; without one, only
    `allow_hosts` are asked: names, addresses and networks that may be reached although they are private.
    `max_bytes` counts what comes over the wire, `max_decoded_bytes` what it unpacks to, `total_seconds`
    everything from the first look-up to the last byte, redirects included, but not the wait for a turn.

    `manners` know whose turn it is at each host and what its robots.txt says, `find_rate` how often a host may
    be asked, and `patience_seconds` how long to wait for a turn. Without manners there is no limit, and no
    robots.txt is asked for. Safe to share between threads, if the manners are.

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
        manners: Manners | None = None,
        find_rate: FindRate = find_host_rate,
        patience_seconds: float = 10.0,
    ) -> None:
        self._identity = {"User-Agent": identify(contact), "Accept-Encoding": ", ".join(ACCEPTED_ENCODINGS)}
        self._guard = Guard.allowing(allow_hosts, has_contact=bool(contact))
        self._caps = Caps(max_bytes, max_decoded_bytes)
        self._max_redirects = max_redirects
        self._total_seconds = total_seconds
        self._turns = Turns(manners, find_rate, patience_seconds) if manners is not None else None
        self._robots = Robots(manners) if manners is not None else None

    async def fetch(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        json: Any = None,
        content: bytes | Path | None = None,
        redirects: bool = True,
        shown: str | None = None,
        not_modified_ok: bool = False,
        statuses_ok: Collection[int] = (),
        robots: bool = False,
        max_bytes: int | None = None,
        total_seconds: float | None = None,
        silent_seconds: float | None = None,
        paced: bool = True,
    ) -> Fetched:
        """
        Ask one address, following redirects, unless `redirects` is off: then each is an answer like any other.

        `json`, or `content` as it is, is sent as the body, of a path the file there, piece by piece. `shown`
        stands in messages for an address that is a secret. `headers` go to the origin of `url` alone, not to
        where it redirects. With `not_modified_ok` an answer of 304 is a `Fetched` like any other, and so are
        those of `statuses_ok`, whose bodies say why. With `robots` the site's robots.txt is heeded. `max_bytes`
        bounds this body, as sent and as unpacked, in place of the client's own caps. `total_seconds` is for an
        answer that takes long to begin, or for a file that takes long to send: then `silent_seconds` is for how
        long nothing may move. With `paced` off, for an API whose caller has a rate of its own, a host
        without a known rate is asked as often as one likes, until it says to slow down.

        Raises `SourceUnavailableError` (no such host, no connection, too slow, 5xx, 408, 425, 429),
        `SourceRejectedError` (any other status, too large, too many redirects, not http or https, against its
        robots.txt), `BlockedAddressError` (leads into a private network) or `HostBusyError` (not our turn for
        longer than our patience, or paused); `NoContactError` where a contact is needed.
        """
        take = partial(read_body, caps=self._choose_caps(max_bytes))
        welcome = frozenset(statuses_ok) | (_UNCHANGED if not_modified_ok else frozenset())
        allowance = Allowance.of(total_seconds or self._total_seconds)
        silence = _bound_silence(total_seconds, silent_seconds)
        errand = Errand(take, allowance, welcome, robots, redirects, paced, silence)
        first = Hop.start(url, self._identity, headers or {}, method, json, content, shown)
        return await self._run(first, errand)

    async def download(
        self,
        url: str,
        file: Sink,
        *,
        headers: Mapping[str, str] | None = None,
        not_modified_ok: bool = False,
        statuses_ok: Collection[int] = (),
        begin: Begin = begin_anywhere,
        robots: bool = False,
        max_bytes: int | None = None,
        total_seconds: float | None = None,
    ) -> Fetched:
        """
        Write the body at an address to a file, piece by piece; the `Fetched` has none of it.

        `begin` is told the status and the headers before the first piece, to make the file ready for what comes.
        After an error the file may hold a part. Raises as `fetch` does, and what `begin` and the file raise.
        """
        take = partial(save_body, caps=self._choose_caps(max_bytes), file=file, begin=begin)
        allowance = Allowance.of(total_seconds or self._total_seconds)
        welcome = frozenset(statuses_ok) | (_UNCHANGED if not_modified_ok else frozenset())
        errand = Errand(take, allowance, welcome, robots)
        return await self._run(Hop.start(url, self._identity, headers or {}), errand)

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

    def _choose_caps(self, max_bytes: int | None) -> Caps:
        return self._caps if max_bytes is None else Caps(max_bytes, max_bytes)

    async def _run(self, first: Hop, errand: Errand) -> Fetched:
        async with self._connections() as connections:
            return await self._follow(first, errand, connections)

    async def _follow(self, hop: Hop, errand: Errand, connections: GuardedConnections) -> Fetched:
        try:
            for _ in range(self._max_redirects + 1):
                turn = await self._take_turn(hop, errand, connections)
                answer = await self._ask_in_time(hop, errand, connections, turn)
                if isinstance(answer, Fetched):
                    return answer
                hop = answer
            raise SourceRejectedError(
                f"{hop} is where over {self._max_redirects} redirects led; stopped there"
            )
        except SourceError as error:
            error.host = error.host or hop.url.host
            raise

    async def _ask_in_time(
        self, hop: Hop, errand: Errand, connections: GuardedConnections, turn: Turn | None
    ) -> Fetched | Hop:
        try:
            async with errand.allowance.spend(hop):
                return await self._ask(hop, errand, connections, turn)
        except SourceUnavailableError as error:
            if self._turns is not None and turn is not None:
                self._turns.note_no_answer(hop.url.host, turn, error)
            raise

    async def _take_turn(self, hop: Hop, errand: Errand, connections: GuardedConnections) -> Turn | None:
        if self._turns is None:
            return None
        await connections.get_ready()  # what is late after its turn meets the next one's at the host
        interval_seconds = 0.0
        if errand.robots and self._robots is not None:
            fetch = partial(self._fetch_robots, connections)
            interval_seconds = await self._robots.check(hop, fetch, connections.robots_locks[hop.origin])
        return await self._turns.wait(hop.url.host, interval_seconds, paced=errand.paced)

    async def _fetch_robots(self, connections: GuardedConnections, url: str) -> Fetched:
        errand = Errand(partial(read_start, max_bytes=MAX_ROBOTS_BYTES), Allowance.of(ROBOTS_SECONDS))
        return await self._follow(Hop.start(url, self._identity, {}), errand, connections)

    async def _ask(
        self, hop: Hop, errand: Errand, connections: GuardedConnections, turn: Turn | None
    ) -> Fetched | Hop:
        try:
            response = await connections.handle_async_request(hop.request(errand.silence))
            try:
                return await self._judge(hop, errand, response, turn)
            finally:
                await response.aclose()
        except SourceError:
            raise
        except httpcore2.LocalProtocolError as error:
            raise SourceRejectedError(f"{hop} cannot be read: {error}") from error
        except _NO_ANSWER as error:
            raise SourceUnavailableError(f"{hop} did not answer: {_tell(error)}") from error

    async def _judge(
        self, hop: Hop, errand: Errand, response: httpx2.Response, turn: Turn | None
    ) -> Fetched | Hop:
        status = response.status_code
        throttle = self._turns.note(turn, response) if self._turns is not None and turn is not None else None
        if response.has_redirect_location and errand.redirects:
            return hop.redirected(response)
        if not response.is_success and status not in errand.statuses_ok:
            raise explain_refusal(str(hop), status, response.headers, throttle)
        body = await errand.take(response, str(hop))
        return Fetched(
            str(hop.url), status, dict(response.headers), body, datetime.now(UTC), hop.is_redirected
        )


def _bound_silence(total_seconds: float | None, silent_seconds: float | None) -> dict[str, float]:
    if silent_seconds is not None:
        return {"read": silent_seconds, "write": silent_seconds}
    return {} if total_seconds is None else {"read": total_seconds}


def _tell(error: Exception) -> str:
    return str(error) or type(error).__name__
