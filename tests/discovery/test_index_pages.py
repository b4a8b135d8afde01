from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from discovery.base import hash_url
from discovery.index_pages import IndexPages
from discovery.vic_atoz import VicAtoz
from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError


@pytest.fixture
def glossary(sources_of):
    sources = sources_of("index_pages")
    sources.serve("/good/A", "good")
    sources.serve("/good/B", "good-B")
    return sources


@pytest.fixture
def params(glossary):
    return {"url": glossary.url("/good/") + "{value}", "values": ["A", "B"], "row": "dt"}


@pytest.fixture
def pages(access, params):
    return lambda **more: IndexPages(params | more, access)


@pytest.fixture
def serve(httpserver):
    return lambda path, body: httpserver.expect_request(path).respond_with_data(
        body, content_type="text/html"
    )


def asked(httpserver):
    return [request.path for request, _ in httpserver.log]


def texts(items):
    return [item.data["text"] for item in items]


def test_an_entry_comes_with_what_stands_beside_it(discover, pages, glossary):
    fields = {"published_at": "time@datetime", "author": ".by", "id": "@id"}
    abacus, abbey, bell = discover(pages(fields=fields, pattern=r"\((?P<kind>\w+)\)"))
    assert abacus.key == hash_url(glossary.url("/term/abacus-17"), 20)
    assert abacus.data == {
        "url": glossary.url("/term/abacus-17"),
        "text": "Abacus (tool)",
        "index": "A",
        "kind": "tool",
        "published_at": "2026-01-02T02:04:05+00:00",
        "author": "Ada",
        "id": "",
    }
    assert (abbey.data["author"], abbey.data["published_at"]) == ("", None)
    assert (bell.data["index"], bell.data["author"]) == ("B", "Bo")


def test_a_key_may_stand_in_the_address(discover, pages):
    assert [item.key for item in discover(pages(key=r"-(\d+)$"))] == ["17", "18", "19"]


def test_an_address_without_the_key_is_counted(discover, pages):
    strategy = pages(key=r"-(1[78])$")
    assert [item.key for item in discover(strategy)] == ["17", "18"]
    assert strategy.refused == {"no key": 1}


def test_a_letter_without_a_page_does_not_stop_the_others(discover, pages, httpserver):
    httpserver.expect_request("/good/Z").respond_with_data("", 404)
    strategy = pages(values=["A", "Z", "B"])
    assert texts(discover(strategy)) == ["Abacus (tool)", "Abbey", "Bell"]
    assert strategy.problems == [f"{httpserver.url_for('/good/Z')} answered 404 (Not Found)"]


@pytest.mark.parametrize("status", [404, 503])
def test_when_no_letter_can_be_had_that_is_an_error(discover, pages, httpserver, status):
    for path in ("/gone/A", "/gone/B"):
        httpserver.expect_request(path).respond_with_data("", status)
    with pytest.raises(SourceError, match=str(status)):
        discover(pages(url=httpserver.url_for("/gone/") + "{value}"))


def test_a_discovery_that_was_killed_goes_on_at_its_letter(memory, params, httpserver):
    with memory.killed_after(1):
        memory.discover(IndexPages, params)
    httpserver.clear_log()
    memory.discover(IndexPages, params)
    assert asked(httpserver) == ["/good/B"]
    assert len(memory.items) == 3


def test_a_letter_that_cannot_be_had_now_is_asked_for_again(memory, params, serve, httpserver):
    httpserver.expect_oneshot_request("/later/B").respond_with_data("", 503)
    serve("/later/A", "<dt><a href='/a'>a</a>")
    serve("/later/B", "<dt><a href='/b'>b</a>")
    later = params | {"url": httpserver.url_for("/later/") + "{value}"}
    with pytest.raises(SourceUnavailableError):
        memory.discover(IndexPages, later)
    memory.discover(IndexPages, later)
    assert asked(httpserver) == ["/later/A", "/later/B", "/later/B"]
    assert [item.data["text"] for item in memory.items.values()] == ["a", "b"]


def test_a_letter_that_fails_again_and_again_is_told_and_does_not_stop_the_others(memory, params, httpserver):
    url = params["url"].format(value="A")
    httpserver.clear()
    httpserver.expect_request("/good/A").respond_with_data("", 500)
    httpserver.expect_request("/good/B").respond_with_data(
        "<dl><dt><a href=/term/bell>Bell</a></dl>", content_type="text/html"
    )
    for _ in range(2):
        with pytest.raises(SourceUnavailableError):
            memory.discover(IndexPages, params)
    strategy = memory.discover(IndexPages, params)
    assert texts(item.as_found() for item in memory.items.values()) == ["Bell"]
    assert strategy.problems[0].startswith(f"{url} answered 500")
    assert strategy.problems[0].endswith("3 times in a row; left out")


