"""The links of an index that is spread over pages by letter, or by anything else."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import Field, model_validator

from discovery.base import (
    BaseDiscovery,
    FoundItem,
    StrategyParams,
    canonical_url,
    hash_url,
    name_source,
)
from discovery.instants import tell_instant
from discovery.links import (
    MAX_LINKS,
    Exclude,
    Include,
    Link,
    SameHost,
    Wanted,
    find_link,
    find_links,
    read_attribute,
)
from discovery.pages import Pattern, WebPage
from discovery.paging import Page, hand_over_pages
from net.html import FieldSelector, Selector, read_node_text, split_field
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from selectolax.lexbor import LexborNode

KEY_DIGITS = 20
MAX_FIELD_CHARACTERS = 5000
_INSTANTS = {"published_at", "modified_at"}


class IndexPages(BaseDiscovery):
    """
    Find the entries of an index that is spread over pages, such as those of an A to Z.

    Each page is stored before the next is asked for: a discovery that breaks off goes on at the letter that it
    had come to. A letter without a page does not stop the others, nor does one that fails in three discoveries in
    a row.

    Key: what `key` finds in the entry's address, or a hash of its canonical form. Order: page after page, each
    in its own order.
    Data: `{"url": str, "text": str, "index": str}`, what `fields` names, and the named groups of `pattern`: the
    link's address and what it says, and the letter that it was found under. One request per page.
    Example: {strategy: index_pages, url: "https://example.org/glossary/{value}", values: [a, b, c],
    row: "dl > dt", fields: {published_at: "time@datetime", author: ".by"}}

    Source: the HTML Standard, html.spec.whatwg.org; Selectors 4, w3.org/TR/selectors-4.
    """

    class Params(StrategyParams):
        """Which pages, which links of them, and what is read beside each."""

        url: str = Field(
            min_length=1, description="The address of a page, with `{value}`, or the names in `values`."
        )
        values: list[str] | dict[str, list[str]] = Field(
            default_factory=lambda: [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
            min_length=1,
            description="What goes into the address: a list, or a list for each of several names. A to Z if left out.",
        )
        row: Selector | None = Field(
            None, description="A CSS selector of what holds one entry; left out, each link is one."
        )
        selector: Selector = Field(
            "a[href]", description="A CSS selector of the links, in a row if there are rows."
        )
        same_host: SameHost = True
        include: Include = None
        exclude: Exclude = None
        key: Pattern | None = Field(
            None, description="A regular expression; its first group in the address is the key."
        )
        pattern: Pattern | None = Field(
            None, description="A regular expression; its named groups in what the link says go into the data."
        )
        fields: dict[str, FieldSelector] = Field(
            default_factory=dict,
            description="Further data: a CSS selector in the row for each name, `selector@attribute` for an attribute.",
        )
        next_page: Selector | None = Field(
            None, description="A CSS selector of the link to a letter's next page; left out, it has one page."
        )
        max_pages: int = Field(
            1000,
            ge=1,
            le=100_000,
            description="At most this many pages a discovery; the next goes on after them.",
        )

        @model_validator(mode="after")
        def _fits(self) -> IndexPages.Params:
            missing = [name for name in _name_values(self.values) if f"{{{name}}}" not in self.url]
            if missing:
                raise ValueError(f"url needs {{{missing[0]}}} where the value goes")
            return self

    params: Params

    async def discover(self) -> list[FoundItem]:
        """Read page after page. Raises `SourceError` when none could be had."""
        async with self.looking():
            self._pages_had = self._links_found = 0
            await hand_over_pages(
                self,
                self._source,
                self._read_page,
                max_pages=self.params.max_pages,
                goes_on=True,
                find_after=self._find_following,
            )
            self._judge()
        return self.kept

    def make_item(self, link: Link, row: LexborNode | None, index: str) -> FoundItem | None:
        """Make an item of a link, found in a row under a letter; None for one that is not wanted."""
        data: dict[str, Any] = {"url": link.url, "text": link.text, "index": index}
        if self.params.pattern and (found := re.search(self.params.pattern, link.text)):
            data |= {name: (value or "").strip() for name, value in found.groupdict().items()}
        for name, selector in self.params.fields.items():
            data[name] = _read_field(row if row is not None else link.node, selector)
        data |= {name: tell_instant(data[name]) for name in _INSTANTS & data.keys()}
        return FoundItem(self._make_key(link.url), data)

    @property
    def _source(self) -> str:
        return name_source(self.params.url)

    def _combinations(self) -> dict[str, tuple[str, ...]]:
        values = self.params.values
        lists = values.values() if isinstance(values, dict) else [values]
        return {"/".join(each): each for each in product(*lists)}

    async def _read_page(self, at: Any) -> Page:
        index, url = self._find_place(at)
        following = self._find_following(at)
        try:
            page = WebPage.parse(await self.fetch(url, source=self._source))
        except SourceRejectedError as error:
            self.problems.append(str(error))
            return Page((), following)
        entries = [*self._find_entries(page)]
        made = [self.make_item(link, row, index) for link, row in entries]
        items = [item for item in made if item is not None]
        self._pages_had, self._links_found = self._pages_had + 1, self._links_found + len(entries)
        further = find_link(page, self.params.next_page) if self.params.next_page else None
        return Page(items, {"index": index, "url": further} if further else following)

    def _find_following(self, at: Any) -> dict[str, str] | None:
        indexes = [*self._combinations()]
        number = indexes.index(self._find_place(at)[0]) + 1
        return {"index": indexes[number]} if number < len(indexes) else None

    def _find_place(self, at: Any) -> tuple[str, str]:
        by_index = self._combinations()
        place = (
            at if isinstance(at, dict) and at.get("index") in by_index else {"index": next(iter(by_index))}
        )
        url = self.params.url
        for name, value in zip(_name_values(self.params.values), by_index[place["index"]], strict=True):
            url = url.replace(f"{{{name}}}", quote(value, safe=""))
        return place["index"], place.get("url") or url

    def _find_entries(self, page: WebPage) -> Iterator[tuple[Link, LexborNode | None]]:
        asked = self.params
        wanted = Wanted(asked.same_host, asked.include, asked.exclude)
        rows: Sequence[LexborNode | None] = page.tree.css(asked.row) if asked.row else [None]
        known, looked_at = set[str](), 0
        for row in rows:
            links = find_links(page, asked.selector, wanted, row)
            yield from ((link, row) for link in links if link.url not in known)
            known |= {link.url for link in links}
            looked_at += len(links)
            if looked_at > MAX_LINKS:  # rows within rows hold the same links again and again
                return

    def _make_key(self, url: str) -> str:
        if self.params.key is None:
            return hash_url(canonical_url(url), KEY_DIGITS)
        found = re.search(self.params.key, url)
        return (found[1] or "") if found and found.groups() else ""

    def _judge(self) -> None:
        if not self._pages_had and self.problems:
            raise SourceRejectedError(f"no page of {self._source} could be had: {self.problems[0]}")
        if self._pages_had and not self._links_found:
            self.problems.append(
                f"{self._source} has no such links on any page: is it laid out otherwise now?"
            )


def _name_values(values: list[str] | dict[str, list[str]]) -> list[str]:
    return [*values] if isinstance(values, dict) else ["value"]


def _read_field(node: LexborNode, selector: str) -> str:
    css, attribute = split_field(selector)
    found = node.css_first(css) if css else node
    if found is None:
        return ""
    return read_attribute(found, attribute) if attribute else read_node_text(found, MAX_FIELD_CHARACTERS)
