"""Stories on Hacker News."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from discovery.base import BaseDiscovery, FoundItem, StrategyParams, hash_url, name_source
from discovery.gather import gather_bounded, keep_answers
from discovery.instants import tell_unix
from discovery.shapes import read_object, read_text, read_web_address, read_whole
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from pipeline.errors import SourceRejectedError

STORIES_AT_ONCE = 8


class HackerNews(BaseDiscovery):
    """
    Find the stories on a Hacker News list.

    Stories that were deleted or killed are left out. A story that fails does not stop the others. A story has
    changed when its title, link or text did; points and comments do not count.

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
        base_url: WebAddress = Field("https://hacker-news.firebaseio.com/v0", description="Where the API is.")

    obeys_robots = False
    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Fetch the list, then its stories, eight at a time."""
        ids = await self._fetch_json(f"{self.params.list}stories")
        if not isinstance(ids, list) or not all(type(each) is int for each in ids):
            raise SourceRejectedError(f"{self.params.base_url} gave no list of stories but {ids!r:.80}")
        answers = await gather_bounded(self._fetch_story, ids[: self.params.limit], STORIES_AT_ONCE)
        stories = keep_answers(answers, "story", self)
        return [_make_item(story, self._source) for story in stories if story]

    @property
    def _source(self) -> str:
        # One for all of its requests: a look for each of five hundred stories would tell nobody anything.
        return name_source(f"{self.params.base_url.rstrip('/')}/{self.params.list}stories")

    async def _fetch_story(self, story_id: int) -> dict[str, Any] | None:
        story = await self._fetch_json(f"item/{story_id}")
        if story is not None and read_object(story).get("id") != story_id:
            raise SourceRejectedError(f"{self.params.base_url} gave no story {story_id} but {story!r:.80}")
        return None if not story or story.get("deleted") or story.get("dead") else story

    async def _fetch_json(self, path: str) -> Any:
        fetched = await self.fetch(f"{self.params.base_url.rstrip('/')}/{path}.json", source=self._source)
        return fetched.json()


def _make_item(story: dict[str, Any], source: str) -> FoundItem:
    data = {
        "url": read_web_address(story.get("url")),
        "title": read_text(story.get("title")),
        "by": read_text(story.get("by")),
        "points": read_whole(story.get("score")) or 0,
        "comments": read_whole(story.get("descendants")) or 0,
        "comments_url": f"https://news.ycombinator.com/item?id={story['id']}",
        "text": read_text(story.get("text")),
        "published_at": tell_unix(story.get("time")),
    }
    version = hash_url(f"{data['title']}\n{data['url']}\n{data['text']}", 16)
    return FoundItem(str(story["id"]), data, version=version, source=source)
