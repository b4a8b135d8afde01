from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from net.client import PoliteClient


@pytest.fixture
def client():
    return PoliteClient(contact="ops@example.org", allow_hosts=["127.0.0.1", "localhost"], total_seconds=20)


@pytest.fixture
def raw_server():
    """Answer every request with these bytes, then hang up, or go on to the next request of the connection."""

    @asynccontextmanager
    async def serve(answer: bytes, *, hang_up: bool = True):
        connections = []

        async def talk(reader, writer):
            connections.append(asyncio.current_task())
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await reader.readuntil(b"\r\n\r\n"):
                    writer.write(answer)
                    await writer.drain()
                    if hang_up:
                        break
            with suppress(ConnectionError):
                writer.close()
                await writer.wait_closed()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", connections
        finally:
            server.close()
            await asyncio.gather(*connections)

    return serve
