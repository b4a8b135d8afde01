"""The handler `video_metadata`: what a site says of a video."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field

from handlers.base import Handler, HandlerParams
from handlers.templates import Template, render
from handlers.video_extractor import extract
from handlers.video_site import BASE_URL, YOUTUBE, BaseUrl, VideoSite
from net.video_ids import extract_video_id
from pipeline.errors import SourceRejectedError
from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

MAX_TAGS, MAX_CHAPTERS = 200, 500
MAX_DESCRIPTION_CHARS = 50_000


class VideoMetadata(Handler):
    """
    Ask what a site says of a video, without downloading it: title, channel, description, length, chapters, counts.

    For YouTube that is one request for the video's page. Another site may be named by its name in yt-dlp, such as
    `vimeo`; its requests too go only to public addresses, in turn, and through no proxy.

    Input: the template `url`, else the item's `data["url"]`, else its `data["video_id"]`, of YouTube. Result:
    `{"url", "id", "site", "title", "description", "channel", "channel_id", "channel_url", "published_at" (ISO in
    UTC), "duration_seconds", "views", "likes", "comments", "tags", "categories", "chapters" (each `{start_seconds,
    end_seconds, title}`), "language", "captions" (languages that a person wrote), "live" (is_live, was_live,
    is_upcoming or not_live), "age_limit", "image_url"}`; what is not said is None, or an empty list. Endings: Skip
    for an item without an address; GiveUp for a video that is private, removed, not to be had without an account or
    in this country, for a list of videos, and for an address of no such site; RetryLater when the site throttles us
    or the video is yet to come. No connection, a time-out or a 5xx raise SourceUnavailableError, for the stage's
    retries; a page that yt-dlp cannot read raises its DownloadError: a newer yt-dlp may.
    Idempotent: it only reads; the counts are those of the moment, and left out with `counts: false`.
    Example: {handler: video_metadata, params: {counts: false}, rate: 10/m}

    Source: github.com/yt-dlp/yt-dlp.
    """

    TIMEOUT = "5m"

    class Params(HandlerParams):
        """The parameters of `video_metadata`."""

        url: Template | None = Field(None, description="The video, a template; by default the item's own.")
        sites: list[str] = Field(
            ["youtube"], min_length=1, description="Sites that may be asked, by yt-dlp's names (extractors)."
        )
        counts: bool = Field(True, description="Give views, likes and comments, which change by the hour.")
        base_url: BaseUrl = Field(YOUTUBE, description=BASE_URL)

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Ask, and keep what is worth keeping."""
        url = self._find_url(context)
        if isinstance(url, Skip | GiveUp):
            return url
        if not _is_address(url):
            return GiveUp(f"{url!r:.200} is no web address, and no video of YouTube")
        try:
            site = VideoSite(context.http, (), self.params.base_url)
            info = extract(site, url, self.params.sites, context.cancelled)
        except SourceRejectedError as error:
            return GiveUp(str(error))
        return self._describe(info) if isinstance(info, dict) else info

    def _find_url(self, context: HandlerContext) -> str | Skip | GiveUp:
        found = render(self.params.url, context, self.params) if self.params.url is not None else None
        if isinstance(found, GiveUp):
            return found
        for address in (found, context.data.get("url"), context.data.get("video_id")):
            if isinstance(address, str) and address.strip():
                video_id = extract_video_id(address)
                return f"{YOUTUBE}/watch?v={video_id}" if video_id else address.strip()
        return Skip("the item has no video")

    def _describe(self, info: Mapping[str, Any]) -> Outcome:
        counted = info if self.params.counts else {}
        return {
            "url": _text(info.get("webpage_url")),
            "id": _text(info.get("id")),
            "site": _text(info.get("extractor_key")).lower(),
            "title": _text(info.get("title")),
            "description": _text(info.get("description"))[:MAX_DESCRIPTION_CHARS],
            "channel": _text(info.get("channel") or info.get("uploader")) or None,
            "channel_id": _text(info.get("channel_id") or info.get("uploader_id")) or None,
            "channel_url": _text(info.get("channel_url") or info.get("uploader_url")) or None,
            "published_at": _find_instant(info),
            "duration_seconds": _number(info.get("duration")),
            "views": _number(counted.get("view_count")),
            "likes": _number(counted.get("like_count")),
            "comments": _number(counted.get("comment_count")),
            "tags": _texts(info.get("tags")),
            "categories": _texts(info.get("categories")),
            "chapters": _list_chapters(info.get("chapters")),
            "language": _text(info.get("language")) or None,
            "captions": sorted(_texts(list(info.get("subtitles") or {}))),
            "live": _text(info.get("live_status")) or None,
            "age_limit": _number(info.get("age_limit")),
            "image_url": _text(info.get("thumbnail")) or None,
        }


def _is_address(url: str) -> bool:
    try:
        return urlsplit(url).scheme in {"http", "https"}
    except ValueError:  # what begins with a bracket, and is no address of IPv6
        return False


def _text(value: Any) -> str:
    return str(value).encode(errors="replace").decode() if isinstance(value, str | int) else ""


def _texts(values: Any) -> list[str]:
    return [_text(value) for value in values[:MAX_TAGS]] if isinstance(values, list) else []


def _number(value: Any) -> int | float | None:
    return (
        value
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
        else None
    )


def _find_instant(info: Mapping[str, Any]) -> str | None:
    for name in ("timestamp", "release_timestamp"):
        if (seconds := _number(info.get(name))) is not None:
            return datetime.fromtimestamp(seconds, UTC).isoformat() if abs(seconds) < 2e11 else None
    day = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", _text(info.get("upload_date")))
    return "-".join(day.groups()) if day else None


def _list_chapters(chapters: Any) -> list[dict[str, Any]]:
    if not isinstance(chapters, list):
        return []
    return [
        {
            "start_seconds": _number(each.get("start_time")),
            "end_seconds": _number(each.get("end_time")),
            "title": _text(each.get("title")),
        }
        for each in chapters[:MAX_CHAPTERS]
    ]
