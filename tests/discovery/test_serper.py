from __future__ import annotations

import json

import pytest
from pydantic import ValidationError
from werkzeug import Response

from discovery.serper_news import SerperNews
from discovery.serper_search import SerperSearch
from discovery.serper_youtube import SerperYoutube
from pipeline.catalog import STRATEGY, load
from pipeline.errors import SourceRejectedError, SourceUnavailableError
from pipeline.variables import fill_from_environment

KEY = "a-very-secret-key"


@pytest.fixture
def make(access, httpserver):
    def build(strategy=SerperSearch, **params):
        given = {"queries": ["sample"], "api_key": KEY, "base_url": httpserver.url_for("/")}
        return strategy({**given, **params}, access)

    return build


@pytest.fixture
def answer(httpserver):
    """Answer each search with what a function makes of its request."""

    def start(respond, path="/search"):
        def handle(request):
            return Response(
                json.dumps(respond(request.get_json())), 200, {"Content-Type": "application/json"}
            )

        httpserver.expect_request(path, method="POST").respond_with_handler(handle)

    return start


def results(*links):
    return {"searchParameters": {}, "organic": [{"link": link, "title": link} for link in links]}


def asked(httpserver):
    return [request.get_json() for request, _ in httpserver.log]


# -- what comes of an answer ------------------------------------------------------------------------------


def test_a_page_comes_with_what_its_result_says(make, discover, sources_of):
    sources_of("serper_search").serve("/search", "good", method="POST")
    first, second, third = discover(make())
    assert first.data == {
        "url": "https://www.example.org/reports/annual?utm_source=serp",
        "title": "Annual report of the Sample Works",
        "snippet": "The Sample Works publish their report for the year, with accounts and outlook.",
        "published_at": "2026-11-20T00:00:00+00:00",
        "position": 1,
        "queries": ["sample"],
    }
    assert second.data["published_at"] is not None
    assert third.data["published_at"] is None
    assert len({first.key, second.key, third.key}) == 3


def test_a_news_item_comes_with_its_publisher(make, discover, sources_of):
    sources_of("serper_news").serve("/news", "good", method="POST")
    first, _ = discover(make(SerperNews))
    assert first.data["publisher"] == "Example News"
    assert first.data["image_url"] == "https://img.example/wind.jpg"


def test_only_videos_on_youtube_come_and_are_known_by_their_ids(make, discover, sources_of, httpserver):
    sources_of("serper_youtube").serve("/videos", "good", method="POST")
    items = discover(make(SerperYoutube))
    assert [item.key for item in items] == ["dQw4w9WgXcQ", "aaaaaaaaaaa"]
    assert items[1].data["url"] == "https://www.youtube.com/watch?v=aaaaaaaaaaa"
    assert asked(httpserver)[0]["q"] == "sample site:youtube.com"


def test_a_page_that_two_searches_found_is_one_item_that_names_both(make, discover, answer):
    answer(lambda asked: results("https://example.org/a?utm_source=" + asked["q"]))
    (item,) = discover(make(queries=["one", "two"]))
    assert item.data["queries"] == ["one", "two"]


@pytest.mark.parametrize("result", [{}, {"link": None}, {"link": 7}, {"link": "javascript:x"}, {"title": []}])
def test_a_result_without_an_address_is_counted(make, discover, answer, result):
    answer(lambda _: {"organic": [result, 1, None, {"link": "https://example.org/"}]})
    strategy = make()
    assert [item.data["url"] for item in discover(strategy)] == ["https://example.org/"]
    assert strategy.refused == {"no key": 1}


def test_what_was_shown_hours_ago_has_not_changed_an_hour_later(make, discover, answer):
    words = {"link": "https://example.org/a", "title": "Roots", "snippet": "They keep."}
    shown = iter([
        {**words, "date": "3 hours ago", "position": 1},
        {**words, "date": "4 hours ago", "position": 2},
        {**words, "title": "Roots rot"},
    ])  # fmt: skip
    answer(lambda _: {"organic": [next(shown)]})
    first, later, changed = (discover(make())[0].version for _ in range(3))
    assert first == later != changed


