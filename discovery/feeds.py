"""What the strategies that read feeds have in common."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from discovery.base import BaseDiscovery, StrategyParams, canonical_url, hash_url, name_source
from discovery.feed_reading import FeedBody, FeedReader, ReadFeed
from discovery.gather import gather_bounded, keep_answers
from discovery.items import MAX_KEY_BYTES
from discovery.web_addresses import check_named
from net.shown import show_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from discovery.feed_entries import Entry

FEEDS_AT_ONCE = 50
"""How many feeds are asked at once; how many of one host, and how often, is for the client to say."""

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//.+|\S+)")
"""No date or title with a colon in it; blanks are taken in an address alone, where many write them. RFC 3986 3.1."""

ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"


class NamedFeed(StrategyParams):
    """A feed, and what to call it."""

    url: str = Field(min_length=1, description="The address of the feed.")
    name: str | None = Field(None, description="What its entries are marked with; left out, its own title.")


Feed = Annotated[str | NamedFeed, AfterValidator(check_named)]
"""A feed as jobs.yaml names it: its address, or more of it."""


class FeedDiscovery(BaseDiscovery):
    """Reads many feeds at once, each only if it has changed."""

    obeys_robots = False
    wants_episodes = False
    """Whether to read what podcasts say of their episodes."""

    async def read_feeds(
        self, feeds: Sequence[str | NamedFeed], limit: int
    ) -> list[tuple[NamedFeed, ReadFeed]]:
        """
        Read at most `limit` entries of each feed that has changed, in their order, each named; one twice is asked once.

        Raises `SourceUnavailableError` when all of them fail.
        """
        wanted = list(_first_of_each(feeds))
        with FeedReader() as reader:

            async def read(feed: NamedFeed) -> tuple[NamedFeed, ReadFeed] | None:
                return await self._read_feed(feed, reader, limit)

            answers = await gather_bounded(read, wanted, FEEDS_AT_ONCE)
        names = [name_source(feed.url) for feed in wanted]
        return [answer for answer in keep_answers(answers, "feed", self, names) if answer is not None]

    async def _read_feed(
        self, feed: NamedFeed, reader: FeedReader, limit: int
    ) -> tuple[NamedFeed, ReadFeed] | None:
        with FeedBody() as body:
            fetched = await self.fetch_if_changed(
                feed.url, headers={"Accept": ACCEPT}, wanted=[limit], file=body
            )
            if fetched is None:
                return None
            found = await reader.read(fetched, body, limit=limit, episodes=self.wants_episodes)
        if found.feed.cut_at_bytes is not None:
            self.problems.append(f"{show_url(feed.url)} was read up to byte {found.feed.cut_at_bytes:,} only")
        return NamedFeed(url=feed.url, name=feed.name or found.feed.title or show_url(feed.url)), found


def make_key(entry: Entry, feed_url: str) -> str:
    """
    Name an entry for ever: its id, else its link, else its first enclosure; empty without any.

    An id that is no URI is unique in its feed only, so the feed's hash stands before it. One that is too long for
    a key, a link or an enclosure is hashed.
    """
    if entry.id:
        key = entry.id if _URI.fullmatch(entry.id) else f"{hash_url(canonical_url(feed_url))}:{entry.id}"
        return key if len(key.encode()) <= MAX_KEY_BYTES else hash_url(key, 64)
    link = entry.link or next((each["url"] for each in entry.enclosures), "")
    return hash_url(canonical_url(link), 20) if link else ""


def version_of(entry: Entry) -> str:
    """Give what is another when the entry has changed: when that was, else what it says."""
    return entry.updated_at or entry.digest


def _first_of_each(feeds: Sequence[str | NamedFeed]) -> Iterable[NamedFeed]:
    named: dict[str, NamedFeed] = {}
    for feed in map(_name_feed, feeds):
        named.setdefault(feed.url, feed)
    return named.values()


def _name_feed(feed: str | NamedFeed) -> NamedFeed:
    return NamedFeed(url=feed) if isinstance(feed, str) else feed
