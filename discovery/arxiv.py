"""Papers on arXiv."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlencode

from pydantic import Field, StringConstraints, model_validator

from discovery.atom import Atom, parse_atom
from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from discovery.instants import tell_datetime, tell_iso
from discovery.shapes import read_web_address
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from pipeline.errors import SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from net.client import Fetched

PAGE = 100

_NAMESPACES = {
    "arxiv": "http://arxiv.org/schemas/atom",
    "opensearch": "http://a9.com/-/spec/opensearch/1.1/",
}
_PAPER_ID = re.compile(r"/abs/(?P<id>[\w.-]+?(?:/\d{7})?)(?:v(?P<version>\d{1,4}))?$", re.ASCII)
_CATEGORY = r"^[a-z-]+(\.[A-Za-z-]+)?$"
_DATES = {"submittedDate": "published_at", "lastUpdatedDate": "modified_at"}


class Arxiv(BaseDiscovery):
    """
    Find papers on arXiv, the latest first.

    A new version of a paper is a change of its item. arXiv is known to answer a later page with nothing: it is
    asked once more, and then the rest is left to the next time.

    Key: the paper's id without its version, such as `2301.00001`. Order: latest first.
    Data: `{"url": str, "pdf_url": str, "title": str, "summary": str, "authors": list[str],
    "categories": list[str], "primary_category": str, "published_at": str | None, "modified_at": str | None,
    "paper_version": int | None, "doi": str, "journal": str, "comment": str}`: the instants, ISO in UTC, are of
    the first version and of this one. One request for each hundred papers.
    Example: {strategy: arxiv, categories: [cs.DB], query: "abs:queue OR ti:scheduler", limit: 200}

    Source: info.arxiv.org/help/api/user-manual.html.
    """

    class Params(StrategyParams):
        """Which papers."""

        query: str | None = Field(
            None,
            min_length=1,
            max_length=1000,
            description="A search in arXiv's own words, such as `ti:queue`.",
        )
        categories: list[Annotated[str, StringConstraints(pattern=_CATEGORY)]] = Field(
            [], description="Subjects, such as `cs.DB`; any of them."
        )
        sort_by: Literal["submittedDate", "lastUpdatedDate"] = Field(
            "submittedDate", description="Whether the latest are the newest papers, or the newest versions."
        )
        limit: int = Field(100, ge=1, le=2000, description="At most this many papers.")
        base_url: WebAddress = Field("https://export.arxiv.org", description="Where the API is.")

        @model_validator(mode="after")
        def _asks_for_something(self) -> Self:
            if not self.query and not self.categories:
                raise ValueError("give a query, or categories")
            return self

    obeys_robots = False
    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Read page by page. Raises `SourceUnavailableError` when arXiv gives nothing although it has something."""
        found: dict[str, FoundItem] = {}
        unknown: list[FoundItem] = []
        start, total = 0, 1
        while start < min(total, self.params.limit):
            feed = await self._read_page(start)
            total, items = (
                _read_total(feed),
                [_make_item(entry, self._source) for entry in feed.all("atom:entry")],
            )
            unknown.extend(item for item in items if not item.key)
            new = {item.key: item for item in items if item.key and item.key not in found}
            found |= new
            start += PAGE
            if start < min(total, self.params.limit) and not self._goes_on(new, start, total):
                break
        return [*found.values(), *unknown][: self.params.limit]

    def _goes_on(self, new: dict[str, FoundItem], start: int, total: int) -> bool:
        if not new:
            self.problems.append(
                f"arXiv gave nothing new at {start - PAGE} of {total}; the rest is for next time"
            )
            return False
        oldest = list(new.values())[-1].data[_DATES[self.params.sort_by]]
        since = tell_datetime(self.access.since) if self.access.since else None
        return not since or not oldest or oldest >= since

    async def _read_page(self, start: int) -> Atom:
        feed = await self._ask(start)
        if feed.all("atom:entry") or start >= _read_total(feed):
            return feed
        feed = await self._ask(start)
        if start == 0 and not feed.all("atom:entry") and _read_total(feed):
            raise SourceUnavailableError("arXiv gave none of the papers that it says it has")
        return feed

    async def _ask(self, start: int) -> Atom:
        asked = {
            "search_query": self._write_query(),
            "sortBy": self.params.sort_by,
            "sortOrder": "descending",
            "start": start,
            "max_results": min(PAGE, self.params.limit - start),
        }
        url = f"{self.params.base_url.rstrip('/')}/api/query?{urlencode(asked)}"
        fetched = await self.fetch(url, source=self._source, statuses_ok={HTTPStatus.BAD_REQUEST})
        feed = await asyncio.to_thread(_read_feed, fetched)
        if feed.broken:
            self.problems.append(f"arXiv's answer is read up to where it broke: {feed.broken}")
        return feed

    @property
    def _source(self) -> str:
        return self._write_query()[:1000]

    def _write_query(self) -> str:
        categories = " OR ".join(f"cat:{category}" for category in self.params.categories)
        both = [f"({part})" for part in (categories, self.params.query) if part]
        return " AND ".join(both)


def _read_feed(fetched: Fetched) -> Atom:
    if fetched.body[:100].strip().lower().startswith(b"rate exceeded"):
        raise SourceUnavailableError("arXiv says Rate exceeded: it wants one request in three seconds")
    feed = parse_atom(fetched, _NAMESPACES)
    for entry in feed.all("atom:entry")[:1]:
        if "/api/errors" in entry.text("atom:id"):
            raise SourceRejectedError(f"arXiv refuses the query: {entry.text('atom:summary'):.200}")
    if fetched.status != HTTPStatus.OK:
        raise SourceRejectedError(f"arXiv answered {fetched.status}")
    return feed


def _read_total(feed: Atom) -> int:
    total = feed.text("opensearch:totalResults")
    return int(total) if re.fullmatch(r"[0-9]{1,9}", total) else 0


def _make_item(entry: Atom, source: str) -> FoundItem:
    named = _PAPER_ID.search(entry.text("atom:id"))
    paper_id, version = (named["id"], named["version"]) if named else ("", None)
    data = {
        "url": f"https://arxiv.org/abs/{paper_id}",
        "pdf_url": _find_pdf(entry) or f"https://arxiv.org/pdf/{paper_id}",
        "title": entry.text("atom:title"),
        "summary": entry.text("atom:summary"),
        "authors": [name for author in entry.all("atom:author") if (name := author.text("atom:name"))],
        "categories": [term for each in entry.all("atom:category") if (term := each.attribute(".", "term"))],
        "primary_category": entry.attribute("arxiv:primary_category", "term"),
        "published_at": tell_iso(entry.text("atom:published")),
        "modified_at": tell_iso(entry.text("atom:updated")),
        "paper_version": int(version) if version else None,
        "doi": entry.text("arxiv:doi"),
        "journal": entry.text("arxiv:journal_ref"),
        "comment": entry.text("arxiv:comment"),
    }
    return FoundItem(paper_id, data, version=f"v{version}" if version else None, source=source)


def _find_pdf(entry: Atom) -> str | None:
    links = [link for link in entry.all("atom:link") if link.attribute(".", "title") == "pdf"]
    return read_web_address(links[0].attribute(".", "href")) if links else None
