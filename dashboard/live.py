"""
The stream of server-sent events by which the numbers on a page move.

One poller asks SQLite whether anything was committed, reads the counters once when something was, and hands the
difference to every tab that listens. While nobody listens it does nothing.

Source: the HTML standard, section 9.2, Server-sent events.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from tracker.connection import open_readonly
from tracker.live import read_counts, read_data_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LOOK_EVERY_SECONDS = 0.25
SAY_SOMETHING_EVERY_SECONDS = 15.0
"""A stream that says nothing is cut by proxies."""

UNREAD = 100
"""How many messages a tab may leave unread before it is let go; the browser comes back by itself."""

Queue = asyncio.Queue[str | None]


class Live:
    """Those who listen, and the poller that speaks to them."""

    def __init__(self, db_path: Path) -> None:
        self._db_path = db_path
        self._listeners: set[Queue] = set()
        self._poller: asyncio.Task[None] | None = None
        self._counts: dict[str, int] = {}
        self._is_closed = False

    async def listen(self) -> AsyncIterator[str]:
        """Give what is to be sent: first every number, then those that change. Ends when the server does."""
        queue: Queue = asyncio.Queue(UNREAD)
        if self._is_closed:
            return
        if self._poller is None or self._poller.done():
            self._counts = {}
            self._poller = asyncio.create_task(self._poll())
        if self._counts:
            queue.put_nowait(_say(self._counts))
        self._listeners.add(queue)
        try:
            while (message := await self._next(queue)) is not None:
                yield message
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._is_closed = True
        for queue in self._listeners:
            self._end(queue)

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def _next(self, queue: Queue) -> str | None:
        with suppress(TimeoutError):
            return await asyncio.wait_for(queue.get(), SAY_SOMETHING_EVERY_SECONDS)
        return ": still here\n\n"

    async def _poll(self) -> None:
        with ExitStack() as stack:
            conn = stack.enter_context(open_readonly(self._db_path))
            seen = None
            while self._listeners and not self._is_closed:
                version = read_data_version(conn)
                if version != seen:
                    self._tell(read_counts(conn))
                    seen = version
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    def _tell(self, counts: dict[str, int]) -> None:
        changed = {name: n for name, n in counts.items() if self._counts.get(name) != n}
        changed |= dict.fromkeys(self._counts.keys() - counts.keys(), 0)
        self._counts = counts
        if not changed:
            return
        for queue in list(self._listeners):
            try:
                queue.put_nowait(_say(changed))
            except asyncio.QueueFull:
                self._end(queue)

    def _end(self, queue: Queue) -> None:
        with suppress(asyncio.QueueEmpty):
            while True:
                queue.get_nowait()
        queue.put_nowait(None)


def _say(counts: dict[str, int]) -> str:
    return f"event: counts\ndata: {json.dumps(counts, separators=(',', ':'))}\n\n"
