"""Stories on Hacker News."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from discovery.gather import gather_bounded, keep_answers
from pipeline.errors import SourceRejectedError

STORIES_AT_ONCE = 8


class HackerNews(BaseDiscovery):
    """
    Find the stories on a Hacker News list.

    Stories that were deleted or killed are left out. A story that fails does not stop the others.

    Key: the story's id, stable for ever. Order: the list's own, at most `limit`.
    Data: `{"url": str | None, "title": str, "by": str, "points": int, "comments": int, "comments_url": str,
    "text": str, "published_at": str | None}`: `url` is None for a story without a link, such as an Ask, whose
    `text` is HTML; the instant is ISO in UTC. One request for the list, one per story.
    Example: {strategy: hacker_news, list: best, limit: 50}

    Source: the Hacker News API, github.com/HackerNews/API.
    """

    class Params(StrategyParams):
        """Which list, and how much of it."""

        list: Literal["top", "new", "best", "ask", "show"] = Field(
            "top", description="Which list of stories."
        )
        limit: int = Field(
            30, ge=1, le=500, description="At most this many stories, from the top of the list."
        )
        base_url: str = Field("https://hacker-news.firebaseio.com/v0", description="Where the API is.")

    obeys_robots = False
    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Fetch the list, then its stories, eight at a time."""
        ids = await self._fetch_json(f"{self.params.list}stories")
        if not isinstance(ids, list) or not all(isinstance(each, int) for each in ids):
            raise SourceRejectedError(f"{self.params.base_url} gave no list of stories but {ids!r:.80}")
        answers = await gather_bounded(self._fetch_story, ids[: self.params.limit], STORIES_AT_ONCE)
        return [_make_item(story) for story in keep_answers(answers, "story", self) if story]

    async def _fetch_story(self, story_id: int) -> dict[str, Any] | None:
        story = await self._fetch_json(f"item/{story_id}")
        if story is not None and not (isinstance(story, dict) and "id" in story):
            raise SourceRejectedError(f"{self.params.base_url} gave no story {story_id} but {story!r:.80}")
        return None if not story or story.get("deleted") or story.get("dead") else story

    async def _fetch_json(self, path: str) -> Any:
        fetched = await self.fetch(f"{self.params.base_url.rstrip('/')}/{path}.json")
        return fetched.json()


def _make_item(story: dict[str, Any]) -> FoundItem:
    data = {
        "url": story.get("url") or None,
        "title": story.get("title", ""),
        "by": story.get("by", ""),
        "points": story.get("score", 0),
        "comments": story.get("descendants", 0),
        "comments_url": f"https://news.ycombinator.com/item?id={story['id']}",
        "text": story.get("text", ""),
        "published_at": _tell_instant(story.get("time")),
    }
    return FoundItem(str(story["id"]), data)


def _tell_instant(seconds: object) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if isinstance(seconds, int) else None
