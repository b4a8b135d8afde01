"""The handler `html_to_markdown`, on pages good and bad."""

from __future__ import annotations

import time

import pytest

from handlers.html_to_markdown import HtmlToMarkdown
from handlers.running import run_handler
from pipeline.outcomes import GiveUp, Skip

PAGE = """<!doctype html><html><head><title>On roots</title></head><body>
<nav><a href="/">Home</a> <a href="/all">Everything we sell</a></nav>
<main><article><h1>On roots</h1>
<p>The <b>celeriac</b> is a <em>root</em> that <a href="/keep">keeps</a> through the <code>winter</code>, long.</p>
<h2>How to</h2><ul><li>Wash it<ul><li>with water</li></ul></li><li>Peel it</li></ul>
<pre><code>def f(x):
    return x * 2
</code></pre>
<table><tr><th>Root</th><th>Weight</th></tr><tr><td>Carrot</td><td>100 g</td></tr></table>
<img src="/i.png" alt="A root"></article></main>
<footer>Copyright</footer></body></html>"""
DEEP = "<p>The celeriac is a root that keeps through the winter, long after its stalks have gone.</p>"


@pytest.fixture
def convert(make_context):
    """Convert a page as the result of a stage `fetch`."""

    def run(page: str = PAGE, content_type: str = "text/html", **params):
        results = {"fetch": {"url": "https://garden.example/a", "text": page, "content_type": content_type}}
        return run_handler(HtmlToMarkdown(params), make_context(results=results))

    return run


def test_the_main_part_of_a_page_becomes_markdown(convert):
    result = convert()
    text = result.pop("text")
    for piece in (
        "The **celeriac** is a *root* that [keeps](https://garden.example/keep) through the `winter`, long.",
        "## How to\n\n- Wash it\n  - with water\n- Peel it",
        "```\ndef f(x):\n    return x * 2\n```",
        "| Root | Weight |",
        "| Carrot | 100 g |",
    ):
        assert piece in text
    assert "Everything we sell" not in text
    assert "Copyright" not in text
    assert "i.png" not in text
    assert result == {
        "content_type": "text/markdown",
        "title": "On roots",
        "words": result["words"],
        "url": "https://garden.example/a",
    }
    assert result["words"] > 20


def test_links_images_and_tables_are_kept_as_asked(convert):
    text = convert(links=False, images=True, tables=False)["text"]
    assert "*root* that keeps through" in text
    assert "![A root](https://garden.example/i.png)" in text
    assert "Carrot" not in text


def test_a_short_piece_keeps_its_form(convert):
    assert convert("<p>Short <b>bit</b></p><ul><li>a<li>b</ul>")["text"] == "Short **bit**\n\n- a\n- b"


def test_a_text_that_is_not_html_passes_through(convert):
    assert convert(" # Just <some> words\n", "text/markdown")["text"] == "# Just <some> words"


@pytest.mark.parametrize(
    "page", ["", "<html><body></body></html>", "<html><body><script>render()</script></body></html>"]
)
def test_a_page_without_text_is_skipped(convert, page):
    assert convert(page) == Skip("no text in the page")


def test_a_page_beyond_the_limit_is_given_up(convert):
    assert convert("x" * 101, max_chars=100) == GiveUp("a page of 101 characters, more than max_chars (100)")


def test_a_page_of_many_tags_that_takes_too_long_is_given_up(convert):
    outcome = convert("<html><body>" + "<div><p>x</p></div>" * 50_000, max_seconds=1)
    assert "longer than max_seconds (1)" in outcome.reason


def test_a_page_of_many_tags_is_read_as_any_other(convert):
    how = {"images": True, "tables": False, "links": False}
    assert convert(PAGE.replace("<nav>", "<nav>" + "<br>" * 10_000), **how) == convert(**how)


@pytest.mark.parametrize("tag", ["div", "table><tr><td", "ul><li", "blockquote", "b", "svg"])
@pytest.mark.parametrize("start", ["<html><body>", ""], ids=["page", "piece"])
def test_html_nested_a_hundred_thousand_deep_ends_soon_and_clearly(convert, tag, start):
    began = time.process_time()
    assert isinstance(convert(start + f"<{tag}>" * 100_000 + DEEP), dict | Skip)
    assert time.process_time() - began < 20
