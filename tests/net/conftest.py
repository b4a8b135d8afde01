from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
import time_machine

from net.client import PoliteClient


@pytest.fixture
def client():
    return PoliteClient(contact="ops@example.org", allow_hosts=["127.0.0.1", "localhost"], total_seconds=20)


@pytest.fixture
def noon():
    """Stop the clock by which waits are told, but not the one by which answers are waited for."""
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        yield


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
