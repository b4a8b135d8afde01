from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from selectolax.lexbor import LexborHTMLParser

from discovery.pages import MAX_PAGE_BYTES, WebPage
from net.fetched import Fetched
from net.html import MAX_CHARACTERS, find_excess, read_node_text
from pipeline.errors import SourceRejectedError


def page(text, content_type="text/html", url="https://example.org/a/b"):
    return WebPage.parse(Fetched(url, 200, {"content-type": content_type}, text.encode(), datetime.now(UTC)))


BOMBS = {
    "deep": lambda: "<div>" * 200_000,
    "misnested": lambda: "<p>" + "".join(f"<font size={n}>" for n in range(2000)) + "<p>x" * 5000,
    "misnested, with closing tags that are in a comment": lambda: (
        "<p>" + "".join(f"<b id={n}><!--</b>-->" for n in range(2000)) + "<p>x" * 5000
    ),
    "behind an attribute that looks like a comment": lambda: '<p title="<!--">' + "<div>" * 200_000,
    "behind a comment that is over at once": lambda: "<!-->" + "<div>" * 200_000,
    "behind a declaration that looks like a comment": lambda: "<!x <!-- >" + "<div>" * 200_000,
    "in what is a style only outside of a picture": lambda: "<svg><style>" + "<div>" * 200_000,
    "in what is a title only outside of a choice": lambda: "<select><title></select>" + "<div>" * 200_000,
    "attributes": lambda: "<p " + " ".join(f"a{n}" for n in range(1_000_000)) + ">",
    "attributes behind a bracket": lambda: '<p a=">" ' + " ".join(f"a{n}" for n in range(1_000_000)) + ">",
    "many": lambda: "<p>" * 600_000,
    "long": lambda: "x" * (MAX_CHARACTERS + 1),
    "very long": lambda: "x" * (MAX_PAGE_BYTES + 1),
}
"""Each is made when it is tried: together they are more than collecting all tests should take."""


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_page_that_would_unfold_into_too_much_is_not_parsed(bomb):
    text = BOMBS[bomb]()
    begun = time.thread_time()
    with pytest.raises(SourceRejectedError, match="too much for a page"):
        page(text)
    assert time.thread_time() - begun < 5


def test_a_large_page_that_is_well_nested_is_parsed():
    rows = "<div class=row><p><b>One</b> <i>two</i><a href=/x>three</a></div>" * 20_000
    assert find_excess(f"<script>{'<div>' * 10_000}</script>{rows}") is None
    assert len(page(rows).tree.css("a")) == 20_000


@pytest.mark.parametrize(
    ("text", "content_type"), [("", "text/html"), ("x\0y", "text/html"), ("{}", "application/json")]
)
def test_what_is_no_page_is_told_as_such(text, content_type):
    with pytest.raises(SourceRejectedError):
        page(text, content_type)


@pytest.mark.parametrize(
    ("head", "base"),
    [
        ("", "https://example.org/a/b"),
        ("<base href='/c/'>", "https://example.org/c/"),
        ("<base target=_top><base href='//cdn.example/'><base href=/d>", "https://cdn.example/"),
        ("<base href='javascript:x'>", "https://example.org/a/b"),
    ],
)
def test_references_are_relative_to_what_the_page_says(head, base):
    assert page(f"<head>{head}</head><p>x").base == base


def test_the_text_of_a_node_is_one_line_without_what_is_not_shown():
    tree = LexborHTMLParser("<div> a\n<b>b</b>c <script>x()</script><style>y</style><!-- z --></div>after")
    assert read_node_text(tree.css_first("div")) == "a bc"
    assert read_node_text(tree.css_first("div"), 3) == "a b"
