"""YouTube's addresses, and the videos in its Atom feeds."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import Field

from discovery.atom import Atom, parse_atom
from discovery.base import BaseDiscovery, FoundItem, StrategyParams, extract_video_id, hash_url
from discovery.instants import tell_iso
from discovery.shapes import read_web_address
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from pipeline.errors import SourceUnavailableError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

FEEDS_AT_ONCE = 4

_NAMESPACES = {
    "yt": "http://www.youtube.com/xml/schemas/2015",
    "media": "http://search.yahoo.com/mrss/",
}
_CHANNEL_ID = re.compile(r"UC[\w-]{22}", re.ASCII)
_PLAYLIST_ID = re.compile(r"[A-Z]{2}[\w-]{10,62}", re.ASCII)
_CHANNEL_PAGE = re.compile(r"@[^\s/?#]{3,100}|(?:c|user)/[^\s/?#]{1,100}")


def watch_url(video_id: str) -> str:
    """Write the address of a video."""
    return f"https://www.youtube.com/watch?v={video_id}"


def read_channel(text: str) -> str:
    """
    Read the id of a channel, or failing that the path of its page; from an id, a handle or any of its addresses.

    Raises `ValueError` for what is none of them.

    >>> read_channel("https://www.youtube.com/@sample/videos"), read_channel("youtube.com/user/sample")
    ('@sample', 'user/sample')
    """
    path = text.strip()
    if parts := _split_youtube(path):
        path = parts.path.strip("/").removeprefix("channel/")
        path = parse_qs(parts.query).get("channel_id", [path])[0]
    if found := _CHANNEL_ID.match(path) or _CHANNEL_PAGE.match(path):
        return found[0]
    raise ValueError(f"{text!r} is no channel of YouTube; write its id (UC…), its @handle or its address")


def is_channel_id(channel: str) -> bool:
    """Tell the id of a channel from the path of its page."""
    return bool(_CHANNEL_ID.fullmatch(channel))


def find_channel_id(address: str) -> str | None:
    """Find the id in an address of a channel or of its feed; None when there is none."""
    found = re.search(r"(?:/channel/|[?&]channel_id=)(UC[\w-]{22})(?![\w-])", address, re.ASCII)
    return found[1] if found else None


def read_playlist(text: str) -> str:
    """
    Read the id of a playlist, from the id or any address that names it. Raises `ValueError` when there is none.

    >>> read_playlist("https://www.youtube.com/playlist?list=PLsample-0123456789")
    'PLsample-0123456789'
    """
    playlist_id = text.strip()
    if parts := _split_youtube(playlist_id):
        playlist_id = parse_qs(parts.query).get("list", parse_qs(parts.query).get("playlist_id", [""]))[0]
    if not _PLAYLIST_ID.fullmatch(playlist_id):
        raise ValueError(f"{text!r} is no playlist of YouTube; write its id (PL…) or its address")
    return playlist_id


def _split_youtube(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text if "//" in text else f"https://{text}")
    except ValueError:
        return None
    host = parts.hostname or ""
    return parts if host == "youtube.com" or host.endswith(".youtube.com") else None


class YoutubeFeedParams(StrategyParams):
    """How much of each feed, and where it is."""

    limit: int = Field(15, ge=1, le=15, description="At most this many videos of each; a feed holds fifteen.")
    base_url: WebAddress = Field("https://www.youtube.com", description="Where YouTube is.")


class YoutubeFeeds(BaseDiscovery):
    """
    Read the Atom feeds of YouTube, which hold the latest fifteen videos of a channel or a playlist.

    They are often answered with 404 or 500 for hours although nothing is wrong: both mean later.
    """

    obeys_robots = False
    params: YoutubeFeedParams

    async def read_feed(self, source: str, **which: str) -> list[FoundItem]:
        """
        Give the videos of the feed that `which` names: none when it is as it was.

        Raises `SourceUnavailableError` or `SourceRejectedError`.
        """
        url = f"{self.params.base_url.rstrip('/')}/feeds/videos.xml?{urlencode(which)}"
        fetched = await self.fetch_if_changed(
            url, source=source, statuses_ok={HTTPStatus.NOT_FOUND}, wanted=[self.params.limit]
        )
        if fetched is None:
            return []
        if fetched.status == HTTPStatus.NOT_FOUND:
            raise SourceUnavailableError(
                f"YouTube answered 404 for the feed of {source}: often it does so for hours; if it goes on, it is gone"
            )
        feed = await asyncio.to_thread(parse_atom, fetched, _NAMESPACES)
        if feed.broken:
            self.problems.append(f"the feed of {source} is read up to where it broke: {feed.broken}")
        return [self.make_item(entry, feed, source) for entry in feed.all("atom:entry")[: self.params.limit]]

    def make_item(self, entry: Atom, feed: Atom, source: str) -> FoundItem:
        """Make the item of a video; without a key when its entry names none."""
        del feed
        video_id = entry.text("yt:videoId") or entry.attribute("atom:link", "href")
        return make_video(extract_video_id(video_id) or "", entry, source)


def make_video(video_id: str, entry: Atom, source: str) -> FoundItem:
    """Make the item of a video from its entry in a feed."""
    title, description = entry.text("atom:title"), entry.lines("media:group/media:description")
    views = entry.attribute("media:group/media:community/media:statistics", "views")
    data = {
        "url": watch_url(video_id),
        "video_id": video_id,
        "title": title,
        "channel": entry.text("atom:author/atom:name"),
        "channel_id": entry.text("yt:channelId"),
        "published_at": tell_iso(entry.text("atom:published")),
        "description": description,
        "image_url": read_web_address(entry.attribute("media:group/media:thumbnail", "url")),
        "views": int(views) if re.fullmatch(r"[0-9]{1,15}", views) else None,
    }
    return FoundItem(video_id, data, version=hash_url(f"{title}\n{description}", 16), source=source)
