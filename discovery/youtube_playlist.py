"""The latest videos of YouTube playlists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from discovery.gather import gather_bounded, keep_answers
from discovery.youtube import FEEDS_AT_ONCE, YoutubeFeedParams, YoutubeFeeds, read_playlist

if TYPE_CHECKING:
    from discovery.atom import Atom
    from discovery.base import FoundItem


class YoutubePlaylist(YoutubeFeeds):
    """
    Find the videos in YouTube playlists, by their feeds.

    A feed holds fifteen videos of its playlist: look often enough. A playlist that fails does not stop the
    others. A video has changed when its title or description did.

    Key: the video's id. Order: playlist by playlist, in the feed's order.
    Data: `{"url": str, "video_id": str, "title": str, "channel": str, "channel_id": str,
    "published_at": str | None, "description": str, "image_url": str | None, "views": int | None,
    "playlist": str, "playlist_id": str}`: the instant is ISO in UTC, of the video, not of its coming into the
    list. A video in two of the lists has the first of them. One request for each playlist.
    Example: {strategy: youtube_playlist, playlists: ["PLsample-0123456789"]}

    Source: developers.google.com/youtube/v3/guides/push_notifications (the feed's form).
    """

    class Params(YoutubeFeedParams):
        """Which playlists."""

        playlists: list[Annotated[str, AfterValidator(read_playlist)]] = Field(
            min_length=1, description="Playlists, each by its id (`PL…`) or any address with `list=`."
        )

    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Read the playlists, four at a time. Raises `SourceUnavailableError` when all of them fail."""
        playlists = list(dict.fromkeys(self.params.playlists))
        answers = await gather_bounded(self._read_playlist, playlists, FEEDS_AT_ONCE)
        return [video for videos in keep_answers(answers, "playlist", self, playlists) for video in videos]

    async def _read_playlist(self, playlist_id: str) -> list[FoundItem]:
        return await self.read_feed(playlist_id, playlist_id=playlist_id)

    def make_item(self, entry: Atom, feed: Atom, source: str) -> FoundItem:
        """Make the item of a video, with its playlist."""
        item = super().make_item(entry, feed, source)
        item.data.update(playlist=feed.text("atom:title"), playlist_id=source)
        return item
