from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError
from werkzeug import Response

from discovery.base import Recalled, hash_url
from discovery.newsflow_sources import NewsflowSources
from pipeline.errors import SourceUnavailableError

KEY = "a-secret-key"
MERGER = "Companies A and B in merger talks again"


@pytest.fixture
def serve(httpserver):
    """Serve a feed of stories, each a title and what else is said of it; its address."""

    def answer(path, *stories):
        items = "".join(
            f"<item><guid>{address}</guid><link>{address}</link><title>{title}</title>"
            + (f"<pubDate>{at}</pubDate>" if at else "")
            + "</item>"
            for title, address, at in stories
        )
        body = f"<rss><channel><title>T</title>{items}</channel></rss>"
        httpserver.expect_request(path).respond_with_data(body, content_type="application/rss+xml")
        return httpserver.url_for(path)

    return answer


@pytest.fixture
def flow(access):
    return lambda *sources, **params: NewsflowSources({"sources": [*sources], **params}, access)


def test_the_news_of_all_kinds_of_sources_come_as_one_flow(discover, case_of, access):
    items = discover(NewsflowSources(case_of("newsflow_sources").good, access))
    kinds = {item.data["title"]: (item.data["kind"], item.data["name"]) for item in items}
    assert kinds["Companies A, B in merger talks"] == ("sitemap", "Times")
    assert kinds["Wind farm opens off the coast"] == ("search", "apple")
    assert kinds["Minutes of the twelfth meeting of the council"][0] == "page"
    assert kinds["A quiet year"][0] == "feed"


