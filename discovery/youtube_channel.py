"""The latest videos of YouTube channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field
from selectolax.lexbor import LexborHTMLParser

from discovery.gather import gather_bounded, keep_answers
from discovery.youtube import (
    FEEDS_AT_ONCE,
    YoutubeFeedParams,
    YoutubeFeeds,
    find_channel_id,
    is_channel_id,
    read_channel,
)
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from discovery.base import FoundItem

_NAMES_THE_CHANNEL = 'link[rel="canonical"], link[type="application/rss+xml"], meta[property="og:url"]'


class YoutubeChannel(YoutubeFeeds):
    """
    Find the latest videos of YouTube channels, by their feeds.

    A feed holds the latest fifteen: look often enough. A handle is looked up on its channel's page once, and
    what it stands for is remembered. A channel that fails does not stop the others. A video has changed when
    its title or description did.

    Key: the video's id. Order: channel by channel, latest first.
    Data: `{"url": str, "video_id": str, "title": str, "channel": str, "channel_id": str,
    "published_at": str | None, "description": str, "image_url": str | None, "views": int | None}`: the instant
    is ISO in UTC. One request for each channel, and once one for each handle.
    Example: {strategy: youtube_channel, channels: ["@sample", "UC0123456789abcdefghijkl"]}

    Source: developers.google.com/youtube/v3/guides/push_notifications (the feed's form).
    """

    class Params(YoutubeFeedParams):
        """Which channels."""

        channels: list[Annotated[str, AfterValidator(read_channel)]] = Field(
            min_length=1, description="Channels, each by its id (`UC…`), its `@handle` or its address."
        )

    params: Params

    async def discover(self) -> list[FoundItem]:
        """Read the channels, four at a time. Raises `SourceUnavailableError` when all of them fail."""
        channels = list(dict.fromkeys(self.params.channels))
        async with self.looking():
            answers = await gather_bounded(self._read_channel, channels, FEEDS_AT_ONCE)
            for videos in keep_answers(answers, "channel", self, channels):
                await self.hand_over(videos)
        return self.kept

    async def _read_channel(self, channel: str) -> list[FoundItem]:
        return await self.read_feed(channel, channel_id=await self._identify(channel))

    async def _identify(self, channel: str) -> str:
        known = channel if is_channel_id(channel) else self.recall(channel).cursor
        if isinstance(known, str) and is_channel_id(known):
            return known
        found = await self._look_up(channel)
        await self.hand_over([], source=channel, cursor=found)
        return found

    async def _look_up(self, channel: str) -> str:
        fetched = await self.fetch(f"{self.params.base_url.rstrip('/')}/{channel}", source=channel)
        for node in LexborHTMLParser(fetched.text).css(_NAMES_THE_CHANNEL):
            address = node.attributes.get("href") or node.attributes.get("content") or ""
            if found := find_channel_id(address):
                return found
        raise SourceRejectedError(
            f"YouTube's page of {channel} names no channel; write the channel's id (UC…)"
        )
