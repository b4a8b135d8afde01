from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from werkzeug import Response

from discovery.base import Access, Recalled, canonical_url, hash_url
from discovery.memory import find_place
from discovery.rss_feeds import RssFeeds
from net.client import PoliteClient
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
        "updated_at": None,
        "summary": "<b>bold</b>",
        "author": "",
        "tags": [],
        "feed": "Channel & Co",
    }


def test_what_an_entry_does_not_say_is_empty(discover, feeds):
    assert discover(feeds("/rss"))[2].data == {
        "url": "https://example.org/three?utm_source=feed",
        "title": "",
        "published_at": None,
        "updated_at": None,
        "summary": "",
        "author": "",
        "tags": [],
        "feed": "Channel & Co",
    }


def test_an_entry_that_was_only_updated_has_that_instant(discover, feeds):
    assert discover(feeds("/atom"))[0].data["published_at"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "instant",
    [
        "0000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "9999-12-31T23:59:60-12:00",
        "70000-01-01T00:00:00Z",
        "Thu, 01 Jan 70000 00:00:00 GMT",
        "1767225600",
        "soon",
    ],
)
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


# -- what it reads ----------------------------------------------------------------------------------------


def test_an_entry_of_an_atom_feed_was_published_and_updated(discover, sources_of, access):
    sources_of("rss_feeds").serve("/atom.xml", "atom")
    [item] = discover(RssFeeds({"feeds": [sources_of("rss_feeds").url("/atom.xml")]}, access))
    assert item.key == "tag:example.net,2008:Repository/1/v2.0"
    assert item.version == "2026-01-03T08:00:00+00:00"
    assert item.data == {
        "url": "https://example.net/releases/v2.0",
        "title": "v2.0",
        "published_at": "2026-01-01T08:00:00+00:00",
        "updated_at": "2026-01-03T08:00:00+00:00",
        "summary": "<p>Faster.</p>",
        "author": "grace",
        "tags": [],
        "feed": "Releases",
    }


def test_a_json_feed_is_a_feed(discover, sources_of, access):
    sources = sources_of("rss_feeds")
    sources.serve("/feed.json", "json")
    second, first = discover(RssFeeds({"feeds": [sources.url("/feed.json")]}, access))
    assert second.key == "https://example.com/2"
    assert second.version == "2026-01-04T15:00:00+00:00"
    assert second.data == {
        "url": "https://example.com/2",
        "title": "Second",
        "published_at": "2026-01-02T15:00:00+00:00",
        "updated_at": "2026-01-04T15:00:00+00:00",
        "summary": "<p>Hello</p>",
        "author": "Linus",
        "tags": ["notes", "second"],
        "feed": "Notes",
    }
    assert first.key == f"{hash_url(canonical_url(sources.url('/feed.json')))}:1"
    assert first.data["summary"] == "1 &lt; 2"


OLD_FEEDS = {
    "RSS 0.91": """<rss version="0.91"><channel><title>Old</title><item><title>One</title>
        <link>https://example.org/1</link></item></channel></rss>""",
    "RSS 1.0": """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
        <channel rdf:about="https://example.org/"><title>Old</title></channel>
        <item rdf:about="https://example.org/1"><title>One</title><link>https://example.org/1</link></item>
        </rdf:RDF>""",
    "Atom 0.3": """<feed version="0.3" xmlns="http://purl.org/atom/ns#"><title>Old</title>
        <entry><title>One</title><link rel="alternate" type="text/html" href="https://example.org/1"/></entry></feed>""",
    "CDF": """<CHANNEL HREF="https://example.org/"><TITLE>Old</TITLE>
        <ITEM HREF="https://example.org/1"><TITLE>One</TITLE></ITEM></CHANNEL>""",
}


@pytest.mark.parametrize("form", OLD_FEEDS)
def test_the_old_forms_of_feeds_are_read(discover, feeds, httpserver, form):
    httpserver.expect_request("/old").respond_with_data(OLD_FEEDS[form], content_type="text/xml")
    [item] = discover(feeds("/old"))
    assert item.data["url"] == "https://example.org/1"
    assert (item.data["title"], item.data["feed"]) == ("One", "Old")


