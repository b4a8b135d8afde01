"""Changes of Wikipedia, and of any other MediaWiki."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from discovery.base import BaseDiscovery, FoundItem, StrategyParams, name_source
from discovery.instants import tell_iso
from discovery.paging import Page, hand_over_pages
from discovery.shapes import read_list, read_object, read_objects, read_text, read_whole
from discovery.urls import with_query
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from net.refusals import read_retry_after
from net.shown import show_url
from pipeline.errors import SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from net.fetched import Fetched

PAGE_SIZE = 500
OVERLOADED = 503
_PASSING = ("maxlag", "ratelimited", "readonly", "internal_api_error")


class WikipediaChanges(BaseDiscovery):
    """
    Find the latest changes of a wiki, of one of its pages, or what has come into a category.

    Oldest first, and on from the last change that was found, so that none is missed however long the pause; a
    wiki remembers its latest changes for a month or so.

    Key: the id of the change, of the revision with `page`, or of the page with `category`. Order: by time.
    Data: `{"title": str, "url": str, "kind": str, "page_id": int | None, "revision": int | None,
    "previous": int | None, "by": str, "comment": str, "minor": bool, "size": int | None, "size_change": int | None,
    "published_at": str | None}`: `kind` is `edit`, `new`, `log`, or `page`, `subcat` or `file` in a category; the
    address is that of the change; the instant is ISO in UTC. What a wiki hides is empty. One request per 500.
    Example: {strategy: wikipedia_changes, category: "Living people", days: 1}

    Source: the MediaWiki API, mediawiki.org/wiki/API:RecentChanges, API:Revisions, API:Categorymembers.
    """

    class Params(StrategyParams):
        """Which changes, and since when."""

        page: str | None = Field(
            None, min_length=1, description="Only the changes of this page, by its title."
        )
        category: str | None = Field(
            None, min_length=1, description="What comes into this category, by its name without `Category:`."
        )
        namespaces: list[int] = Field(
            default_factory=lambda: [0],
            description="Only these namespaces; 0 holds the articles, none means all.",
        )
        bots: bool = Field(False, description="Also changes that bots made.")
        days: float = Field(
            1.0,
            gt=0,
            le=36500,
            description="How many days back the first discovery begins, unless `since` says.",
        )
        max_lag: int = Field(
            5, ge=1, le=3600, description="Come back later when the wiki's servers lag this many seconds."
        )
        max_pages: int = Field(
            20,
            ge=1,
            le=10_000,
            description="At most this many requests a discovery; the next goes on after them.",
        )
        base_url: WebAddress = Field(
            "https://en.wikipedia.org/w/api.php", description="Where the wiki's API is."
        )

        @model_validator(mode="after")
        def _names_one(self) -> WikipediaChanges.Params:
            if self.page and self.category:
                raise ValueError("give page or category, not both")
            return self

    obeys_robots = False
    params: Params

    async def discover(self) -> list[FoundItem]:
        """Read on from the last change. Raises `SourceError` when nothing could be had."""
        async with self.looking():
            await hand_over_pages(
                self, self._source, self._read_page, max_pages=self.params.max_pages, keeps_place=True
            )
        return self.kept

    @property
    def _source(self) -> str:
        asked = self.params
        return name_source(asked.base_url) + "".join(
            f" {word} {value}"
            for word, value in (("page", asked.page), ("category", asked.category))
            if value
        )

    async def _read_page(self, at: Any) -> Page:
        place = read_object(at)
        start = tell_iso(place.get("start")) or self._find_start()
        further = {
            name: value for name, value in read_object(place.get("continue")).items() if read_text(value)
        }
        fetched = await self.fetch(
            with_query(self.params.base_url, {**self._ask(start), **further}),
            source=self._source,
            headers={"Accept": "application/json"},
            statuses_ok=(OVERLOADED,),
        )
        answer = _read_answer(fetched)
        changes = self._find_changes(read_object(answer.get("query")), fetched)
        items = [self._make_item(change) for change in changes]
        if following := read_object(answer.get("continue")):
            return Page(items, {"start": start, "continue": following})
        last = max((instant for item in items if (instant := item.data["published_at"])), default=start)
        return Page(items, {"start": max(last, start)}, ends=True)

    def _find_start(self) -> str:
        since = self.access.since or datetime.now(UTC) - timedelta(days=self.params.days)
        return since.astimezone(UTC).replace(microsecond=0).isoformat()

    def _ask(self, start: str) -> dict[str, object]:
        asked = self.params
        about = {"action": "query", "format": "json", "formatversion": 2, "maxlag": asked.max_lag}
        start = start.replace("+00:00", "Z")
        if asked.page:
            properties = "ids|timestamp|user|comment|size|flags"
            return about | {
                "prop": "revisions", "titles": asked.page, "rvprop": properties,
                "rvdir": "newer", "rvstart": start, "rvlimit": PAGE_SIZE,
            }  # fmt: skip
        spaces = "|".join(map(str, asked.namespaces))
        if asked.category:
            return about | {
                "list": "categorymembers", "cmtitle": f"Category:{asked.category}", "cmsort": "timestamp",
                "cmdir": "newer", "cmstart": start, "cmprop": "ids|title|timestamp|type", "cmlimit": PAGE_SIZE,
            } | ({"cmnamespace": spaces} if spaces else {})  # fmt: skip
        return about | {
            "list": "recentchanges", "rctype": "edit|new|log", "rcprop": "title|ids|timestamp|user|comment|sizes|flags",
            "rcdir": "newer", "rcstart": start, "rclimit": PAGE_SIZE,
        } | ({"rcnamespace": spaces} if spaces else {}) | ({} if asked.bots else {"rcshow": "!bot"})  # fmt: skip

    def _find_changes(self, query: dict[str, Any], fetched: Fetched) -> list[dict[str, Any]]:
        if self.params.page:
            page = next(iter(read_objects(query.get("pages"))), {})
            if page.get("missing") or page.get("invalid") or not page:
                raise SourceRejectedError(f"{show_url(fetched.url)} has no page {self.params.page!r}")
            about = {"title": page.get("title"), "pageid": page.get("pageid")}
            return [{**about, **revision} for revision in read_objects(page.get("revisions"))]
        found = query.get("categorymembers" if self.params.category else "recentchanges")
        if not isinstance(found, list):
            raise SourceRejectedError(f"{show_url(fetched.url)} gave no list of changes")
        return read_objects(read_list(found))

    def _make_item(self, change: dict[str, Any]) -> FoundItem:
        revision, page = read_whole(change.get("revid")), read_whole(change.get("pageid"))
        previous = read_whole(change.get("old_revid", change.get("parentid")))
        old, new = read_whole(change.get("oldlen")), read_whole(change.get("newlen", change.get("size")))
        identity = (
            page if self.params.category else revision if self.params.page else read_whole(change.get("rcid"))
        )
        where = {"diff": revision, "oldid": previous} if revision and previous else {"oldid": revision}
        data = {
            "title": read_text(change.get("title")),
            "url": with_query(self._pages_url, where if revision else {"curid": page or 0}),
            "kind": read_text(change.get("type")) or ("edit" if previous else "new"),
            "page_id": page,
            "revision": revision,
            "previous": previous,
            "by": read_text(change.get("user")),
            "comment": read_text(change.get("comment")),
            "minor": change.get("minor") is True,
            "size": new,
            "size_change": new - old if new is not None and old is not None else None,
            "published_at": tell_iso(change.get("timestamp")),
        }
        return FoundItem("" if identity is None else str(identity), data)

    @property
    def _pages_url(self) -> str:
        return self.params.base_url.partition("?")[0].removesuffix("api.php").rstrip("/") + "/index.php"


def _read_answer(fetched: Fetched) -> dict[str, Any]:
    shown, wait = show_url(fetched.url), read_retry_after(fetched.headers.get("retry-after", ""))
    if fetched.status == OVERLOADED and "json" not in fetched.content_type:
        raise SourceUnavailableError(f"{shown} answered 503 (Service Unavailable)", wait)
    answer = read_object(fetched.json())
    error = read_object(answer.get("error"))
    told = f"{shown} answered {read_text(error.get('code'))}: {read_text(error.get('info'))[:200]}"
    if read_text(error.get("code")).startswith(_PASSING) or fetched.status == OVERLOADED:
        raise SourceUnavailableError(told, wait)
    if error:
        raise SourceRejectedError(told)
    return answer
