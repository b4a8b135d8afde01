"""Entries of RSS, Atom and JSON feeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from discovery.base import FoundItem, StrategyParams, name_source
from discovery.feeds import Feed, FeedDiscovery, NamedFeed, make_key, version_of

if TYPE_CHECKING:
    from discovery.feed_entries import Entry


class RssFeeds(FeedDiscovery):
    """
    Find the entries of feeds: RSS 0.9x, 1.0 and 2.0, Atom 0.3 and 1.0, CDF, JSON Feed 1.0 and 1.1.

    All feeds are asked at once, each only for what has changed. A feed that is broken gives what can be read
    of it; one that fails does not stop the others; when all fail, nothing could be had. Of a feed over 8 MiB
    the beginning is read; one over 20 MiB, and JSON over 8, is left where it is.

    Key: the entry's id; one that is no URI is unique in its feed only, so the feed's hash stands before it.
    An entry without an id has the hash of its canonical link, or of its enclosure's. Order: feed by feed, each
    in its own order.
    Data: `{"url": str | None, "title": str, "published_at": str | None, "updated_at": str | None, "summary": str,
    "author": str, "tags": [str], "feed": str}`: instants are ISO in UTC, `published_at` the update's when the
    entry says no other; the summary is safe HTML of at most 20,000 characters. One request per feed.
    Example: {strategy: rss_feeds, feeds: ["https://example.org/f", {url: "https://example.net/f", name: N}]}

    Source: RSS 2.0, rssboard.org; Atom, RFC 4287; JSON Feed, jsonfeed.org.
    """

    class Params(StrategyParams):
        """Which feeds, and how much of each."""

        feeds: list[Feed] = Field(min_length=1, description="Addresses, or objects with `url` and `name`.")
        limit: int = Field(100, ge=1, le=10_000, description="At most this many entries of each feed.")

    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Read the feeds. Raises `SourceUnavailableError` when all of them fail."""
        answers = await self.read_feeds(self.params.feeds, self.params.limit)
        return [make_item(entry, feed) for feed, found in answers for entry in found.feed.entries]


def make_item(entry: Entry, feed: NamedFeed) -> FoundItem:
    """Make an item of an entry of a named feed."""
    data = {
        "url": entry.url,
        "title": entry.title,
        "published_at": entry.published_at,
        "updated_at": entry.updated_at,
        "summary": entry.summary,
        "author": entry.author,
        "tags": entry.tags,
        "feed": feed.name,
    }
    return FoundItem(make_key(entry, feed.url), data, version=version_of(entry), source=name_source(feed.url))
