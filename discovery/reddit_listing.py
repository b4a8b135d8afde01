"""Posts on Reddit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, SecretStr, model_validator

from discovery.base import BaseDiscovery, FoundItem, StrategyParams, name_source
from discovery.instants import tell_unix
from discovery.json_paths import as_position
from discovery.paging import Page, collect_pages
from discovery.shapes import read_list, read_object, read_text, read_web_address, read_whole
from discovery.urls import with_query
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from net.refusals import read_retry_after
from net.shown import show_url
from pipeline.errors import SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from net.fetched import Fetched

PAGE_SIZE = 100
TOO_MANY = 429
NAME = r"^[A-Za-z0-9_+-]{1,200}$"


class RedditListing(BaseDiscovery):
    """
    Find the posts in a listing of Reddit: of a subreddit, of a user, or of a search.

    Reddit lists at most about a thousand. Without a token it answers few requests, and none to many a data
    centre; with one, in `REDDIT_TOKEN` or in `token`, it is asked at its OAuth address.

    Key: the post's full name, such as `t3_8xwlg`. Order: the listing's own. Version: when the post was edited.
    Data: `{"url": str | None, "title": str, "by": str, "subreddit": str, "points": int, "comments": int,
    "comments_url": str, "text": str, "flair": str, "adult": bool, "published_at": str | None}`: `url` is None for
    a post of text alone, which is Markdown; the instant is ISO in UTC. One request per hundred posts.
    Example: {strategy: reddit_listing, subreddit: programming, sort: new, limit: 100}

    Source: the Reddit API, reddit.com/dev/api; its JSON, github.com/reddit-archive/reddit/wiki/JSON.
    """

    class Params(StrategyParams):
        """Which listing, and how much of it."""

        subreddit: str | None = Field(
            None, pattern=NAME, description="A subreddit, or several joined by `+`; for a search, where."
        )
        user: str | None = Field(None, pattern=NAME, description="A user, whose posts are listed.")
        search: str | None = Field(None, min_length=1, max_length=512, description="Words to search for.")
        sort: Literal["new", "hot", "rising", "top", "controversial", "relevance", "comments"] = Field(
            "new", description="The order of the listing; `relevance` and `comments` are for a search."
        )
        time: Literal["hour", "day", "week", "month", "year", "all"] | None = Field(
            None, description="How far back, for `top`, `controversial` and a search."
        )
        limit: int = Field(100, ge=1, le=1000, description="At most this many posts.")
        token: SecretStr | None = Field(
            None, description="An OAuth access token; from REDDIT_TOKEN if left out."
        )
        base_url: WebAddress = Field("https://www.reddit.com", description="Where Reddit is without a token.")
        oauth_url: WebAddress = Field("https://oauth.reddit.com", description="Where Reddit is with a token.")

        @model_validator(mode="after")
        def _names_one(self) -> RedditListing.Params:
            if self.user and (self.subreddit or self.search):
                raise ValueError("give a user, or a subreddit and a search, not both")
            if not (self.user or self.subreddit or self.search):
                raise ValueError("give a subreddit, a user or a search")
            return self

    obeys_robots = False
    from_environment: ClassVar = {"token": "REDDIT_TOKEN:-"}
    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Read the listing, a hundred posts at a time. Raises `SourceError` when its first page could not be had."""
        limit = self.params.limit
        items = await collect_pages(self, self._source, self._read_page, max_pages=-(-limit // PAGE_SIZE))
        return items[:limit]

    @property
    def _source(self) -> str:
        return name_source(self._find_listing())

    @property
    def _token(self) -> str:
        return self.params.token.get_secret_value() if self.params.token else ""

    def _find_listing(self) -> str:
        asked = self.params
        base = (asked.oauth_url if self._token else asked.base_url).rstrip("/")
        about = {"raw_json": 1, "limit": min(asked.limit, PAGE_SIZE)} | (
            {"t": asked.time} if asked.time else {}
        )
        if asked.user:
            return with_query(f"{base}/user/{asked.user}/submitted.json", {"sort": asked.sort, **about})
        place = f"{base}/r/{asked.subreddit}" if asked.subreddit else base
        if asked.search:
            where = {"q": asked.search, "sort": asked.sort, "type": "link"}
            return with_query(
                f"{place}/search.json", {**where, "restrict_sr": int(bool(asked.subreddit)), **about}
            )
        return with_query(f"{place}/{asked.sort}.json", about)

    async def _read_page(self, at: Any) -> Page:
        url = self._find_listing() if at is None else with_query(self._find_listing(), {"after": at})
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        fetched = await self.fetch(url, source=self._source, headers=headers, statuses_ok=(TOO_MANY,))
        if fetched.status == TOO_MANY:
            raise SourceUnavailableError(
                f"{show_url(fetched.url)} answered 429 (Too Many Requests)", _read_wait(fetched)
            )
        answer = read_object(fetched.json())
        listing = read_object(answer.get("data"))
        if answer.get("kind") != "Listing" or not isinstance(listing.get("children"), list):
            told = read_text(answer.get("message"))[:80] or "something else"
            raise SourceRejectedError(f"{show_url(fetched.url)} gave no listing but {told}")
        if (
            "/subreddits/search" in fetched.url
        ):  # where Reddit sends whoever asks for a subreddit that is none
            raise SourceRejectedError(f"{show_url(url)}: there is no such subreddit")
        posts = [read_object(child) for child in read_list(listing["children"])]
        items = [self._make_item(read_object(post.get("data"))) for post in posts if post.get("kind") == "t3"]
        return Page(items, as_position(listing.get("after")))

    def _make_item(self, post: dict[str, Any]) -> FoundItem:
        data = {
            "url": None if post.get("is_self") is True else read_web_address(post.get("url")),
            "title": read_text(post.get("title")),
            "by": read_text(post.get("author")),
            "subreddit": read_text(post.get("subreddit")),
            "points": read_whole(post.get("score")) or 0,
            "comments": read_whole(post.get("num_comments")) or 0,
            "comments_url": f"https://www.reddit.com{read_text(post.get('permalink'))}",
            "text": read_text(post.get("selftext")),
            "flair": read_text(post.get("link_flair_text")),
            "adult": post.get("over_18") is True,
            "published_at": tell_unix(post.get("created_utc")),
        }
        return FoundItem(
            read_text(post.get("name")), data, version=tell_unix(post.get("edited")) or "unedited"
        )


def _read_wait(fetched: Fetched) -> float | None:
    names = ("retry-after", "x-ratelimit-reset")  # the latter counts down to the end of its ten minutes
    waits = [wait for name in names if (wait := read_retry_after(fetched.headers.get(name, ""))) is not None]
    return max(waits, default=None)
