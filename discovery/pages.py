"""Web pages, parsed within bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator
from selectolax.lexbor import LexborHTMLParser, SelectolaxError

from discovery.urls import join_url
from net.html import MAX_CHARACTERS, find_excess
from net.shown import show_url
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from net.client import Fetched

MAX_PAGE_BYTES = 2 * MAX_CHARACTERS


def _is_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_is_pattern)]
"""A regular expression, checked when jobs.yaml is read."""


@dataclass(frozen=True, slots=True)
class WebPage:
    """A parsed page: `url` is where it was found, `base` what its references are relative to."""

    url: str
    base: str
    tree: LexborHTMLParser

    @classmethod
    def parse(cls, fetched: Fetched) -> WebPage:
        """
        Parse an answer as HTML.

        Raises `SourceRejectedError` for what is another type or empty, and for a page that would unfold into too
        much: the rules for misnested tags let a few kilobytes become millions of nodes.

        Source: the HTML Standard, 13.2.6, html.spec.whatwg.org.
        """
        shown = show_url(fetched.url)
        if fetched.content_type not in {"", "text/html", "application/xhtml+xml", "text/plain"}:
            raise SourceRejectedError(f"{shown} is no page but {fetched.content_type[:80]}")
        if len(fetched.body) > MAX_PAGE_BYTES:
            raise SourceRejectedError(f"{shown} is too much for a page: over {MAX_PAGE_BYTES:,} bytes")
        text = fetched.text
        if "\0" in text[:1024] or not text.strip():
            raise SourceRejectedError(f"{shown} is empty, or no text")
        if too_much := find_excess(text):
            raise SourceRejectedError(f"{shown} is too much for a page: {too_much}")
        try:
            tree = LexborHTMLParser(text)
        except SelectolaxError as error:
            raise SourceRejectedError(f"{shown} cannot be read as a page: {error}") from error
        return cls(fetched.url, _find_base(tree, fetched.url), tree)


def _find_base(tree: LexborHTMLParser, url: str) -> str:
    node = tree.css_first("base[href]")
    reference = node.attributes.get("href") if node is not None else None
    return (join_url(url, reference) if reference else None) or url
