"""The connections of the HTTP client: each goes to an address that the guard has checked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterable, AsyncIterator, Iterable

    from net.guard import Guard

CONNECT_TIMEOUT_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 30.0
MAX_CONNECTIONS = 64


@cache
def _certificates() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """
    Open connections to checked addresses only.

    The name is resolved here and the address handed on, so that nobody can answer the check with one address
    and the connection with another. TLS still verifies the name.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the library's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers, all of them checked."""
        failure: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in await self._guard.resolve(host, port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait, as the library's retries ask."""
        await self._network.sleep(seconds)


class GuardedConnections(httpx2.AsyncBaseTransport):
    """
    A pool of guarded connections, for one event loop. It raises httpcore2's errors, which are not httpx2's.

    No proxy, and nothing else from the environment but `SSL_CERT_FILE` and `SSL_CERT_DIR`: these add
    certificates and lead no request elsewhere. `robots_locks`, by origin, let one ask for its robots.txt.
    """

    def __init__(self, guard: Guard) -> None:
        self.robots_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._network = GuardedNetwork(guard)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_certificates(), max_connections=MAX_CONNECTIONS, network_backend=self._network
        )

    async def get_ready(self) -> None:
        """Have the library load now what it loads when it is first used; it does so once for each process."""
        await self._network.sleep(0)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request and give the response with its body unread; close it."""
        url = httpcore2.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        usual = {"connect": CONNECT_TIMEOUT_SECONDS, "read": READ_TIMEOUT_SECONDS}
        timeouts = usual | request.extensions.get("timeout", {})
        answer = await self._pool.handle_async_request(
            httpcore2.Request(
                request.method,
                url,
                headers=request.headers.raw,
                content=_body_of(request),
                extensions={"timeout": timeouts},
            )
        )
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer), request=request)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


def _body_of(request: httpx2.Request) -> bytes | AsyncIterable[bytes] | None:
    stream = request.stream
    if isinstance(stream, httpx2.ByteStream):
        return request.content or None
    assert isinstance(stream, httpx2.AsyncByteStream)  # noqa: S101  tells the type checker
    return stream


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()