@pytest.mark.parametrize(
    "json",
    [
        '{"version": "https://jsonfeed.org/version/1", "title": "T"}',
        '{"version": "https://jsonfeed.org/version/1", "items": {}}',
        '{"items": []}',
        '{"version": "https://jsonfeed.org/version/1", "items": [{"id": "1"',
    ],
)
def test_json_that_is_no_feed_is_a_problem(discover, feeds, httpserver, json):
    httpserver.expect_request("/json").respond_with_data(json, content_type="application/json")
    strategy = feeds("/json", "/atom")
    assert len(discover(strategy)) == 1
    assert "/json is not a feed: it" in strategy.problems[0]


def test_an_item_of_a_json_feed_with_the_wrong_types_everywhere_is_what_can_be_read_of_it(
    discover, feeds, httpserver
):
    odd = {"id": "urn:1", "url": 7, "title": [], "authors": "me", "tags": [None, "a"], "attachments": [1, {}]}
    items = [odd, None, "text", {"id": True}, {"id": {}}, odd | {"id": 2.5}]
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": 5, "items": items}
    httpserver.expect_request("/json").respond_with_json(feed)
    strategy = feeds("/json")
    first, last = discover(strategy)
    assert (first.key, last.key[-4:]) == ("urn:1", ":2.5")
    assert first.data["tags"] == ["a"]
    assert strategy.refused == {"no key": 4}


# -- keys and versions ------------------------------------------------------------------------------------


def serve_items(httpserver, items, path="/feed"):
    body = f'<rss version="2.0"><channel><title>T</title>{items}</channel></rss>'
    httpserver.expect_request(path).respond_with_data(body, content_type="application/rss+xml")


def test_a_guid_that_is_no_address_is_not_made_one(discover, feeds, httpserver):
    serve_items(httpserver, "<item><guid>42</guid></item>")
    [item] = discover(feeds("/feed"))
    assert item.key == f"{hash_url(canonical_url(httpserver.url_for('/feed')))}:42"


@pytest.mark.parametrize("guid", ["2026-01-01 10:00:00", "Ep 3: the end", "a:", ":b", "Re: hello"])
def test_a_guid_with_a_colon_is_no_address_by_that_and_another_feeds_is_another(
    discover, feeds, httpserver, guid
):
    serve_items(httpserver, f"<item><guid>{guid}</guid></item>")
    [item] = discover(feeds("/feed"))
    assert item.key == f"{hash_url(canonical_url(httpserver.url_for('/feed')))}:{guid}"


@pytest.mark.parametrize(
    "guid",
    ["urn:uuid:1", "tag:example.org,2026:1", "https://example.org/a b?c=d e", "yt:video:x", "x-1+a.b:c"],
)
def test_a_guid_that_is_an_address_or_another_uri_is_the_key_as_it_stands(discover, feeds, httpserver, guid):
    serve_items(httpserver, f"<item><guid>{guid}</guid></item>")
    assert [item.key for item in discover(feeds("/feed"))] == [guid]


def test_an_entry_without_id_or_link_is_known_by_its_enclosure(discover, feeds, httpserver):
    serve_items(httpserver, '<item><enclosure url="https://example.org/a.mp3"/></item>')
    assert [item.key for item in discover(feeds("/feed"))] == [hash_url("https://example.org/a.mp3", 20)]


def test_an_id_too_long_for_a_key_is_hashed(discover, feeds, httpserver):
    serve_items(httpserver, f"<item><guid>urn:{'x' * 2000}</guid></item>")
    assert [len(item.key) for item in discover(feeds("/feed"))] == [64]


def test_two_entries_with_one_id_are_one_and_counted(discover, feeds, httpserver):
    serve_items(httpserver, "<item><guid>urn:1</guid></item>" * 3)
    strategy = feeds("/feed")
    assert len(discover(strategy)) == 1
    assert strategy.refused == {"key repeated": 2}


