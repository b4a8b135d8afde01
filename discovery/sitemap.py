"""Pages that a site's sitemaps name."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

from protego import Protego
from pydantic import Field, model_validator

from discovery.base import (
    BaseDiscovery,
    FoundItem,
    StrategyParams,
    canonical_url,
    hash_url,
    name_source,
)
from discovery.gather import keep_answers
from discovery.instants import tell_iso
from discovery.items import Refusal
from discovery.links import Wanted
from discovery.pages import Pattern  # noqa: TC001  the model is built with it
from discovery.sitemap_entries import NoSitemapError, PageEntry, Reading, SitemapEntry
from discovery.urls import join_url
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from net.shown import show_url
from pipeline.errors import SourceError, SourceRejectedError

if TYPE_CHECKING:
    from net.client import Fetched

KEY_DIGITS = 20
BATCH = 1000
MAX_DEPTH = 5
MAX_KNOWN = 100_000
"""How many sitemaps are told apart in one run; one index may name 50,000."""

TOO_OLD = "page older than since"


@dataclass(frozen=True, slots=True)
class Place:
    """A sitemap to be read: its address, when its index says that it was modified, how many indexes lead there."""

    url: str
    lastmod: str = ""
    depth: int = 0


class Sitemap(BaseDiscovery):
    """
    Find the pages that a site names in its sitemaps, and in the sitemaps that its indexes name.

    XML, plain text, gzip; with the extensions for news, images and videos. Each sitemap is stored as it is read,
    and one that has not changed since, by its index or by its server, is not read again. One that fails does
    not stop the others. With the job's `since`, neither pages nor whole sitemaps that were modified before it
    are found.

    Key: a hash of the page's canonical address. Order: sitemap by sitemap, each in its own order.
    Data: `{"url": str, "modified_at": str | None, "published_at": str | None, "title": str, "publication": str,
    "images": [str], "videos": [str], "sitemap": str}`: instants are ISO in UTC; `published_at`, title and
    publication are those of a news sitemap; images and videos are addresses. One request per sitemap, and one for
    robots.txt with `site`.
    Example: {strategy: sitemap, site: "https://example.org", include: "/news/", exclude: "/tag/"}

    Source: sitemaps.org/protocol; developers.google.com/search/docs/crawling-indexing/sitemaps.
    """

    class Params(StrategyParams):
        """Where the sitemaps are, `url` or `site`, and which pages are wanted."""

        url: WebAddress | None = Field(
            None, min_length=1, description="The address of a sitemap, or of an index."
        )
        site: str | None = Field(
            None,
            min_length=1,
            description="The address of a site; its robots.txt says where its sitemaps are, else it is /sitemap.xml.",
        )
        include: Pattern | None = Field(
            None, description="Only pages whose address this regular expression is found in."
        )
        exclude: Pattern | None = Field(
            None, description="No pages whose address this regular expression is found in."
        )
        sitemaps: Pattern | None = Field(
            None, description="Of an index, only sitemaps whose address this regular expression is found in."
        )
        max_sitemaps: int = Field(1000, ge=1, le=50_000, description="At most this many sitemaps in one run.")

        @model_validator(mode="after")
        def _names_one_place(self) -> Self:
            if (self.url is None) == (self.site is None):
                raise ValueError("give either `url` or `site`")
            if self.site is not None and join_url(_with_scheme(self.site), "/") is None:
                raise ValueError("`site` is no http or https address")
            return self

    obeys_robots = False
    params: Params

    async def discover(self) -> list[FoundItem]:
        """Read sitemap by sitemap. Raises `SourceUnavailableError` when none could be had."""
        async with self.looking():
            waiting = deque(await self._find_first())
            await self._read_all(waiting)
        return self.kept

    async def _find_first(self) -> list[Place]:
        if self.params.url is not None:
            return [Place(self.params.url)]
        assert self.params.site is not None  # noqa: S101  the model saw to it
        site = _with_scheme(self.params.site)
        named = await self._ask_robots(urljoin(site, "/robots.txt"))
        return [Place(url) for url in named] or [Place(urljoin(site, "/sitemap.xml"))]

    async def _ask_robots(self, url: str) -> list[str]:
        try:
            fetched = await self.fetch(url)
        except SourceRejectedError:  # it has none
            return []
        named = [_join(fetched.url, each) for each in Protego.parse(fetched.text).sitemaps]
        self.refused[Refusal.NO_KEY.value] += named.count("")
        return list(dict.fromkeys(filter(None, named)))[: self.params.max_sitemaps]

    async def _read_all(self, waiting: deque[Place]) -> None:
        seen = {canonical_url(place.url) for place in waiting}
        answers: dict[str, SourceError | None] = {}
        while waiting and self._requests < self.params.max_sitemaps:
            place = waiting.popleft()
            try:
                inner = await self._read_one(place)
            except SourceError as error:
                answers[name_source(place.url)] = error
                continue
            if not inner:
                answers[name_source(place.url)] = None
            self._line_up(inner, place, waiting, seen)
        if waiting:
            self.problems.append(f"{len(waiting):,} more sitemaps are over max_sitemaps, and were left out")
        keep_answers([*answers.values()], "sitemap", self, [*answers])

    @property
    def _requests(self) -> int:
        return sum(look.requests for look in self.looks.values())

    def _line_up(
        self, inner: list[SitemapEntry], index: Place, waiting: deque[Place], seen: set[str]
    ) -> None:
        again = 0
        for each in inner:
            known = canonical_url(each.url)
            if known in seen:
                again += 1
            elif index.depth >= MAX_DEPTH:
                self.problems.append(
                    f"{show_url(index.url)} is an index below {MAX_DEPTH} others; not followed"
                )
                return
            elif len(seen) < MAX_KNOWN:
                seen.add(known)
                waiting.append(Place(each.url, each.lastmod, index.depth + 1))
        if again:
            self.refused["sitemap named before"] += again

    async def _read_one(self, place: Place) -> list[SitemapEntry]:
        """Read a sitemap and hand over its pages; give the sitemaps that it names."""
        source = name_source(place.url)
        known = self._recall_place(source)
        if place.lastmod and place.lastmod == known.get("lastmod"):
            self.looks[source].unchanged = True
            return []
        fetched = await self._fetch_sitemap(place.url, known)
        if fetched is None:
            return []
        return await self._read_entries(place, source, fetched)

    async def _fetch_sitemap(self, url: str, known: dict[str, Any]) -> Fetched | None:
        # An index that has not changed may still name sitemaps that have, so it is always had whole.
        if known and not known.get("is_index"):
            return await self.fetch_if_changed(url)
        fetched = await self.fetch(url)
        self.looks[name_source(url)].note_validators(fetched, self.mark_wanted())
        return fetched

    async def _read_entries(self, place: Place, source: str, fetched: Fetched) -> list[SitemapEntry]:
        reading = Reading(fetched.body, fetched.headers.get("content-type", ""))
        pages: list[FoundItem] = []
        inner: list[SitemapEntry] = []
        is_index = False
        try:
            for entry in reading.entries():
                if isinstance(entry, SitemapEntry):
                    is_index = True
                    inner += self._choose_sitemap(entry, fetched.url)
                else:
                    pages += self._choose_page(entry, fetched.url, source)
                if len(pages) >= BATCH:
                    await self.hand_over(pages, source=source)
                    pages.clear()
        except NoSitemapError as error:
            raise SourceRejectedError(f"{show_url(fetched.url)} is not a sitemap: {error}") from error
        await self.hand_over(pages, source=source, cursor=self._remember(place, reading, is_index))
        return inner

    def _remember(self, place: Place, reading: Reading, is_index: bool) -> dict[str, Any] | None:
        if reading.problem is not None:
            self.problems.append(f"{show_url(place.url)}: {reading.problem}; read as far as that")
            return None
        lastmod = "" if is_index else place.lastmod
        return {"lastmod": lastmod, "is_index": is_index, "wanted": self._wanted_mark}

    def _recall_place(self, source: str) -> dict[str, Any]:
        """Recall what was remembered of a sitemap, unless other pages were wanted then."""
        cursor = self.recall(source).cursor
        return cursor if isinstance(cursor, dict) and cursor.get("wanted") == self._wanted_mark else {}

    @property
    def _wanted_mark(self) -> str:
        return self.mark_wanted(self.params.include, self.params.exclude, self.params.sitemaps)

    def _choose_sitemap(self, entry: SitemapEntry, base: str) -> list[SitemapEntry]:
        url = _join(base, entry.url)
        if not url:
            self.refused[Refusal.NO_KEY.value] += 1
            return []
        if self.params.sitemaps is not None and not re.search(self.params.sitemaps, url):
            return []
        return [] if self._is_too_old(tell_iso(entry.lastmod)) else [SitemapEntry(url, entry.lastmod)]

    def _choose_page(self, entry: PageEntry, base: str, source: str) -> list[FoundItem]:
        url = _join(base, entry.url)
        if url and not Wanted(False, self.params.include, self.params.exclude).takes(url, base):
            return []
        if self._is_too_old(entry.modified_at):
            self.refused[TOO_OLD] += 1
            return []
        return [_make_item(entry, url, source)]

    def _is_too_old(self, modified_at: str | None) -> bool:
        since = self.access.since
        return since is not None and modified_at is not None and datetime.fromisoformat(modified_at) < since


def _make_item(entry: PageEntry, url: str, source: str) -> FoundItem:
    data = {
        "url": url,
        "modified_at": entry.modified_at,
        "published_at": entry.published_at,
        "title": entry.title,
        "publication": entry.publication,
        "images": list(entry.images),
        "videos": list(entry.videos),
        "sitemap": source,
    }
    key = hash_url(canonical_url(url), KEY_DIGITS) if url else ""
    return FoundItem(key, data, version=entry.lastmod[:100] or entry.published_at, source=source)


def _with_scheme(site: str) -> str:
    return site if "://" in site else f"https://{site}"


def _join(base: str, url: str) -> str:
    return (join_url(base, url) if url else None) or ""
