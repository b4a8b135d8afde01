"""The links of web pages."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from discovery.base import (
    BaseDiscovery,
    FoundItem,
    StrategyParams,
    canonical_url,
    hash_url,
    name_source,
)
from discovery.links import Exclude, Include, Link, SameHost, Wanted, find_link, find_links
from discovery.pages import WebPage
from discovery.paging import Page, collect_pages
from discovery.web_addresses import WebAddress  # noqa: TC001  the model is built with it
from net.html import Selector  # noqa: TC001  and with it

KEY_DIGITS = 20
PAGE_NUMBER = "{page}"


class HtmlLinks(BaseDiscovery):
    """
    Find the links of a web page, and of the pages that follow it.

    Each address once, without links to the page itself. A later page that fails, or that comes again, ends the
    discovery with what was found before it.

    Key: a hash of the link's canonical address. Order: the page's own, page after page.
    Data: `{"url": str, "text": str, "title": str, "context": str, "page": str}`: what the link says (of a
    picture, its alternative text), its `title` attribute, at most 300 characters of the text around it, and the
    page that it stands on. One request per page; none of the work when a single page has not changed.
    Example: {strategy: html_links, url: "https://example.org/news", selector: "article h2 a", next_page: "a.next"}

    Source: the HTML Standard, html.spec.whatwg.org; Selectors 4, w3.org/TR/selectors-4.
    """

    class Params(StrategyParams):
        """Which page, which of its links, and what comes after it."""

        url: WebAddress = Field(min_length=1, description="The address of the page.")
        selector: Selector = Field(
            "a[href]", description="A CSS selector of the links, or of what holds them."
        )
        same_host: SameHost = True
        include: Include = None
        exclude: Exclude = None
        next_page: Selector | None = Field(
            None, description="A CSS selector of the link to the next page; left out, there is none."
        )
        page_url: WebAddress | None = Field(
            None,
            description="The address of the pages after the first, with `{page}` for their number; "
            "they end with the first that has no links.",
        )
        first_page: int = Field(2, ge=0, description="The number with which `page_url` begins.")
        max_pages: int = Field(10, ge=1, le=1000, description="At most this many pages.")

        @model_validator(mode="after")
        def _names_one_way(self) -> HtmlLinks.Params:
            if self.page_url is not None and PAGE_NUMBER not in self.page_url:
                raise ValueError("page_url needs {page} where the number of the page goes")
            if self.page_url is not None and self.next_page is not None:
                raise ValueError("give next_page or page_url, not both")
            return self

    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Read the pages one after another. Raises `SourceError` when the first could not be had."""
        source = name_source(self.params.url)
        if self.params.next_page is None and self.params.page_url is None:
            asked = self.params
            wanted = asked.selector, asked.same_host, asked.include, asked.exclude
            fetched = await self.fetch_if_changed(asked.url, wanted=wanted)
            if fetched is None:
                return []
            items = self._find_items(WebPage.parse(fetched))
        else:
            items = await collect_pages(self, source, self._read_page, max_pages=self.params.max_pages)
        if not items:
            self.problems.append(f"{source} has no such links: is it laid out otherwise now?")
        return items

    async def _read_page(self, at: Any) -> Page:
        url = self.params.url if at is None else at
        if isinstance(url, int):
            url = str(self.params.page_url).replace(PAGE_NUMBER, str(url))
        page = WebPage.parse(await self.fetch(url, source=name_source(self.params.url)))
        items = self._find_items(page)
        return Page(items, self._find_next(page, at, bool(items)))

    def _find_next(self, page: WebPage, at: Any, any_found: bool) -> str | int | None:
        if self.params.next_page is not None:
            return find_link(page, self.params.next_page)
        if not any_found:
            return None
        return self.params.first_page if at is None else at + 1

    def _find_items(self, page: WebPage) -> list[FoundItem]:
        asked = self.params
        wanted = Wanted(asked.same_host, asked.include, asked.exclude)
        return [_make_item(link, page.url) for link in find_links(page, asked.selector, wanted)]


def _make_item(link: Link, page: str) -> FoundItem:
    data = {
        "url": link.url,
        "text": link.text,
        "title": link.title,
        "context": link.context,
        "page": page,
    }
    return FoundItem(hash_url(canonical_url(link.url), KEY_DIGITS), data)