# -- what is asked ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "sent"), [("daily", "qdr:d2"), ("weekly", "qdr:w"), ("qdr:h", "qdr:h")])
def test_how_far_back_is_sent_in_googles_words(make, discover, answer, httpserver, given, sent):
    answer(lambda _: results())
    discover(make(tbs=given, gl="de", hl="de", num=20))
    assert asked(httpserver) == [{"q": "sample", "gl": "de", "hl": "de", "num": 20, "tbs": sent}]


def test_the_key_is_sent_in_a_header_of_its_own(make, discover, answer, httpserver):
    answer(lambda _: results())
    discover(make())
    assert httpserver.log[0][0].headers["X-API-KEY"] == KEY


def test_no_more_pages_are_asked_for_than_allowed(make, discover, answer, httpserver):
    answer(lambda asked: results(f"https://example.org/{asked.get('page', 1)}"))
    assert len(discover(make(pages=3))) == 3
    assert [each.get("page", 1) for each in asked(httpserver)] == [1, 2, 3]


@pytest.mark.parametrize("links", [[], ["https://example.org/same"]])
def test_a_page_that_brings_nothing_new_is_the_last(make, discover, answer, httpserver, links):
    answer(lambda _: results(*links))
    discover(make(pages=10))
    assert len(httpserver.log) <= 2


def test_the_same_search_is_made_once(make, discover, answer, httpserver):
    answer(lambda _: results())
    discover(make(queries=["sample", " sample "]))
    assert len(httpserver.log) == 1


# -- what goes wrong --------------------------------------------------------------------------------------


def test_a_wrong_key_is_rejected_and_not_shown(make, discover, sources_of):
    sources_of("serper_search").serve("/search", "unauthorised", method="POST")
    with pytest.raises(SourceRejectedError, match="SERPER_API_KEY") as caught:
        discover(make())
    assert KEY not in str(caught.value)


def test_spent_credits_mean_later(make, discover, sources_of):
    sources_of("serper_search").serve("/search", "no-credits", method="POST")
    with pytest.raises(SourceUnavailableError, match="Not enough credits"):
        discover(make())


def test_a_search_that_fails_does_not_stop_the_others(make, discover, httpserver):
    def handle(request):
        good = request.get_json()["q"] == "good"
        return Response(
            json.dumps(results("https://example.org/") if good else {"message": "Bad"}), 200 if good else 400
        )

    httpserver.expect_request("/search").respond_with_handler(handle)
    strategy = make(queries=["bad", "good"])
    assert len(discover(strategy)) == 1
    assert strategy.refused == {"search could not be had": 1}
    assert strategy.looks["bad"].error
    assert strategy.looks["good"].requests == 1


def test_the_key_stands_in_nothing_that_is_printed(make):
    strategy = make()
    assert KEY not in repr(strategy.params)
    assert KEY not in str(strategy.params.model_dump())


@pytest.mark.parametrize("name", ["serper_search", "serper_news", "serper_youtube"])
def test_the_key_comes_from_the_environment_unless_it_is_given(name):
    strategy = load(STRATEGY, name)
    assert fill_from_environment(strategy, {})["api_key"] == "${SERPER_API_KEY}"
    assert fill_from_environment(strategy, {"api_key": "${OTHER}"})["api_key"] == "${OTHER}"


@pytest.mark.parametrize(
    "wrong", [{"queries": []}, {"queries": [" "]}, {"api_key": ""}, {"gl": "USA"}, {"pages": 0}]
)
def test_what_cannot_be_asked_is_refused_at_check(wrong):
    with pytest.raises(ValidationError):
        SerperSearch({"queries": ["a"], "api_key": "k", **wrong})
