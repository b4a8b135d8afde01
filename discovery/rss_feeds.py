"""Entries of RSS and Atom feeds."""

from __future__ import annotations

import asyncio
import io
from calendar import timegm
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import feedparser
from pydantic import Field

from discovery.base import BaseDiscovery, FoundItem, StrategyParams, canonical_url, hash_url
from discovery.gather import gather_bounded, keep_answers
from net.shown import show_url
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from net.client import Fetched

FEEDS_AT_ONCE = 4
MAX_SUMMARY_CHARACTERS = 20_000


class Feed(StrategyParams):
    """A feed, and what to call it."""

    url: str = Field(min_length=1, description="The address of the feed.")
    name: str | None = Field(None, description="What its entries are marked with; left out, its own title.")


class RssFeeds(BaseDiscovery):
    """
    Find the entries of RSS and Atom feeds.

    A feed that fails does not stop the others; when all fail, nothing could be had.

    Key: the entry's id; one that is no URI is unique in its feed only, so the feed's hash stands before it.
    An entry without an id has the hash of its canonical link. Order: feed by feed, each in its own order.
    Data: `{"url": str | None, "title": str, "published_at": str | None, "summary": str, "feed": str}`: the
    instant is ISO in UTC, the summary safe HTML of at most 20,000 characters. One request per feed.
    Example: {strategy: rss_feeds, feeds: ["https://example.org/f", {url: "https://example.net/f", name: N}]}

    Source: RSS 2.0, rssboard.org; Atom, RFC 4287.
    """

    class Params(StrategyParams):
        """Which feeds, and how much of each."""

        feeds: list[str | Feed] = Field(
            min_length=1, description="Addresses, or objects with `url` and `name`."
        )
        limit: int = Field(100, ge=1, le=10_000, description="At most this many entries of each feed.")

    obeys_robots = False
    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Fetch the feeds, four at a time. Raises `SourceUnavailableError` when all of them fail."""
        feeds = [Feed(url=feed) if isinstance(feed, str) else feed for feed in self.params.feeds]
        answers = await gather_bounded(self._read_feed, feeds, FEEDS_AT_ONCE)
        return [item for items in keep_answers(answers, "feed", self) for item in items]

    async def _read_feed(self, feed: Feed) -> list[FoundItem]:
        fetched = await self.fetch(feed.url, headers={"Accept": "application/rss+xml, */*;q=0.5"})
        parsed = await asyncio.to_thread(_parse, fetched)
        if not parsed.get("version") and not parsed.entries:
            why = parsed.get("bozo_exception", "it is empty")
            raise SourceRejectedError(f"{show_url(fetched.url)} is not a feed: {why}")
        name = feed.name or parsed.feed.get("title") or show_url(feed.url)
        return [_make_item(entry, feed.url, name) for entry in parsed.entries[: self.params.limit]]


def _parse(fetched: Fetched) -> Any:
    # As a stream: given bytes, feedparser would first try to open a file of that name.
    headers = {"content-type": fetched.headers.get("content-type", ""), "content-location": fetched.url}
    return feedparser.parse(io.BytesIO(fetched.body), response_headers=headers)


def _make_item(entry: Mapping[str, Any], feed_url: str, name: str) -> FoundItem:
    data = {
        "url": entry.get("link") or None,
        "title": entry.get("title", ""),
        "published_at": _tell_instant(entry),
        "summary": entry.get("summary", "")[:MAX_SUMMARY_CHARACTERS],
        "feed": name,
    }
    return FoundItem(_make_key(entry, feed_url), data)


def _make_key(entry: Mapping[str, Any], feed_url: str) -> str:
    if entry_id := entry.get("id", "").strip():
        return str(entry_id) if ":" in entry_id else f"{hash_url(canonical_url(feed_url))}:{entry_id}"
    return hash_url(canonical_url(entry["link"]), 20) if entry.get("link") else ""


def _tell_instant(entry: Mapping[str, Any]) -> str | None:
    # Looked up with `in`: asking feedparser for a missing `updated_parsed` warns and gives the other.
    name = "published_parsed" if entry.get("published_parsed") else "updated_parsed"
    if name not in entry or not entry[name]:
        return None
    try:
        return datetime.fromtimestamp(timegm(entry[name]), UTC).isoformat()
    except (ValueError, OverflowError, OSError):  # a year that is none
        return None