def test_an_entry_that_was_never_updated_has_another_version_when_it_says_something_else(
    discover, feeds, httpserver
):
    serve_items(httpserver, "<item><guid>urn:1</guid><description>a</description></item>", "/a")
    serve_items(httpserver, "<item><guid>urn:1</guid><description>b</description></item>", "/b")
    serve_items(httpserver, "<item><guid>urn:1</guid><description>a</description></item>", "/c")
    [a], [b], [c] = (discover(feeds(path)) for path in ("/a", "/b", "/c"))
    assert a.version == c.version != b.version


def test_a_link_that_would_run_a_script_is_no_address(discover, feeds, httpserver):
    serve_items(
        httpserver, "<item><guid isPermaLink='false'>1</guid><link> javascript:alert(1)</link></item>"
    )
    assert [item.data["url"] for item in discover(feeds("/feed"))] == [None]


# -- how it asks ------------------------------------------------------------------------------------------


def test_a_feed_that_has_not_changed_gives_nothing_and_is_no_problem(discover, feeds, httpserver, access):
    def answer(request):
        if request.headers.get("If-None-Match") == '"1"':
            return Response(status=304)
        return Response(RSS, 200, {"ETag": '"1"', "Content-Type": "application/rss+xml"})

    httpserver.expect_request("/etag").respond_with_handler(answer)
    url = httpserver.url_for("/etag")
    first = feeds("/etag")
    assert discover(first)
    assert first.looks[url].etag.startswith('"1"')
    knowing = replace(access, recall=lambda source: Recalled(etag=first.looks[source].etag))
    again = RssFeeds({"feeds": [url]}, knowing)
    assert discover(again) == []
    assert again.looks[url].unchanged
    assert not again.problems


def test_a_feed_that_is_now_elsewhere_is_read_though_that_one_has_not_changed(
    discover, feeds, httpserver, access
):
    def answer(request):
        if request.headers.get("If-None-Match") == '"1"':
            return Response(status=304)
        return Response(RSS, 200, {"ETag": '"1"', "Content-Type": "application/rss+xml"})

    httpserver.expect_request("/new").respond_with_handler(answer)
    httpserver.expect_request("/moved").respond_with_data("", 302, {"Location": "/new"})
    knowing = replace(access, recall=lambda _: Recalled(etag='"1"'))
    (url,) = urls = [httpserver.url_for("/moved")]
    strategy = RssFeeds({"feeds": urls}, knowing)
    assert discover(strategy)
    look = strategy.looks[url]
    assert (look.unchanged, find_place(look.etag)) == (False, hash_url(httpserver.url_for("/new")))


def test_why_a_feed_failed_stands_in_its_look(discover, feeds, httpserver):
    httpserver.expect_request("/absent").respond_with_data("", 404)
    strategy = feeds("/absent", "/atom")
    discover(strategy)
    assert "404" in strategy.looks[httpserver.url_for("/absent")].error
    assert strategy.looks[httpserver.url_for("/atom")].error is None


def test_a_feed_that_is_named_twice_is_asked_once_under_its_first_name(discover, access, feeds, httpserver):
    url = httpserver.url_for("/atom")
    items = discover(RssFeeds({"feeds": [{"url": url, "name": "a"}, url]}, access))
    assert [item.data["feed"] for item in items] == ["a"]
    assert len(httpserver.log) == 1


def test_fifty_feeds_on_fifty_hosts_are_asked_at_once():
    hosts = [f"127.0.0.{number}" for number in range(1, 51)]

    async def go():
        everybody = asyncio.Barrier(len(hosts))

        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            await everybody.wait()  # nobody is answered before all have asked
            body = ATOM.replace("urn:uuid:1", f"urn:{writer.get_extra_info('sockname')[0]}").encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            writer.close()

        servers = [await asyncio.start_server(answer, host, 0) for host in hosts]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        feeds = [f"http://{host}:{port}/" for host, port in zip(hosts, ports, strict=True)]
        client = PoliteClient(contact=None, allow_hosts=["127.0.0.0/8"], total_seconds=10)
        found = await RssFeeds({"feeds": feeds}, Access(client, read_items=None)).discover()
        for server in servers:
            server.close()
        return found

    assert [item.key for item in asyncio.run(go())] == [f"urn:{host}" for host in hosts]
