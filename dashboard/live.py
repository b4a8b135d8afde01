"""
The stream of server-sent events by which an open page keeps up.

One poller asks SQLite whether anything was committed, reads the counters once when something was, and hands the
difference to every tab that listens; and it renders the parts of pages that are watched, each once for all tabs that
see the same. While nobody listens it does nothing.

Source: the HTML standard, section 9.2, Server-sent events.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from tracker.connection import open_readonly
from tracker.live import read_counts, read_data_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from dashboard.live_parts import Parts, Topic
    from tracker.connection import Connection

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 0.25
SAY_SOMETHING_EVERY_SECONDS = 15.0
"""A stream that says nothing is cut by proxies."""

RENDER_EVERY_SECONDS = 1.0
RENDER_ANYWAY_SECONDS = 10.0
"""Some of what is shown changes without a commit: rates, pauses that run out, jobs.yaml."""

RENDER_SHARE = 20
"""Rendering is left alone for so many times as long as it took: the workers may need the processor."""

UNREAD = 100
"""How many messages a tab may leave unread before it is let go; the browser comes back by itself."""

Queue = asyncio.Queue[str | None]


class _Watched:
    """A topic that tabs watch: its parts as they were sent last, and when they are to be rendered again."""

    def __init__(self) -> None:
        self.queues: set[Queue] = set()
        self.parts: Parts = {}
        self.is_stale = True
        self.rendered_at = self.due_at = 0.0

    def is_due(self, now: float) -> bool:
        """Tell whether to render it now."""
        return now >= self.due_at and (self.is_stale or now - self.rendered_at >= RENDER_ANYWAY_SECONDS)

    def note_rendered(self, began: float, ended: float) -> None:
        """Take note that it was rendered."""
        self.is_stale, self.rendered_at = False, ended
        self.due_at = began + max(RENDER_EVERY_SECONDS, RENDER_SHARE * (ended - began))

    def change(self, parts: Parts) -> Parts:
        """Take its parts as they are now, and give those that have changed."""
        changed = {name: html for name, html in parts.items() if self.parts.get(name) != html}
        self.parts = parts
        return changed


class Live:
    """Those who listen, and the poller that speaks to them."""

    def __init__(self, db_path: Path, render: Callable[[Topic], Parts]) -> None:
        self._db_path, self._render = db_path, render
        self._watched: dict[Topic, _Watched] = {}
        self._listeners: set[Queue] = set()
        self._poller: asyncio.Task[None] | None = None
        self._counts: dict[str, int] = {}
        self._is_closed = False

    async def listen(self, topic: Topic | None = None) -> AsyncIterator[str]:
        """
        Give what is to be sent: first every number, then those that change; so too the parts of a page, with a topic.

        Ends when the server does.
        """
        queue: Queue = asyncio.Queue(UNREAD)
        if self._is_closed:
            return
        if self._poller is None or self._poller.done():
            self._counts = {}
            self._poller = asyncio.create_task(self._poll())
        if self._counts:
            queue.put_nowait(_say(self._counts))
        self._listeners.add(queue)
        if topic is not None:
            self._watch(topic, queue)
        try:
            while (message := await self._next(queue)) is not None:
                yield message
        finally:
            self._listeners.discard(queue)
            if topic is not None:
                self._unwatch(topic, queue)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._is_closed = True
        for queue in self._listeners:
            self._end(queue)

    def _watch(self, topic: Topic, queue: Queue) -> None:
        watched = self._watched.setdefault(topic, _Watched())
        watched.queues.add(queue)
        if watched.parts:
            queue.put_nowait(_say_parts(watched.parts))

    def _unwatch(self, topic: Topic, queue: Queue) -> None:
        watched = self._watched[topic]
        watched.queues.discard(queue)
        if not watched.queues:
            del self._watched[topic]

    async def _next(self, queue: Queue) -> str | None:
        with suppress(TimeoutError):
            return await asyncio.wait_for(queue.get(), SAY_SOMETHING_EVERY_SECONDS)
        return ": still here\n\n"

    async def _poll(self) -> None:
        try:
            with open_readonly(self._db_path) as conn:
                await self._follow(conn)
        except Exception as error:  # noqa: BLE001 - whatever it is, no tab may go on to say that it is live
            log.warning("cannot follow the tracker; whoever listened comes back", error=repr(error))
            for queue in self._listeners:
                self._end(queue)

    async def _follow(self, conn: Connection) -> None:
        seen = None
        while self._listeners and not self._is_closed:
            version = read_data_version(conn)
            if version != seen:
                self._tell(read_counts(conn))
                for watched in self._watched.values():
                    watched.is_stale = True
                seen = version
            await self._bring_up_to_date()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _bring_up_to_date(self) -> None:
        for topic, watched in list(self._watched.items()):
            began = time.monotonic()
            if not watched.is_due(began):
                continue
            try:
                changed = watched.change(await asyncio.to_thread(self._render, topic))
            except Exception as error:  # noqa: BLE001 - the numbers go on, and it is tried again
                log.warning("cannot bring a page up to date", page=topic.page, error=repr(error))
                changed = {}
            watched.note_rendered(began, time.monotonic())
            if changed:
                self._send(watched.queues, _say_parts(changed))

    def _tell(self, counts: dict[str, int]) -> None:
        changed = {name: n for name, n in counts.items() if self._counts.get(name) != n}
        changed |= dict.fromkeys(self._counts.keys() - counts.keys(), 0)
        self._counts = counts
        if changed:
            self._send(self._listeners, _say(changed))

    def _send(self, queues: Iterable[Queue], message: str) -> None:
        for queue in list(queues):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self._end(queue)

    def _end(self, queue: Queue) -> None:
        with suppress(asyncio.QueueEmpty):
            while True:
                queue.get_nowait()
        queue.put_nowait(None)


def _say(counts: dict[str, int]) -> str:
    return f"event: counts\ndata: {json.dumps(counts, separators=(',', ':'))}\n\n"


def _say_parts(parts: Parts) -> str:
    return f"event: parts\ndata: {json.dumps(parts, separators=(',', ':'))}\n\n"
