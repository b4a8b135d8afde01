from __future__ import annotations

import pytest
from pydantic import ValidationError

from discovery.base import hash_url
from discovery.html_links import HtmlLinks
from pipeline.errors import SourceRejectedError, SourceUnavailableError


@pytest.fixture
def news(sources_of):
    sources = sources_of("html_links")
    sources.serve("/good", "good")
    sources.serve("/good/page/2", "good-2")
    return sources


@pytest.fixture
def links(access, news):
    return lambda path="/good", **params: HtmlLinks({"url": news.url(path), **params}, access)


@pytest.fixture
def serve(httpserver):
    def answer(body, path="/page"):
        httpserver.expect_request(path).respond_with_data(body, content_type="text/html")

    return answer


def urls(items, news):
    return [item.data["url"].removeprefix(news.url()) for item in items]


def test_a_link_comes_with_what_it_says_and_what_stands_around_it(discover, links, news):
    item = discover(links(selector="article a"))[0]
    assert item.data == {
        "url": news.url("/good/2026/one?utm_source=front"),
        "text": "The first thing",
        "title": "The first",
        "context": "The first thing What happened first.",
        "page": news.url("/good"),
    }
    assert item.key == hash_url(news.url("/good/2026/one"), 20)


def test_a_picture_says_its_alternative_text(discover, links, serve):
    serve('<p><a href="/x"><img src="x.jpg" alt="An  x"></a> <a href="/y" aria-label="A y"></a></p>')
    assert [item.data["text"] for item in discover(links("/page"))] == ["An x", "A y"]


def test_only_links_to_other_pages_of_the_same_host_are_found(discover, links, news):
    found = urls(discover(links()), news)
    assert found == ["/", "/good/", "/good/2026/one?utm_source=front", "/good/2026/two", "/good/page/2"]
    assert "https://elsewhere.example/" in urls(discover(links(same_host=False)), news)


def test_links_are_chosen_by_their_address(discover, links, news):
    assert urls(discover(links(include=r"/2026/", exclude="two$")), news) == [
        "/good/2026/one?utm_source=front"
    ]


def test_the_link_to_the_next_page_is_followed_to_the_last(discover, links, news):
    found = discover(links(selector="h2 a", next_page="a.next"))
    assert urls(found, news) == ["/good/2026/one?utm_source=front", "/good/2026/two", "/good/2026/three"]
    assert found[2].data["page"] == news.url("/good/page/2")


def test_pages_with_numbers_end_with_the_first_without_links(discover, links, news, serve):
    serve("<p>Nothing", "/good/page/3")
    found = discover(links(selector="h2 a", page_url=news.url("/good/page/") + "{page}"))
    assert urls(found, news)[-1] == "/good/2026/three"
    assert news.httpserver.log[-1][0].path == "/good/page/3"


def test_a_page_that_comes_for_ever_ends_with_a_problem(discover, links, serve, httpserver):
    httpserver.expect_request("/page").respond_with_data('<a href="/x">x</a>', content_type="text/html")
    strategy = links("/page", page_url=httpserver.url_for("/page") + "?page={page}")
    assert len(discover(strategy)) == 1
    assert "again and again" in strategy.problems[0]
    assert len(httpserver.log) == 2


def test_a_next_page_that_leads_in_a_circle_ends_with_a_problem(discover, links, serve):
    serve('<a href="/x">x</a> <a class=n href="/b">next</a>', "/a")
    serve('<a href="/y">y</a> <a class=n href="/a">next</a>', "/b")
    serve('<a href="/z">z</a> <a class=n href="/b">next</a>', "/c")
    strategy = links("/c", next_page=".n", include="/[xyz]$")
    assert len(discover(strategy)) == 3
    assert "leads back" in strategy.problems[0]


def test_pages_are_at_most_so_many(discover, links, news):
    strategy = links(selector="h2 a", next_page="a.next", max_pages=1)
    assert len(discover(strategy)) == 2
    assert strategy.problems == []


def test_a_later_page_that_fails_leaves_what_was_before_it(discover, links, news):
    news.httpserver.clear()
    news.serve("/good", "good")
    strategy = links(selector="h2 a", next_page="a.next")
    assert len(discover(strategy)) == 2
    assert "/good/page/2" in strategy.problems[0]


def test_a_page_that_has_not_changed_gives_nothing(memory, news, httpserver):
    memory.discover(HtmlLinks, {"url": news.url("/good")})
    httpserver.clear()
    httpserver.expect_request("/good").respond_with_data("", 304)
    strategy = memory.discover(HtmlLinks, {"url": news.url("/good")})
    assert strategy.looks[news.url("/good")].unchanged


def test_letters_are_read_as_the_page_says(discover, links, httpserver):
    body = '<meta charset=windows-1251><a href="/x">Привет</a>'.encode("cp1251")
    httpserver.expect_request("/page").respond_with_data(body, content_type="text/html")
    assert discover(links("/page"))[0].data["text"] == "Привет"


def test_a_page_of_links_that_are_none_gives_nothing(discover, links, serve):
    serve('<a href="http://[">a</a><a>b</a><a href="">c</a><a href="tel:1">d</a><a href="#">e</a>')
    assert discover(links("/page", same_host=False)) == []


def test_a_robot_that_is_not_wanted_stays_away():
    assert HtmlLinks.obeys_robots


@pytest.mark.parametrize(
    "wrong",
    [
        {"selector": "a["},
        {"include": "("},
        {"page_url": "https://example.org/"},
        {"page_url": "https://example.org/{page}", "next_page": "a"},
    ],
)
def test_what_cannot_work_is_told_when_jobs_yaml_is_read(wrong):
    with pytest.raises(ValidationError):
        HtmlLinks({"url": "https://example.org/", **wrong})


@pytest.mark.parametrize(
    ("name", "error"), [("throttled", SourceUnavailableError), ("broken", SourceRejectedError)]
)
def test_a_first_page_that_fails_is_an_error(discover, links, news, name, error):
    news.serve_everywhere(name)
    with pytest.raises(error):
        discover(links(next_page="a.next"))


def test_a_page_without_such_links_says_so(discover, links, news):
    strategy = links(selector="li.entry a")
    assert discover(strategy) == []
    assert strategy.problems == [f"{news.url('/good')} has no such links: is it laid out otherwise now?"]
