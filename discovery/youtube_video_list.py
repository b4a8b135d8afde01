"""YouTube videos that somebody wrote down."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pydantic import Field

from discovery.base import BaseDiscovery, FoundItem, StrategyParams, extract_video_id
from discovery.gather import gather_bounded, keep_answers
from discovery.shapes import read_object, read_text, read_web_address
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from discovery.youtube import watch_url
from pipeline.errors import SourceRejectedError, SourceUnavailableError
from pipeline.fields import FilePath  # noqa: TC001 - the model is built with it

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_UPS_AT_ONCE = 4
MAX_PROBLEMS = 10

_COMMENT = re.compile(r"(^|\s)#.*")


class YoutubeVideoList(BaseDiscovery):
    """
    Give the YouTube videos of a written list, in jobs.yaml or in a text file.

    Each stands there by its id or any of its addresses; one in two spellings is one item. What is no video is
    counted as without a key, and told. In the file, one stands on each line; what follows a `#` is a comment.

    With `look_up`, YouTube is asked for title and channel, and a video that is gone is told and left out; one
    that may not be embedded or is private comes without them. Without it, they are empty, and nothing is asked.

    Key: the video's id. Order: as written, jobs.yaml first.
    Data: `{"url": str, "video_id": str, "title": str, "channel": str, "channel_url": str | None,
    "image_url": str | None}`. With `look_up` one request for each video, at each discovery; else none.
    Example: {strategy: youtube_video_list, videos: ["https://youtu.be/dQw4w9WgXcQ"], path: ./videos.txt}

    Source: oembed.com; youtube.com/oembed.
    """

    class Params(StrategyParams):
        """Where the list is."""

        videos: list[str] = Field([], description="Videos, each by its id or any of its addresses.")
        path: FilePath | None = Field(
            None, description="A text file of more; relative to where Celeriac runs."
        )
        look_up: bool = Field(default=False, description="Whether to ask YouTube for title and channel.")
        base_url: WebAddress = Field("https://www.youtube.com", description="Where YouTube is.")

    obeys_robots = False
    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Read the list. Raises `SourceUnavailableError` when the file, or with `look_up` YouTube, cannot be had."""
        written = await asyncio.to_thread(lambda: list(self._read_list()))
        wrong = [text for text in written if extract_video_id(text) is None]
        self._tell_wrong(wrong)
        video_ids = list(dict.fromkeys(found for text in written if (found := extract_video_id(text))))
        items = await self._look_up_all(video_ids) if self.params.look_up else [*map(_make_item, video_ids)]
        return [*items, *(FoundItem("", {"url": text}) for text in wrong)]

    def _read_list(self) -> Iterator[str]:
        yield from self.params.videos
        if self.params.path is None:
            return
        try:
            with self.params.path.expanduser().open(encoding="utf-8-sig", errors="replace") as lines:
                yield from (text for line in lines if (text := _COMMENT.sub("", line).strip()))
        except (OSError, RuntimeError) as error:
            raise SourceUnavailableError(f"cannot read the list {self.params.path}: {error}") from error

    def _tell_wrong(self, wrong: list[str]) -> None:
        self.problems.extend(f"{text!r:.120} is no video of YouTube" for text in wrong[:MAX_PROBLEMS])
        if len(wrong) > MAX_PROBLEMS:
            self.problems.append(f"and {len(wrong) - MAX_PROBLEMS} more are none")

    async def _look_up_all(self, video_ids: list[str]) -> list[FoundItem]:
        answers = await gather_bounded(self._look_up, video_ids, LOOK_UPS_AT_ONCE)
        return [item for item in keep_answers(answers, "video", self) if item]

    async def _look_up(self, video_id: str) -> FoundItem | None:
        asked = urlencode({"url": watch_url(video_id), "format": "json"})
        gone = {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}
        closed = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        url = f"{self.params.base_url.rstrip('/')}/oembed"
        fetched = await self.fetch(f"{url}?{asked}", source=url, statuses_ok=gone | closed)
        if fetched.status in gone:
            self.problems.append(f"YouTube has no video {video_id}")
            return None
        if fetched.status in closed:
            return _make_item(video_id)
        about = read_object(fetched.json())
        if not read_text(about.get("title")):
            raise SourceRejectedError(f"YouTube tells nothing of the video {video_id}")
        return _make_item(video_id, about)


def _make_item(video_id: str, about: dict[str, Any] | None = None) -> FoundItem:
    about = about or {}
    data = {
        "url": watch_url(video_id),
        "video_id": video_id,
        "title": read_text(about.get("title")),
        "channel": read_text(about.get("author_name")),
        "channel_url": read_web_address(about.get("author_url")),
        "image_url": read_web_address(about.get("thumbnail_url")),
    }
    return FoundItem(video_id, data)
