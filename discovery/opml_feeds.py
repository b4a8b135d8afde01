"""Entries of the feeds that an OPML list names."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from discovery.base import FoundItem, StrategyParams
from discovery.feeds import FeedDiscovery, NamedFeed
from discovery.local_paths import check_local_path, find_local_file, tell_os_error
from discovery.outlines import MAX_FEEDS, MAX_OPML_BYTES, NoOutlinesError, Outline, OutlineReading
from discovery.rss_feeds import make_item
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from net.shown import show_url
from pipeline.errors import SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_WEB_ADDRESS = "outline whose feed is no web address"


class OpmlFeeds(FeedDiscovery):
    """
    Find the entries of the feeds that an OPML list names, a file or at an address.

    The list is read each time: what is added to it is found, and what is taken out is no longer asked. All else
    is as with `rss_feeds`.

    Key: as with `rss_feeds`. Order: feed by feed as the list names them, each in its own order.
    Data: `{"url": str | None, "title": str, "published_at": str | None, "updated_at": str | None, "summary": str,
    "author": str, "tags": [str], "feed": str, "categories": [str]}`: `feed` is what the list calls it, and the
    categories are the outlines around it and its own; all else is as with `rss_feeds`. One request for the list, one
    per feed.
    Example: {strategy: opml_feeds, path: feeds.opml, include: [News*], exclude: [Sport]}

    Source: OPML 2.0, opml.org/spec2.opml.
    """

    class Params(StrategyParams):
        """Where the list is, `path` or `url`, and which of its feeds are wanted."""

        path: Annotated[Path, AfterValidator(check_local_path)] | None = Field(
            None,
            description="The file; a relative one is inside the folder where Celeriac runs. `~` is the home folder.",
        )
        url: WebAddress | None = Field(None, min_length=1, description="The address of the list.")
        include: list[str] = Field(
            [],
            description="Patterns of the titles or categories of the feeds to read; all, when left out.",
        )
        exclude: list[str] = Field([], description="Patterns of titles or categories to leave out.")
        limit: int = Field(100, ge=1, le=10_000, description="At most this many entries of each feed.")

        @model_validator(mode="after")
        def _check_one_place(self) -> Self:
            if (self.path is None) == (self.url is None):
                raise ValueError("give either `path` or `url`")
            return self

    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Read the list, then its feeds. Raises `SourceUnavailableError` when all of the feeds fail."""
        outlines: dict[str, Outline] = {}
        for outline in await self._list_feeds():
            outlines.setdefault(outline.url, outline)
        feeds = [NamedFeed(url=url, name=outline.title or None) for url, outline in outlines.items()]
        return [
            _add_categories(make_item(entry, feed), outlines[feed.url])
            for feed, found in await self.read_feeds(feeds, self.params.limit)
            for entry in found.feed.entries
        ]

    async def _list_feeds(self) -> list[Outline]:
        try:
            reading = await self._read_list()
            found = list(islice(self._choose(reading.outlines()), MAX_FEEDS + 1))
        except NoOutlinesError as error:
            raise SourceRejectedError(f"{self._shown} is not OPML: {error}") from error
        if reading.problem is not None:
            self.problems.append(f"{self._shown}: {reading.problem}; read as far as that")
        if len(found) > MAX_FEEDS:
            self.problems.append(f"{self._shown} names over {MAX_FEEDS:,} feeds; the others were left out")
        return found[:MAX_FEEDS]

    def _choose(self, outlines: Iterator[Outline]) -> Iterator[Outline]:
        for outline in outlines:
            if not self._wants(outline):
                continue
            if outline.url.lower().startswith(("http://", "https://")):
                yield outline
            else:
                self.refused[NO_WEB_ADDRESS] += 1

    def _wants(self, outline: Outline) -> bool:
        included = not self.params.include or outline.matches(self.params.include)
        return included and not outline.matches(self.params.exclude)

    async def _read_list(self) -> OutlineReading:
        if self.params.url is None:
            return OutlineReading(await asyncio.to_thread(self._read_file))
        fetched = await self.fetch(self.params.url, headers={"Accept": "text/x-opml, */*;q=0.5"})
        return OutlineReading(fetched.body, fetched.headers.get("content-type", ""), fetched.url)

    def _read_file(self) -> bytes:
        path = find_local_file(str(self.params.path))
        try:
            with path.open("rb") as file:
                return file.read(MAX_OPML_BYTES + 1)
        except OSError as error:
            raise SourceUnavailableError(f"cannot read the list {path}: {tell_os_error(error)}") from error

    @property
    def _shown(self) -> str:
        return show_url(self.params.url) if self.params.url else str(self.params.path)


def _add_categories(item: FoundItem, outline: Outline) -> FoundItem:
    item.data["categories"] = list(outline.categories)
    return item