def test_what_is_newest_comes_first_and_what_has_no_date_last(discover, flow, serve):
    url = serve(
        "/f",
        ("One of the first things", "https://a.org/1", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("Whenever this may have been", "https://a.org/2", ""),
        ("Another thing that came later", "https://a.org/3", "Fri, 02 Jan 2026 00:00:00 GMT"),
    )
    assert [item.data["url"][-1] for item in discover(flow(url))] == ["3", "1", "2"]


def test_stories_with_nearly_the_same_title_are_the_earliest_and_name_their_twins(discover, flow, serve):
    late = serve("/late", (f"{MERGER} - The Post", "https://post.org/1", "Fri, 02 Jan 2026 09:00:00 GMT"))
    early = serve("/early", (MERGER, "https://times.org/1", "Fri, 02 Jan 2026 08:00:00 GMT"))
    strategy = flow({"url": late, "name": "Post"}, {"url": early, "name": "Times"})
    [item] = discover(strategy)
    assert item.key == hash_url("https://times.org/1", 20)
    assert item.data == {
        "url": "https://times.org/1",
        "title": MERGER,
        "published_at": "2026-01-02T08:00:00+00:00",
        "summary": "",
        "kind": "feed",
        "name": "Times",
        "names": ["Times", "Post"],
        "also": ["https://post.org/1"],
    }
    assert strategy.refused == {"twin of a story": 1}


def test_one_address_at_two_sources_is_one_story_under_both_names(discover, flow, serve):
    a = serve("/a", ("A headline in five words", "https://a.org/1?utm_source=a", ""))
    b = serve("/b", ("Quite another set of words here", "https://a.org/1", ""))
    [item] = discover(flow({"url": a, "name": "a"}, {"url": b, "name": "b"}))
    assert (item.data["names"], item.data["also"]) == (["a", "b"], [])


def test_stories_that_are_far_apart_in_time_are_two(discover, flow, serve):
    a = serve("/a", (MERGER, "https://a.org/1", "Thu, 01 Jan 2026 00:00:00 GMT"))
    b = serve("/b", (MERGER, "https://b.org/1", "Mon, 05 Jan 2026 00:00:00 GMT"))
    assert len(discover(flow(a, b))) == 2
    assert len(discover(flow(a, b, within_hours=100))) == 1


def test_titles_of_few_words_make_no_twins(discover, flow, serve):
    a = serve("/a", ("Weekly links", "https://a.org/1", ""))
    b = serve("/b", ("Weekly links", "https://b.org/1", ""))
    assert len(discover(flow(a, b))) == 2


def test_a_twin_that_comes_in_a_later_discovery_is_left_out(memory, serve):
    a = serve("/a", (MERGER, "https://a.org/1", "Fri, 02 Jan 2026 08:00:00 GMT"))
    memory.discover(NewsflowSources, {"sources": [a]})
    b = serve("/b", (MERGER, "https://b.org/1", "Fri, 02 Jan 2026 07:00:00 GMT"))
    strategy = memory.discover(NewsflowSources, {"sources": [a, b]})
    assert [item.data["url"] for item in memory.items.values()] == ["https://a.org/1"]
    assert strategy.refused == {"twin of a story found before": 1}


def test_a_story_is_found_again_as_itself(memory, serve):
    a = serve("/a", (MERGER, "https://a.org/1", "Fri, 02 Jan 2026 08:00:00 GMT"))
    for _ in range(2):
        strategy = memory.discover(NewsflowSources, {"sources": [a]})
    assert not strategy.refused
    assert [batch.items[0].key for batch in memory.batches if batch.items] == [
        hash_url("https://a.org/1", 20)
    ] * 2


def test_a_source_that_fails_does_not_stop_the_others(discover, flow, serve, httpserver):
    httpserver.expect_request("/down").respond_with_data("", 503)
    url = serve("/a", (MERGER, "https://a.org/1", ""))
    down = {"type": "sitemap", "url": httpserver.url_for("/down")}
    strategy = flow(down, url, httpserver.url_for("/down"))
    assert len(discover(strategy)) == 1
    assert sum("503" in problem for problem in strategy.problems) >= 2


def test_when_all_sources_fail_the_longest_wait_is_kept(discover, flow, httpserver):
    httpserver.expect_request("/a").respond_with_data("", 429, {"Retry-After": "10"})
    httpserver.expect_request("/b").respond_with_data("", 429, {"Retry-After": "30"})
    page = {"type": "page", "url": httpserver.url_for("/b")}
    with pytest.raises(SourceUnavailableError) as caught:
        discover(flow(httpserver.url_for("/a"), page))
    assert caught.value.retry_after_seconds == 30


def test_the_newest_of_each_source_are_taken(discover, flow, serve):
    titles = (
        "Rain in the north",
        "Trains are late again",
        "Bread grows dearer still",
        "Nobody won last night",
    )
    dated = (
        (title, f"https://a.org/{day}", f"0{day} Jan 2026 00:00 GMT") for day, title in enumerate(titles, 2)
    )
    url = serve("/a", *dated)
    assert [item.data["url"][-1] for item in discover(flow(url, limit=2))] == ["5", "4"]


def test_a_feed_that_has_not_changed_gives_nothing_and_is_no_problem(discover, access, httpserver):
    def answer(request):
        if request.headers.get("If-None-Match") == '"1"':
            return Response(status=304)
        return Response(
            "<rss><channel><item><guid>urn:1</guid></item></channel></rss>", headers={"ETag": '"1"'}
        )

    httpserver.expect_request("/f").respond_with_handler(answer)
    url = httpserver.url_for("/f")
    first = NewsflowSources({"sources": [url]}, access)
    assert discover(first)
    knowing = replace(access, recall=lambda source: Recalled(etag=first.looks[source].etag))
    again = NewsflowSources({"sources": [url]}, knowing)
    assert discover(again) == []
    assert again.looks[url].unchanged
    assert not again.problems


def test_a_search_needs_a_key_which_is_shown_nowhere(flow, discover, httpserver):
    with pytest.raises(ValidationError, match="set SERPER_API_KEY"):
        NewsflowSources({"sources": [{"type": "search", "query": "wind"}]})
    httpserver.expect_request("/search/news", method="POST").respond_with_data("", 500)
    strategy = flow({"type": "search", "query": "wind"}, api_key=KEY, base_url=httpserver.url_for("/search"))
    with pytest.raises(SourceUnavailableError) as caught:
        discover(strategy)
    assert httpserver.log[0][0].headers["X-API-KEY"] == KEY
    assert KEY not in f"{caught.value} {strategy.problems} {[*strategy.looks]} {strategy.params!r}"


@pytest.mark.parametrize(
    "source",
    [
        {"type": "search", "url": "https://a.org/"},
        {"type": "search", "query": "x", "url": "https://a.org/"},
        {"type": "feed"},
        {"type": "page", "url": "https://a.org/", "query": "x"},
        {"type": "page", "url": "https://a.org/", "selector": "a["},
    ],
)
def test_a_source_says_where_it_is_in_the_way_of_its_kind(source):
    with pytest.raises(ValidationError, match=r"needs|not a CSS selector"):
        NewsflowSources({"sources": [source], "api_key": KEY})
