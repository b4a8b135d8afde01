"""Reading feeds in a process of their own."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from discovery.feed_entries import MAX_FEED_BYTES, Feed
from net.shown import show_url
from pipeline.confined import ChildEnd, ConfinedChild
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from net.client import Fetched

MAX_MEMORY_BYTES = 256 * 1024 * 1024

SMALL_BYTES = 1024 * 1024
"""A body that waits for its turn to be read is in memory up to here, and on the disk beyond."""

READ_SECONDS = 60.0
"""How long one feed may take to read; eight MiB of entries take up to thirty."""


@dataclass(frozen=True, slots=True)
class ReadFeed:
    """A feed, and what it says of its episodes, by `id` or address of the enclosure, when that was asked for."""

    feed: Feed
    episodes: dict[str, dict[str, Any]] = field(default_factory=dict)


class FeedBody:
    """The beginning of a feed's body, as much as is read of it, while it waits; use it in a `with`."""

    def __init__(self) -> None:
        self._file, self._room = tempfile.SpooledTemporaryFile[bytes](SMALL_BYTES), MAX_FEED_BYTES + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, piece: bytes) -> None:
        """Take the next piece; one byte more than is read tells that there was more."""
        self._room -= self._file.write(piece[: self._room])

    def read(self) -> bytes:
        """Give what there is."""
        self._file.seek(0)
        return self._file.read()


class FeedReader:
    """
    Reads the bytes of strangers in a child process, one body after another; use it in a `with`.

    A body that takes over `read_seconds` or too much memory, or over which the parser falls, costs that process
    its life, and is rejected; the next body gets a new one. No process is started before there is a body.
    """

    def __init__(self, read_seconds: float = READ_SECONDS) -> None:
        self._read_seconds = read_seconds
        self._turn = asyncio.Lock()
        self._child = ConfinedChild("discovery.feed_child", MAX_MEMORY_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.end()

    async def read(self, fetched: Fetched, body: FeedBody, *, limit: int, episodes: bool = False) -> ReadFeed:
        """Read at most `limit` entries of a feed. Raises `SourceRejectedError` for what is none."""
        question = {
            "url": fetched.url,
            "content_type": fetched.headers.get("content-type", ""),
            "limit": limit,
            "episodes": episodes,
        }
        async with self._turn:
            answer = await asyncio.to_thread(self._child.ask, question, body.read(), self._read_seconds)
        if isinstance(answer, ChildEnd):
            answer = {"problem": self._explain(answer)}
        if "feed" not in answer:
            raise SourceRejectedError(f"{show_url(fetched.url)} is not a feed: {answer['problem']}")
        return ReadFeed(Feed.from_dict(answer["feed"]), answer["episodes"])

    def _explain(self, end: ChildEnd) -> str:
        if end.late:
            return f"reading it took over {self._read_seconds:g} seconds"
        return "its reader fell over it, or needed too much memory"
