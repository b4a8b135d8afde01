"""Episodes of podcasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from discovery.base import FoundItem, StrategyParams, name_source
from discovery.feeds import Feed, FeedDiscovery, NamedFeed, make_key, version_of

if TYPE_CHECKING:
    from discovery.feed_entries import Entry
    from discovery.feed_reading import ReadFeed

NO_ENCLOSURE = "entry without an enclosure"


class PodcastFeeds(FeedDiscovery):
    """
    Find the episodes of podcasts.

    Entries without an enclosure are left out and counted. All else is as with `rss_feeds`.

    Key: the episode's guid; one that is no URI is unique in its podcast only, so the feed's hash stands before it.
    An episode without a guid has the hash of its canonical link, or of its enclosure's. Order: podcast by podcast,
    each in its own order.
    Data: `{"url": str | None, "title": str, "published_at": str | None, "summary": str, "podcast": str,
    "audio_url": str, "audio_type": str, "audio_bytes": int | None, "enclosures": [dict],
    "duration_seconds": int | None, "season": int | None, "episode": int | None, "episode_type": str | None,
    "explicit": bool | None, "image_url": str | None, "transcripts": [dict]}`: the audio, or video, is the first of
    the enclosures, which have `url`, `type`, `length` and `duration_seconds`; transcripts have `url`, `type` and
    `language`; the instant is ISO in UTC, the summary safe HTML. One request per podcast.
    Example: {strategy: podcast_feeds, feeds: ["https://example.org/podcast.xml"], limit: 20}

    Source: Apple's podcast RSS, podcasters.apple.com/support/823; podcastindex.org/namespace/1.0.
    """

    class Params(StrategyParams):
        """Which podcasts, and how much of each."""

        feeds: list[Feed] = Field(
            min_length=1, description="Addresses of the podcasts' feeds, or objects with `url` and `name`."
        )
        limit: int = Field(100, ge=1, le=10_000, description="At most this many entries of each feed.")

    wants_episodes = True
    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Read the podcasts. Raises `SourceUnavailableError` when all of them fail."""
        answers = await self.read_feeds(self.params.feeds, self.params.limit)
        return [item for feed, found in answers for item in self._make_items(feed, found)]

    def _make_items(self, feed: NamedFeed, found: ReadFeed) -> list[FoundItem]:
        episodes = [entry for entry in found.feed.entries if entry.enclosures]
        if left_out := len(found.feed.entries) - len(episodes):
            self.refused[NO_ENCLOSURE] += left_out
        return [_make_item(entry, feed, found) for entry in episodes]


def _make_item(entry: Entry, feed: NamedFeed, found: ReadFeed) -> FoundItem:
    first = entry.enclosures[0]
    data = {
        "url": entry.url,
        "title": entry.title,
        "published_at": entry.published_at,
        "summary": entry.summary,
        "podcast": feed.name,
        "audio_url": first["url"],
        "audio_type": first["type"],
        "audio_bytes": first["length"],
        "enclosures": entry.enclosures,
        **_find_episode(entry, found),
    }
    return FoundItem(make_key(entry, feed.url), data, version=version_of(entry), source=name_source(feed.url))


def _find_episode(entry: Entry, found: ReadFeed) -> dict[str, Any]:
    for identity in (entry.id, entry.enclosures[0]["url"]):
        if identity in found.episodes:
            return found.episodes[identity]
    return {
        "duration_seconds": entry.enclosures[0]["duration_seconds"],
        "season": None,
        "episode": None,
        "episode_type": None,
        "explicit": None,
        "image_url": None,
        "transcripts": [],
    }
