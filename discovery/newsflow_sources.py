"""News from many kinds of sources, seen as one flow."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from discovery.base import BaseDiscovery, FoundItem, StrategyParams, name_source
from discovery.composing import Found, discover_inside
from discovery.feeds import NamedFeed
from discovery.gather import gather_bounded, keep_answers
from discovery.html_links import HtmlLinks
from discovery.newsflow import Flow, choose_newest, make_story
from discovery.pages import Pattern  # noqa: TC001  the model is built with it
from discovery.rss_feeds import RssFeeds
from discovery.serper_news import SerperNews
from discovery.sitemap import Sitemap
from discovery.web_addresses import WebAddress, check_named
from net.html import Selector  # noqa: TC001  and with it

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCES_AT_ONCE = 8
MAX_OF_ONE = 5000
"""How many items of one source are looked at for its newest."""

FLOW = "flow"


class FlowSource(StrategyParams):
    """One of the sources of the flow."""

    type: Literal["feed", "sitemap", "page", "search"] = Field("feed", description="What kind of source.")
    url: str | None = Field(
        None, min_length=1, description="The address of the feed, the sitemap or the page."
    )
    query: str | None = Field(None, min_length=1, description="What to search the news for.")
    name: str | None = Field(None, description="What to call it; left out, its address or query.")
    selector: Selector = Field("a[href]", description="Of a page: a CSS selector of the links.")
    include: Pattern | None = Field(
        None, description="Of a page or sitemap: only addresses this regular expression is found in."
    )
    exclude: Pattern | None = Field(
        None, description="Of a page or sitemap: no addresses this regular expression is found in."
    )

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if self.type == "search" and (self.query is None or self.url is not None):
            raise ValueError("a search needs `query`, and no `url`")
        if self.type != "search" and (self.url is None or self.query is not None):
            raise ValueError(f"a {self.type} needs `url`, and no `query`")
        return self

    @property
    def shown(self) -> str:
        """What to call it where secrets may not be shown."""
        return self.name or self.source

    @property
    def source(self) -> str:
        """Its name for the tracker."""
        return name_source(self.url) if self.url else str(self.query)


class NewsflowSources(BaseDiscovery):
    """
    Find the news of feeds, sitemaps, pages and searches as one flow: each story once.

    Stories with nearly the same title are one; the earliest is kept, of those equally early the one of the
    source that stands first, and it names its twins. A twin that comes in a later discovery is left out. A source
    that fails does not stop the others.

    Key: a hash of the story's canonical address; what has none keeps its source's key. Order: newest first; what
    has no date comes last.
    Data: `{"url": str | None, "title": str, "published_at": str | None, "summary": str, "kind": str, "name": str,
    "names": [str], "also": [str]}`: the instant is ISO in UTC; `kind` and `name` are those of its source, `names`
    all the sources that had it, `also` the addresses of its twins. As many requests as the sources need: one per
    feed, page and search, one per sitemap.
    Example: {strategy: newsflow_sources, sources: [{url: "https://example.org/feed", name: Example},
    {type: sitemap, url: "https://example.net/news.xml"}, {type: search, query: wind power}],
    api_key: "${SERPER_API_KEY}"}

    Source: that of each kind: `rss_feeds`, `sitemap`, `html_links`, `serper_news`.
    """

    class Params(StrategyParams):
        """Which sources, and what makes two stories one."""

        sources: list[Annotated[str | FlowSource, AfterValidator(check_named)]] = Field(
            min_length=1, description="Addresses of feeds, or objects with `type`, `url` or `query`, `name`."
        )
        limit: int = Field(100, ge=1, le=5000, description="At most this many of the newest of each source.")
        likeness: float = Field(
            0.7, ge=0.3, le=1, description="What part of their words two titles share that are one story."
        )
        within_hours: float = Field(
            72, gt=0, le=10_000, description="Stories published further apart are never one."
        )
        tbs: str | None = Field(
            "daily",
            min_length=1,
            description="How far back searches look: `daily`, `weekly`, or Google's own.",
        )
        api_key: SecretStr | None = Field(
            None,
            description="The key from serper.dev, if there are searches; from SERPER_API_KEY, if it is set.",
        )
        base_url: WebAddress = Field("https://google.serper.dev", description="Where searches are made.")

        @model_validator(mode="after")
        def _can_search(self) -> Self:
            searches = any(isinstance(each, FlowSource) and each.type == "search" for each in self.sources)
            if searches and not (self.api_key and self.api_key.get_secret_value()):
                raise ValueError("a search needs a key: set SERPER_API_KEY, or give api_key")
            return self

    from_environment: ClassVar[Mapping[str, str]] = {"api_key": "SERPER_API_KEY:-"}
    obeys_robots = False
    params: Params

    async def discover(self) -> list[FoundItem]:
        """Ask the sources, and fold what they found. Raises `SourceUnavailableError` when all of them fail."""
        async with self.looking():
            groups = list(self._group_sources())
            answers = await gather_bounded(self._ask, groups, SOURCES_AT_ONCE)
            found = keep_answers(answers, "source", self, [group[0].source for group in groups])
            await self._hand_over_flow(found)
        return self.kept

    async def _hand_over_flow(self, found: Sequence[tuple[list[FoundItem], Found]]) -> None:
        within = timedelta(hours=self.params.within_hours)
        flow = Flow(self.params.likeness, within, self.recall(FLOW).cursor)
        flow.fold(story for stories, _ in found for story in stories)
        self.refused.update({reason: count for reason, count in flow.folded.items() if count})
        await self.hand_over(flow.list_items(), source=FLOW, cursor=flow.remember())
        for _, inner in found:
            for source, cursor in inner.cursors.items():
                await self.hand_over((), source=source, cursor=cursor)

    def _group_sources(self) -> list[list[FlowSource]]:
        """Group the feeds, which are read together; every other source is by itself."""
        sources = [FlowSource(url=each) if isinstance(each, str) else each for each in self.params.sources]
        feeds = [each for each in sources if each.type == "feed"]
        others = [[each] for each in sources if each.type != "feed"]
        return [feeds, *others] if feeds else others

    async def _ask(self, group: list[FlowSource]) -> tuple[list[FoundItem], Found]:
        first = group[0]
        kind, params = self._choose_strategy(first, group)
        found = await discover_inside(self, kind, params, most=MAX_OF_ONE * len(group))
        by_source = {each.source: each for each in group}
        stories: dict[str, list[FoundItem]] = {}
        for item in found.items:
            of = by_source.get(item.source or "", first)
            stories.setdefault(of.source, []).append(make_story(item, of.type, of.shown))
        chosen = [choose_newest(each, self.params.limit) for each in stories.values()]
        return [story for each in chosen for story in each], found

    def _choose_strategy(
        self, first: FlowSource, group: list[FlowSource]
    ) -> tuple[type[BaseDiscovery], dict[str, Any]]:
        if first.type == "feed":
            feeds = [NamedFeed(url=str(each.url), name=each.name) for each in group]
            return RssFeeds, {"feeds": feeds, "limit": MAX_OF_ONE}  # the newest may stand last
        if first.type == "search":
            key, tbs = self.params.api_key, self.params.tbs
            asked = {"queries": [first.query], "api_key": key, "tbs": tbs, "base_url": self.params.base_url}
            return SerperNews, asked
        chosen = {"url": first.url, "include": first.include, "exclude": first.exclude}
        return (
            (Sitemap, chosen)
            if first.type == "sitemap"
            else (HtmlLinks, chosen | {"selector": first.selector})
        )
