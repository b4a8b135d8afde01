"""The handler `feed_enclosure`: the sound or video of a feed's entry, as an artifact."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import Field

from handlers.base import Handler, HandlerParams
from handlers.body_names import name_body
from handlers.content_types import BINARY, SNIFFED_BYTES, find_content_type
from handlers.templates import AddressTemplate, Template, render
from net.part_file import open_part, sweep_parts
from net.resuming import download_rest
from net.shown import show_url
from pipeline.errors import SourceRejectedError
from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from net.part_file import Origin, PartFile
    from pipeline.outcomes import Outcome

MIB = 1024 * 1024
PART_DAYS = 7


class FeedEnclosure(Handler):
    """
    Download the enclosure of a feed's entry, such as a podcast's episode, however often the connection breaks.

    What came is kept in the folder `partial` of the data folder, and a later attempt asks only for the rest, by a
    byte range that holds only for the same file; a server without ranges, or with another file by now, is asked for all
    of it. What nobody goes on with for seven days is removed. A SHA-256 that the server names is checked.

    Input: the template `url`, else the item's `data["audio_url"]`, else the first of its `data["enclosures"]`, as
    `podcast_feeds` and `rss_feeds` give them. Result: `{"url" (as asked for), "content_type", "body" (the pointer to
    the artifact), "bytes", "sha256"}`. Endings: Skip for an item without an enclosure; GiveUp when the server refuses
    (404 and the like), for a file larger than `max_bytes`, of another type than `types`, or with another SHA-256 than
    `sha256`; RetryLater when the host is busy or asks to slow down (429, 503), and while another stage downloads the
    same. No connection, a time-out, a file that ends too soon or another 5xx raise SourceUnavailableError, for the
    stage's retries, which go on where it broke off.
    Idempotent: the same file gives the same result.
    Example: {handler: feed_enclosure, params: {max_bytes: 500000000}, timeout: 2h, retries: 8}

    Source: RFC 9110 14, for byte ranges.
    """

    TIMEOUT = "1h"

    class Params(HandlerParams):
        """The parameters of `feed_enclosure`."""

        url: AddressTemplate | None = Field(
            None, description="What to download, a template; else the item's enclosure."
        )
        max_bytes: int = Field(
            2048 * MIB, ge=1, le=64 * 1024 * MIB, description="A file larger than this is given up."
        )
        types: list[str] = Field(
            ["audio/", "video/"], min_length=1, description="How its media type must begin, one of these."
        )
        sha256: Template | None = Field(
            None, description="The SHA-256 that it must have, a template; empty for any."
        )
        robots: bool = Field(
            False, description="Heed the site's robots.txt; enclosures are made for programs."
        )

    params: Params

    async def run(self, context: HandlerContext) -> Outcome:
        """Download what is missing, check it, keep it."""
        url = self._find_url(context)
        expected = render(self.params.sha256 or "", context, self.params)
        for ending in (url, expected):
            if isinstance(ending, Skip | GiveUp):
                return ending
        folder = context.find_folder("partial")
        sweep_parts(folder, PART_DAYS * 86_400)
        with open_part(folder, str(url), self.params.max_bytes) as part:
            try:
                origin = await download_rest(
                    context.http,
                    str(url),
                    part,
                    total_seconds=context.seconds_left,
                    tell=_Teller(context),
                    robots=self.params.robots,
                )
            except SourceRejectedError as error:
                part.remove()
                return GiveUp(str(error))
            return self._keep(context, part, origin, str(expected).strip().lower())

    def _find_url(self, context: HandlerContext) -> str | Skip | GiveUp:
        if self.params.url is not None:
            return render(self.params.url, context, self.params)
        url = context.data.get("audio_url") or _find_enclosure(context).get("url")
        return url if isinstance(url, str) and url else Skip("the item has no enclosure")

    def _keep(self, context: HandlerContext, part: PartFile, origin: Origin, expected: str) -> Outcome:
        with part.path.open("rb") as file:
            start = file.read(SNIFFED_BYTES)
        kind = find_content_type(origin.content_type, start)
        if kind == BINARY:
            kind = find_content_type(self._find_declared_type(context), start)
        sha256, size = part.hash(), part.size
        fault = None
        if not kind.startswith(tuple(self.params.types)):
            fault = f"{show_url(origin.url)} is {kind}, none of: {', '.join(self.params.types)}"
        elif expected and sha256 != expected:
            fault = f"{show_url(origin.url)} has the SHA-256 {sha256}, not {expected:.100}"
        if fault:
            part.remove()
            return GiveUp(fault)
        pointer = context.artifact(name_body(origin.url, {}, kind), part.path, kind)
        part.remove()
        return {"url": origin.url, "content_type": kind, "body": pointer, "bytes": size, "sha256": sha256}

    def _find_declared_type(self, context: HandlerContext) -> str:
        if self.params.url is not None:
            return ""
        return str(context.data.get("audio_type") or _find_enclosure(context).get("type") or "")


def _find_enclosure(context: HandlerContext) -> dict[str, Any]:
    with suppress(LookupError, TypeError):
        first = context.data["enclosures"][0]
        return first if isinstance(first, dict) else {}
    return {}


class _Teller:
    """Tells the attempt's progress, once every mebibyte."""

    def __init__(self, context: HandlerContext) -> None:
        self._context, self._told = context, -MIB

    def __call__(self, done: int, total: int | None) -> None:
        if not 0 <= done - self._told < MIB:
            self._told = done
            self._context.progress(done, total, "bytes")
