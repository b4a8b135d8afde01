from __future__ import annotations

import json

import pytest
from pydantic import ValidationError
from werkzeug import Response

from discovery.company_templates import Company, NotForCompanyError, put_company
from discovery.company_watchlist import CompanyWatchlist
from pipeline.errors import SourceUnavailableError

APPLE = {"name": "Apple", "ticker": "AAPL", "aliases": ["Apple Inc."], "cik": 320193}
MICROSOFT = {"name": "Microsoft", "ticker": "MSFT"}
KEY = "a-very-secret-key"


@pytest.fixture
def watch(access, httpserver):
    def start(*companies, **params):
        news = {"strategy": "serper_news", "base_url": httpserver.url_for("/")}
        given = {"companies": companies or [APPLE], "searches": [news], "api_key": KEY}
        return CompanyWatchlist({**given, **params}, access)

    return start


@pytest.fixture
def news(httpserver):
    """Answer each search of the news with what a function makes of its query."""

    def start(respond):
        def handle(request):
            found = respond(request.get_json()["q"])
            return Response(json.dumps({"news": [{"link": link, "title": link} for link in found]}))

        httpserver.expect_request("/news", method="POST").respond_with_handler(handle)

    return start


def queries(httpserver):
    return sorted(request.get_json()["q"] for request, _ in httpserver.log)


# -- what is asked and found ------------------------------------------------------------------------------


def test_each_company_is_searched_for_by_each_query(watch, news, discover, httpserver):
    news(lambda _: [])
    discover(watch(APPLE, MICROSOFT, queries=['"{name}" earnings', "{ticker} stock"]))
    assert queries(httpserver) == [
        '"Apple" earnings',
        '"Microsoft" earnings',
        "AAPL stock",
        "MSFT stock",
    ]


def test_an_item_says_which_company_it_is_for_and_what_was_found(watch, news, discover):
    news(lambda _: ["https://example.org/a"])
    (item,) = discover(watch())
    assert (item.data["companies"], item.data["strategies"]) == (["Apple"], ["serper_news"])
    assert item.data["url"] == item.data["title"] == "https://example.org/a"
    assert item.data["found"]["queries"] == ['"Apple"']


def test_what_is_found_for_two_companies_is_one_item_that_names_both(watch, news, discover):
    news(
        lambda query: [
            f"https://example.org/both?utm_source={query[1:4]}",
            f"https://example.org/{query[1:4]}",
        ]
    )
    both, *rest = discover(watch(APPLE, MICROSOFT))
    assert both.data["companies"] == ["Apple", "Microsoft"]
    assert [item.data["companies"] for item in rest] == [["Apple"], ["Microsoft"]]


def test_a_feed_of_news_is_searched_by_its_address(watch, httpserver, discover):
    feed = "<rss version='2.0'><channel><title>n</title><item><link>https://example.org/f</link></item></channel></rss>"
    httpserver.expect_request("/rss", query_string={"q": "A & B"}).respond_with_data(feed)
    search = {"strategy": "rss_feeds", "feeds": [httpserver.url_for("/rss") + "?q={name}"]}
    (item,) = discover(watch({"name": "A & B"}, searches=[search]))
    assert (item.data["url"], item.data["strategies"]) == ("https://example.org/f", ["rss_feeds"])


def test_what_two_strategies_found_is_one_item_that_names_both(watch, news, httpserver, discover):
    news(lambda _: ["https://example.org/a"])
    feed = "<rss version='2.0'><channel><title>n</title><item><link>https://example.org/a</link></item></channel></rss>"
    httpserver.expect_request("/rss").respond_with_data(feed)
    searches = [
        {"strategy": "serper_news", "base_url": httpserver.url_for("/")},
        {"strategy": "rss_feeds", "feeds": [httpserver.url_for("/rss") + "?q={name}"]},
    ]
    (item,) = discover(watch(searches=searches))
    assert item.data["strategies"] == ["serper_news", "rss_feeds"]


