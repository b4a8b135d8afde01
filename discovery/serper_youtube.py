"""YouTube videos that a web search finds."""

from __future__ import annotations

from discovery.base import FoundItem, extract_video_id
from discovery.search_dates import tell_search_date
from discovery.serper import Result, SerperDiscovery, SerperParams
from discovery.shapes import read_text, read_web_address
from discovery.youtube import watch_url


class SerperYoutube(SerperDiscovery):
    """
    Find YouTube videos by searching Google's videos, through serper.dev.

    Results that are elsewhere are left out. A video that several searches found is one item. A search that
    fails does not stop the others.

    Key: the video's id. Order: search by search, in Google's order.
    Data: `{"url": str, "video_id": str, "title": str, "channel": str, "duration": str, "snippet": str,
    "published_at": str | None, "image_url": str | None, "queries": list[str]}`: `duration` as shown, such as
    `12:34`; the instant is ISO in UTC, None when the result shows none that is sure; `queries` are the searches
    that found it. One request for each page of each search; each costs a credit.
    Example: {strategy: serper_youtube, queries: ["rust async tutorial"], tbs: weekly, api_key: "${SERPER_API_KEY}"}

    Source: serper.dev/playground.
    """

    class Params(SerperParams):
        """What to search YouTube for."""

    endpoint = "videos"
    field = "videos"
    params: Params

    def write_query(self, query: str) -> str:
        """Ask for what is on YouTube only."""
        return query if "site:" in query else f"{query} site:youtube.com"

    def make_item(self, result: Result) -> FoundItem | None:
        """Make the item of a video; None when it is not on YouTube."""
        video_id = extract_video_id(read_web_address(result.fields.get("link")) or "")
        if video_id is None:
            return None
        data = {
            "url": watch_url(video_id),
            "video_id": video_id,
            "title": read_text(result.fields.get("title")),
            "channel": read_text(result.fields.get("channel")),
            "duration": read_text(result.fields.get("duration")),
            "snippet": read_text(result.fields.get("snippet")),
            "published_at": tell_search_date(result.fields.get("date"), result.found_at),
            "image_url": read_web_address(result.fields.get("imageUrl")),
        }
        return FoundItem(video_id, data, source=result.query)