def test_what_max_pages_leaves_comes_with_the_next_discovery(memory, params, httpserver):
    for _ in range(2):
        memory.discover(IndexPages, params | {"max_pages": 1})
    assert asked(httpserver) == ["/good/A", "/good/B"]


def test_the_next_page_of_a_letter_comes_before_the_next_letter(discover, pages, serve, httpserver):
    serve("/many/A", "<dt><a href='/1'>1</a></dt><a class=next href='/many/A/2'>more</a>")
    serve("/many/A/2", "<dt><a href='/2'>2</a></dt>")
    serve("/many/B", "<dt><a href='/3'>3</a></dt>")
    found = discover(pages(url=httpserver.url_for("/many/") + "{value}", next_page="a.next"))
    assert [(item.data["text"], item.data["index"]) for item in found] == [("1", "A"), ("2", "A"), ("3", "B")]


def test_values_of_several_names_are_combined_and_quoted(discover, pages, serve, httpserver):
    for number in (1, 2):
        serve(f"/of/a b/{number}", f"<dt><a href='/entry-{number}'>{number}</a>")
    url = httpserver.url_for("/of/") + "{word}/{number}"
    found = discover(pages(url=url, values={"word": ["a b"], "number": ["1", "2"]}))
    assert [(item.data["text"], item.data["index"]) for item in found] == [("1", "a b/1"), ("2", "a b/2")]


def test_a_letter_that_gives_another_ones_page_or_is_named_twice_does_not_stop_the_others(
    discover, pages, serve, httpserver
):
    serve("/good/X", '<dt><a href="/term/none">Nothing here</a>')
    serve("/good/Y", '<dt><a href="/term/none">Nothing here</a>')
    strategy = pages(values=["A", "A", "X", "Y", "B"])
    assert "bell" in discover(strategy)[-1].data["url"]
    assert asked(httpserver) == ["/good/A", "/good/X", "/good/Y", "/good/B"]
    assert [told.partition("; ")[2] for told in strategy.problems] == ["left out from the second time on"]


def test_an_index_that_is_laid_out_otherwise_now_says_so(discover, pages):
    strategy = pages(row="li.entry")
    assert discover(strategy) == []
    assert "is it laid out otherwise now?" in strategy.problems[0]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"url": "https://a.org/"}, "url needs {value}"),
        ({"url": "https://a.org/{x}", "values": {"x": ["1"], "y": ["2"]}}, "url needs {y}"),
        ({"url": "https://a.org/{value}", "fields": {"a": "b["}}, "not a CSS selector"),
        ({"url": "https://a.org/{value}", "key": "("}, "not a regular expression"),
    ],
)
def test_parameters_that_do_not_fit_are_told_before_anything_is_asked(wrong, told):
    with pytest.raises(ValidationError, match=told):
        IndexPages(wrong)


# -- the club ---------------------------------------------------------------------------------------------


@pytest.fixture
def club(sources_of, access):
    sources = sources_of("vic_atoz")
    sources.serve("/ideas/atoz/A-C/last10", "good")
    url = sources.url("/ideas/atoz/") + "{letters}/{period}"
    values = {"letters": ["A-C"], "period": ["last10"]}
    return lambda **reached: VicAtoz({"url": url, "values": values}, replace(access, **reached))


def test_a_write_up_is_known_by_its_id_and_named_by_its_company(discover, club, httpserver):
    express, apple, stamps = discover(club())
    assert express.key == "5672439448"
    assert express.data == {
        "url": httpserver.url_for("/idea/AMERICAN_EXPRESS_CO/5672439448"),
        "company": "American Express Co",
        "ticker": "AXP",
        "month": "2016-02",
        "author": "",
        "text": "American Express Co (AXP) (Feb 16)",
        "index": "A-C/last10",
    }
    assert (apple.data["company"], apple.data["month"]) == ("Apple Inc", "2023-12")
    assert (stamps.data["company"], stamps.data["month"]) == ("Stamps.com", None)


def test_the_months_before_since_are_left_out(discover, club):
    found = discover(club(since=datetime(2023, 12, 15, tzinfo=UTC)))
    assert [item.data["company"] for item in found] == ["Apple Inc", "Stamps.com"]


def test_an_index_that_asks_for_a_login_is_told(discover, club, httpserver):
    httpserver.clear()
    httpserver.expect_request("/ideas/atoz/A-C/last10").respond_with_data("", 403)
    with pytest.raises(SourceRejectedError, match="403"):
        discover(club())
