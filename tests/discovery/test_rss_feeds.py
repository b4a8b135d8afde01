from __future__ import annotations

import pytest

from discovery.base import canonical_url, hash_url
from discovery.rss_feeds import RssFeeds
from pipeline.errors import SourceUnavailableError

RSS = """<?xml version="1.0"?>
<rss version="2.0"><channel><title>Channel &amp; Co</title>
<item><guid>tag:example.org,2026:1</guid><link>/one</link><title>One</title>
  <pubDate>Thu, 01 Jan 2026 02:00:00 +0200</pubDate>
  <description>&lt;b&gt;bold&lt;/b&gt;&lt;script&gt;x()&lt;/script&gt;</description></item>
<item><guid isPermaLink="false">42</guid><link>https://example.org/two</link></item>
<item><link>https://example.org/three?utm_source=feed</link><pubDate>not a date</pubDate></item>
<item><title>neither id nor link</title></item>
</channel></rss>"""

ATOM = """<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Atom</title>
<entry><id>urn:uuid:1</id><title>One</title><link href="https://example.org/1"/><updated>2026-01-01T00:00:00Z</updated></entry>
</feed>"""


@pytest.fixture
def feeds(access, httpserver):
    def make(*paths, **params):
        return RssFeeds({"feeds": [httpserver.url_for(path) for path in paths], **params}, access)

    httpserver.expect_request("/rss").respond_with_data(RSS, content_type="application/rss+xml")
    httpserver.expect_request("/atom").respond_with_data(ATOM, content_type="application/atom+xml")
    return make


def test_an_entry_is_known_by_its_id_else_by_its_link(discover, feeds, httpserver):
    strategy = feeds("/rss")
    assert [item.key for item in discover(strategy)] == [
        "tag:example.org,2026:1",
        f"{hash_url(canonical_url(httpserver.url_for('/rss')))}:42",
        hash_url("https://example.org/three", 20),
    ]
    assert strategy.refused == {"no key": 1}


def test_an_entry_comes_with_what_its_feed_says(discover, feeds, httpserver):
    assert discover(feeds("/rss"))[0].data == {
        "url": httpserver.url_for("/one"),
        "title": "One",
        "published_at": "2026-01-01T00:00:00+00:00",
        "summary": "<b>bold</b>",
        "feed": "Channel & Co",
    }


def test_what_an_entry_does_not_say_is_empty(discover, feeds):
    assert discover(feeds("/rss"))[2].data == {
        "url": "https://example.org/three?utm_source=feed",
        "title": "",
        "published_at": None,
        "summary": "",
        "feed": "Channel & Co",
    }


def test_an_entry_that_was_only_updated_has_that_instant(discover, feeds):
    assert discover(feeds("/atom"))[0].data["published_at"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize("instant", ["0000-01-01T00:00:00Z", "9999-12-31T23:59:60-12:00", "soon"])
def test_an_instant_outside_the_calendar_is_left_out(discover, feeds, httpserver, instant):
    httpserver.expect_request("/odd").respond_with_data(ATOM.replace("2026-01-01T00:00:00Z", instant))
    assert discover(feeds("/odd"))[0].data["published_at"] is None


def test_feeds_are_found_in_the_order_given_under_their_given_names(discover, feeds, access, httpserver):
    named = [{"url": httpserver.url_for("/atom"), "name": "mine"}, httpserver.url_for("/rss")]
    items = discover(RssFeeds({"feeds": named, "limit": 1}, access))
    assert [item.data["feed"] for item in items] == ["mine", "Channel & Co"]


def test_a_limit_is_for_each_feed(discover, feeds):
    assert len(discover(feeds("/rss", "/atom", limit=2))) == 3


@pytest.mark.parametrize("status", [404, 500])
def test_a_feed_that_fails_does_not_stop_the_others(discover, feeds, httpserver, status):
    httpserver.expect_request("/bad").respond_with_data("", status)
    strategy = feeds("/bad", "/atom")
    assert [item.key for item in discover(strategy)] == ["urn:uuid:1"]
    assert strategy.refused == {"feed could not be had": 1}
    assert strategy.problems == [f"{httpserver.url_for('/bad')} answered {status} {_phrase(status)}"]


def _phrase(status):
    return {404: "(Not Found)", 500: "(Internal Server Error)"}[status]


def test_when_all_feeds_fail_the_longest_wait_asked_for_is_kept(discover, feeds, httpserver):
    for seconds in (10, 30, 20):
        httpserver.expect_request(f"/{seconds}").respond_with_data("", 429, {"Retry-After": str(seconds)})
    with pytest.raises(SourceUnavailableError, match="and 3 more") as caught:
        discover(feeds("/10", "/30", "/20", "/absent"))
    assert caught.value.retry_after_seconds == 30


def test_a_page_that_is_no_feed_is_a_problem_that_shows_no_secret(discover, feeds, httpserver):
    httpserver.expect_request("/page").respond_with_data("<html>", content_type="text/html")
    strategy = feeds("/page?token=secret", "/atom")
    discover(strategy)
    assert "/page?… is not a feed" in strategy.problems[0]
    assert "secret" not in strategy.problems[0]


def test_a_body_that_names_a_file_opens_no_file(discover, feeds, httpserver, tmp_path):
    (tmp_path / "feed.xml").write_text(ATOM)
    httpserver.expect_request("/name").respond_with_data(str(tmp_path / "feed.xml"))
    strategy = feeds("/name", "/rss")
    assert "urn:uuid:1" not in [item.key for item in discover(strategy)]
    assert strategy.refused["feed could not be had"] == 1


def test_a_feed_that_breaks_off_gives_what_is_there(discover, feeds, httpserver):
    httpserver.expect_request("/cut").respond_with_data(RSS[: RSS.index("<item><title>neither")])
    assert len(discover(feeds("/cut"))) == 3


def test_a_long_summary_is_cut(discover, feeds, httpserver):
    httpserver.expect_request("/long").respond_with_data(RSS.replace("bold", "x" * 30_000))
    assert len(discover(feeds("/long"))[0].data["summary"]) == 20_000