def test_filings_are_found_for_those_with_a_number_or_a_ticker(watch, sources_of, discover):
    sources = sources_of("sec_filings")
    sources.serve("/submissions/CIK0000320193.json", "good")
    sources.serve("/files/company_tickers.json", "tickers")
    sources.serve("/submissions/CIK0000789019.json", "empty")
    places = {name: sources.url() for name in ("www_url", "data_url")}
    companies = [APPLE, MICROSOFT, {"name": "Private"}]
    (item,) = discover(watch(*companies, searches=[], filings={"forms": ["8-K"], **places}))
    assert (item.key, item.data["companies"]) == ("0000320193-26-000101", ["Apple"])
    assert item.data["title"] == "8-K Apple Inc. 2026-11-02"
    assert len(sources.httpserver.log) == 3


def test_a_search_that_fails_does_not_stop_the_others(watch, news, httpserver, discover):
    news(lambda _: ["https://example.org/a"])
    bad = {"strategy": "rss_feeds", "feeds": [httpserver.url_for("/absent") + "?q={name}"]}
    strategy = watch(searches=[{"strategy": "serper_news", "base_url": httpserver.url_for("/")}, bad])
    assert len(discover(strategy)) == 1
    assert strategy.looks["Apple: rss_feeds"].error
    assert strategy.problems


def test_the_looks_of_the_searches_are_those_of_the_watchlist(watch, news, discover):
    news(lambda _: [])
    strategy = watch(APPLE, MICROSOFT)
    discover(strategy)
    assert {name: look.requests for name, look in strategy.looks.items()} == {'"Apple"': 1, '"Microsoft"': 1}


def test_when_every_search_fails_nothing_could_be_had(watch, discover):
    with pytest.raises(SourceUnavailableError, match="no search could be had"):
        discover(watch())


# -- what is refused at check -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"companies": []}, "companies"),
        ({"searches": [{"strategy": "serper_newz"}]}, "serper_news"),
        ({"searches": [{"strategy": "company_watchlist", "companies": ["{name}"]}]}, "itself"),
        ({"searches": [{"strategy": "rss_feeds", "feeds": ["https://example.org/"]}]}, "names a company"),
        ({"searches": [{"strategy": "serper_news", "tbs": 7}]}, "tbs"),
        ({"filings": {"formz": ["8-K"]}}, "formz"),
        ({"api_key": ""}, "SERPER_API_KEY"),
        ({"api_key": None}, "SERPER_API_KEY"),
    ],
)
def test_searches_that_cannot_be_made_are_refused_at_check(wrong, word):
    with pytest.raises(ValidationError, match=word):
        CompanyWatchlist({"companies": [APPLE], "api_key": KEY, **wrong})


def test_a_refusal_does_not_show_the_key_of_a_search():
    search = {"strategy": "serper_news", "api_key": KEY, "tbs": 7}
    with pytest.raises(ValidationError) as caught:
        CompanyWatchlist({"companies": [APPLE], "searches": [search]})
    assert KEY not in caught.value.errors(include_input=False)[0]["msg"]


# -- templates --------------------------------------------------------------------------------------------


def test_a_text_with_a_place_for_an_alias_is_made_for_each():
    put = put_company({"queries": ["{alias} news", "all of it"]}, Company(**APPLE))
    assert put == {"queries": ["Apple news", "Apple Inc. news", "all of it"]}


def test_what_a_company_does_not_have_is_not_asked_for():
    company = Company(name="Private")
    assert put_company(["{ticker} stock", "{name}"], company) == ["Private"]
    with pytest.raises(NotForCompanyError):
        put_company({"queries": ["{ticker} stock"]}, company)
    with pytest.raises(NotForCompanyError):
        put_company({"url": "https://example.org/{cik}"}, company)


def test_other_braces_and_other_values_are_left_alone():
    given = {"a": "{other} {} {name", "b": 7, "c": [None, {"d": ["{name}"]}], "e": []}
    assert put_company(given, Company(name="N")) == {**given, "c": [None, {"d": ["N"]}]}


def test_a_name_that_looks_like_a_place_is_put_in_as_it_is():
    assert put_company("{name} {ticker}", Company(name="{ticker}", ticker="T")) == "{ticker} T"


def test_a_name_is_encoded_in_an_address_only():
    company = Company(name="A/B & C?")
    assert (
        put_company("https://example.org/?q={name}", company) == "https://example.org/?q=A%2FB%20%26%20C%3F"
    )
    assert put_company('"{name}"', company) == '"A/B & C?"'
