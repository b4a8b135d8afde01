"""The links of a web page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from discovery.pages import Pattern
from discovery.urls import canonical_url, join_url, name_host
from net.html import read_node_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborHTMLParser, LexborNode

    from discovery.pages import WebPage

SameHost = Annotated[
    bool, Field(description="Only links to the page's own host; `www.` makes no difference.")
]
Include = Annotated[
    Pattern | None, Field(description="Only links whose address this regular expression is found in.")
]
Exclude = Annotated[
    Pattern | None, Field(description="No links whose address this regular expression is found in.")
]

MAX_LINKS = 10_000
"""How many links of one page are looked at."""

MAX_TEXT_CHARACTERS = 1000
MAX_CONTEXT_CHARACTERS = 300
_SURROUNDINGS = 4


@dataclass(frozen=True, slots=True)
class Link:
    """A link: where it leads, what it says, and the node that holds it."""

    url: str
    text: str
    title: str
    node: LexborNode

    @property
    def context(self) -> str:
        """The text around it, at most 300 characters: of the nearest of the tags about it that says more than it."""
        around: LexborNode | None = self.node
        text = self.text[:MAX_CONTEXT_CHARACTERS]
        for _ in range(_SURROUNDINGS):
            around = around.parent if around is not None else None
            if around is None or around.tag in {"body", "html"}:
                break
            text = read_node_text(around, MAX_CONTEXT_CHARACTERS)
            if len(text) > len(self.text):
                break
        return text


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which links are wanted: by host, and by expressions searched for in the address."""

    same_host: bool = True
    include: str | None = None
    exclude: str | None = None

    def takes(self, url: str, page_url: str) -> bool:
        """Tell whether a link from a page is wanted."""
        if self.same_host and name_host(url) != name_host(page_url):
            return False
        if self.include is not None and not re.search(self.include, url):
            return False
        return self.exclude is None or not re.search(self.exclude, url)


def find_links(page: WebPage, selector: str, wanted: Wanted, within: LexborNode | None = None) -> list[Link]:
    """
    Find the wanted links of a page, or of a part of it, each address once, none that leads to the page itself.

    The selector finds links, or tags that hold some. Of several links to one address (a picture, a mark, a
    headline) the first is taken that says more than a letter, in the place of the first.
    """
    itself, found, spoken = canonical_url(page.url), dict[str, Link](), set[str]()
    for node in _find_nodes(page.tree if within is None else within, selector):
        url = join_url(page.base, node.attributes.get("href") or "")
        if url is None or (known := canonical_url(url)) == itself or not wanted.takes(url, page.url):
            continue
        text = read_node_text(node, MAX_TEXT_CHARACTERS)
        if known not in found or (known not in spoken and len(text) > 1):
            label = text or _read_alternative(node)
            found[known] = Link(url, label, read_attribute(node, "title"), node)
        if len(text) > 1:
            spoken.add(known)
    return list(found.values())


def find_link(page: WebPage, selector: str) -> str | None:
    """Find where the first link leads that a selector finds; None when there is none, or to another host."""
    node = next(_find_nodes(page.tree, selector), None)
    url = join_url(page.base, node.attributes.get("href") or "") if node is not None else None
    return url if url is not None and name_host(url) == name_host(page.url) else None


def read_attribute(node: LexborNode, name: str) -> str:
    """Read an attribute as text; empty when there is none."""
    return " ".join((node.attributes.get(name) or "").split())[:MAX_TEXT_CHARACTERS]


def _find_nodes(within: LexborHTMLParser | LexborNode, selector: str) -> Iterator[LexborNode]:
    count = 0
    for node in within.css(selector):
        for link in (node,) if node.attributes.get("href") is not None else node.css("a[href]"):
            yield link
            count += 1
            if count >= MAX_LINKS:
                return


def _read_alternative(node: LexborNode) -> str:
    picture = node.css_first("img[alt]")
    alternative = read_attribute(picture, "alt") if picture is not None else ""
    return alternative or read_attribute(node, "aria-label")
