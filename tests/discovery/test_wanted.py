"""A source that has not changed is had whole all the same, when other things of it are wanted than last time."""

from __future__ import annotations

import re

import pytest
from werkzeug import Response

from pipeline.catalog import STRATEGY, load

CHANNEL = "UC0123456789abcdefghijkl"
LIMITS = {"limit": 1}, {"limit": 2}

KINDS = {
    "github_releases": ("good", lambda url: {"repositories": ["sample/works"], "base_url": url}, LIMITS),
    "html_links": ("good", lambda url: {"url": url}, ({"selector": "h2 a"}, {"selector": "a"})),
    "podcast_feeds": ("good", lambda url: {"feeds": [url]}, LIMITS),
    "rss_feeds": ("good", lambda url: {"feeds": [url]}, LIMITS),
    "sec_filings": ("good", lambda url: {"companies": ["320193"], "data_url": url}, LIMITS),
    "sitemap": ("good-pages", lambda url: {"url": url}, ({"include": "no such page"}, {})),
    "youtube_channel": ("good", lambda url: {"channels": [CHANNEL], "base_url": url}, LIMITS),
}
"""By strategy: its recording, its parameters for an address, and a choice that finds less than another."""


@pytest.fixture
def look(memory, sources_of, httpserver):
    """Look at a source that never changes, and says so to whoever has its validator; what was asked, and what came."""

    def run(name, chosen):
        recording, params, _ = KINDS[name]
        answer = sources_of(name).recording(recording)

        def tell(request):
            if request.headers.get("If-None-Match") == '"v1"':
                return Response(status=304)
            return Response(answer.body, 200, answer.headers | {"ETag": '"v1"'})

        httpserver.clear()
        httpserver.expect_request(re.compile(".*")).respond_with_handler(tell)
        memory.items.clear()
        memory.discover(load(STRATEGY, name), params(httpserver.url_for("/x")) | chosen)
        return {reply.status_code for _, reply in httpserver.log}, set(memory.items)

    return run


@pytest.mark.parametrize("name", sorted(KINDS))
def test_other_parameters_find_what_they_choose_though_the_source_is_as_it_was(name, look):
    _, _, (first, other) = KINDS[name]
    _, before = look(name, first)
    asked, after = look(name, other)
    assert (asked, len(after) > len(before)) == ({200}, True)
    assert look(name, other) == ({304}, set())


@pytest.fixture
def moved(httpserver):
    """Redirect an address to one that has a version, or to another; what came from there."""

    class Moved:
        url, leads_to = httpserver.url_for("/feed"), "/a"

        def tell(self, request):
            if request.path == "/feed":
                return Response(status=302, headers={"Location": self.leads_to})
            if request.headers.get("If-None-Match") == '"v1"':
                return Response(status=304)
            body = f"<rss><channel><item><guid>urn:{request.path}</guid></item></channel></rss>"
            return Response(body, headers={"ETag": '"v1"'}, content_type="application/rss+xml")

        def statuses(self):
            return [reply.status_code for _, reply in httpserver.log if reply.status_code != 302]

    moved = Moved()
    httpserver.expect_request(re.compile(".*")).respond_with_handler(moved.tell)
    return moved


def test_what_an_address_redirects_to_is_not_sent_again_while_it_has_not_changed(memory, moved):
    for _ in range(3):
        memory.discover(load(STRATEGY, "rss_feeds"), {"feeds": [moved.url]})
    assert moved.statuses() == [200, 304, 304]


def test_what_an_address_redirects_to_by_now_is_had_whole_though_it_says_that_it_has_not_changed(
    memory, moved
):
    for moved.leads_to in ("/a", "/b", "/b"):
        memory.discover(load(STRATEGY, "rss_feeds"), {"feeds": [moved.url]})
    assert moved.statuses() == [200, 304, 200, 304]
    assert set(memory.items) == {"urn:/a", "urn:/b"}
