"""The handler `article`, on pages good and bad."""

from __future__ import annotations

import importlib
import sys
import time

import pytest

from handlers.article import Article
from handlers.running import run_handler
from pipeline.catalog import HANDLER, load
from pipeline.errors import MissingExtraError
from pipeline.outcomes import GiveUp, Skip

PARAGRAPH = "<p>The celeriac is a root that keeps through the winter, long after its stalks have gone.</p>"
ARTICLE = "".join(
    PARAGRAPH.replace("celeriac", root) for root in ("celeriac", "parsnip", "beetroot", "carrot")
)
PAGE = f"""<!doctype html>
<html lang="en-GB">
<head>
<title>On roots | The Garden</title>
<meta name="author" content="Rosa Luna">
<meta property="article:published_time" content="2026-03-04T05:06:07Z">
</head>
<body>
<nav><a href="/">Home</a> <a href="/all">Everything we sell</a></nav>
<article><h1>On roots</h1>{ARTICLE}</article>
<footer>Copyright. All rights reserved.</footer>
</body>
</html>"""


@pytest.fixture
def extract(make_context):
    """Extract from a page as the result of a stage `fetch`."""

    def run(text: str, content_type: str | None = "text/html", data: dict | None = None, **params):
        results = {
            "fetch": {"url": "https://garden.example/roots", "text": text, "content_type": content_type}
        }
        return run_handler(Article(params), make_context(results=results, data=data or {}))

    return run


def test_an_article_is_taken_out_of_its_page(extract):
    result = extract(PAGE)
    text = result.pop("text")
    assert text.count("keeps through the winter") == 4
    assert "Everything we sell" not in text
    assert "Copyright" not in text
    assert result.pop("words") == len(text.split())
    assert result == {
        "title": "On roots",
        "author": "Rosa Luna",
        "published_at": "2026-03-04",
        "language": "en",
        "url": "https://garden.example/roots",
    }


def test_the_pages_before_it_change_nothing_about_a_page(extract):
    first = extract(PAGE)
    assert [extract(PAGE) for _ in range(20)] == [first] * 20


def test_what_a_page_does_not_say_is_none_or_from_the_item(extract):
    result = extract(f"<html><body><article>{ARTICLE}</article></body></html>", data={"title": "Roots"})
    assert (result["title"], result["author"], result["published_at"], result["language"]) == (
        "Roots",
        None,
        None,
        None,
    )


@pytest.mark.parametrize("content_type", ["text/plain", "text/markdown; charset=utf-8", "application/json"])
def test_a_text_that_is_not_html_passes_through(extract, content_type):
    result = extract(" Just <some> words.\n", content_type)
    assert result["text"] == "Just <some> words."
    assert result["words"] == 3


def test_a_piece_of_html_is_taken_whole(extract):
    result = extract(
        "Ask: tea &amp; cake? <p>With <a href='x'>milk</a>.<p>Or <i>not</i>", data={"title": "Ask"}
    )
    assert result["text"] == "Ask: tea & cake?\n\nWith milk.\n\nOr not"
    assert result["title"] == "Ask"


def test_the_nearest_needed_text_is_taken_and_the_items_url(make_context):
    context = make_context(
        results={"a": {"text": "first"}, "b": {"text": "second"}}, data={"url": "https://x.example"}
    )
    result = run_handler(Article({}), context)
    assert (result["text"], result["url"]) == ("second", "https://x.example")
    assert run_handler(Article({"text_from": "a"}), context)["text"] == "first"


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html><body></body></html>",
        "<html><body><script>render()</script></body></html>",
        "<p> </p>",
        "<!doctype html>",
    ],
)
def test_a_page_without_an_article_is_skipped(extract, page):
    assert extract(page) == Skip("no article text")


def test_a_page_beyond_the_limit_is_given_up(extract):
    assert "a page of 101 characters, more than max_chars (100)" in extract("x" * 101, max_chars=100).reason


@pytest.mark.parametrize(
    "tag", ["div", "span", "table><tr><td", "ul><li", "blockquote", "b", "font", "svg", "q"]
)
@pytest.mark.parametrize("start", ["<html><body>", ""], ids=["page", "piece"])
def test_html_nested_a_hundred_thousand_deep_ends_soon_and_clearly(extract, tag, start):
    began = time.process_time()
    outcome = extract(start + f"<{tag}>" * 100_000 + PARAGRAPH)
    assert isinstance(outcome, dict | Skip)
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "page",
    [
        "<" * 1_000_000,
        "<!--" * 300_000,
        "<html lang " * 100_000,
        "<html><p" + " a=b" * 300_000,
        "<p" * 500_000,
        "\0" * 1000,
    ],
    ids=["brackets", "comments", "langs", "attributes", "unclosed", "nulls"],
)
def test_broken_html_ends_soon_and_clearly(extract, page):
    began = time.process_time()
    assert isinstance(extract(page), dict | Skip)
    assert time.process_time() - began < 20


def test_a_page_of_many_tags_that_takes_too_long_is_given_up(extract):
    outcome = extract("<html><body>" + "<div><p>x</p></div>" * 50_000, max_seconds=1)
    assert "longer than max_seconds (1), or than the stage has" in outcome.reason


def test_a_reader_that_fell_over_a_page_of_many_tags_is_not_said_to_have_been_slow(extract, monkeypatch):
    monkeypatch.setattr("handlers.confining.PAGE_MEMORY_BYTES", 1024 * 1024)
    outcome = extract("<html><body>" + "<p>x</p>" * 240_000)
    assert outcome == GiveUp("reading it failed: its reader fell over it, or needed too much memory")


def test_a_page_of_many_tags_is_read_as_any_other(extract):
    assert extract(PAGE.replace("<nav>", "<nav>" + "<br>" * 10_000)) == extract(PAGE)


def test_without_the_extra_the_catalogue_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    monkeypatch.delitem(sys.modules, "handlers.article")
    load.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pip install 'celeriac\[extract\]'"):
        load(HANDLER, "article")
    monkeypatch.undo()
    importlib.import_module("handlers.article")
