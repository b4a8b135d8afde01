from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from werkzeug import Response

from discovery.base import Recalled, hash_url
from discovery.sitemap import Sitemap
from pipeline.errors import SourceUnavailableError


@pytest.fixture
def site(sources_of):
    sources = sources_of("sitemap")
    sources.serve("/sitemap.xml", "good")
    sources.serve("/pages.xml", "good-pages")
    sources.serve("/news.xml", "good-news")
    return sources


@pytest.fixture
def sitemap(access, site):
    return lambda path="/sitemap.xml", **params: Sitemap({"url": site.url(path), **params}, access)


@pytest.fixture
def serve(httpserver):
    return lambda path, body, **headers: httpserver.expect_request(path).respond_with_data(
        body, content_type="application/xml", headers=headers
    )


def pages(*addresses, root="urlset", each="url", lastmod=""):
    inside = "".join(f"<{each}><loc>{address}</loc>{lastmod}</{each}>" for address in addresses)
    return f'<{root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{inside}</{root}>'


def index(*addresses, lastmod=""):
    return pages(*addresses, root="sitemapindex", each="sitemap", lastmod=lastmod)


def urls(items):
    return [item.data["url"] for item in items]


def asked(httpserver):
    return [request.path for request, _ in httpserver.log]


# -- what it finds ----------------------------------------------------------------------------------------


def test_the_sitemaps_that_an_index_names_are_read_in_its_order(discover, sitemap):
    assert urls(discover(sitemap())) == [
        "https://example.org/",
        "https://example.org/gallery?page=2&sort=new",
        "https://example.org/business/merger",
    ]


def test_a_page_comes_with_all_that_its_sitemap_says(discover, sitemap, site):
    _, gallery, news = discover(sitemap())
    assert gallery.data == {
        "url": "https://example.org/gallery?page=2&sort=new",
        "modified_at": "2025-12-24T17:00:00+00:00",
        "published_at": None,
        "title": "",
        "publication": "",
        "images": ["https://example.org/a.jpg", "https://example.org/b.jpg"],
        "videos": ["https://example.org/walk.mp4"],
        "sitemap": site.url("/pages.xml"),
    }
    assert gallery.key == hash_url("https://example.org/gallery?page=2&sort=new", 20)
    assert gallery.version == "2025-12-24T18:00:00+01:00"
    assert (news.data["title"], news.data["publication"], news.data["published_at"]) == (
        "Companies A, B in merger talks",
        "The Example Times",
        "2026-01-02T07:00:00+00:00",
    )


def test_a_site_is_found_by_its_robots_txt(discover, access, site):
    site.serve("/robots.txt", "robots")
    items = discover(Sitemap({"site": site.url("/some/page")}, access))
    assert len(items) == 3
    assert asked(site.httpserver) == ["/robots.txt", "/sitemap.xml", "/news.xml", "/pages.xml"]


def test_a_line_of_robots_txt_that_is_no_address_is_counted_and_the_others_are_read(discover, access, site):
    named = "Sitemap: http://[::1/a.xml\nSitemap: mailto:me@example.org\nSitemap: /pages.xml"
    site.httpserver.expect_request("/robots.txt").respond_with_data(named)
    strategy = Sitemap({"site": site.url()}, access)
    assert discover(strategy)
    assert strategy.refused["no key"] == 2


@pytest.mark.parametrize("place", ["http://[", "ftp://example.org", "[", "mailto://"])
def test_a_site_that_has_no_address_is_a_mistake_in_jobs_yaml(place):
    with pytest.raises(ValidationError, match="no http or https address"):
        Sitemap({"site": place})


def test_a_site_without_robots_txt_has_its_sitemap_at_the_usual_place(discover, access, site):
    site.httpserver.expect_request("/robots.txt").respond_with_data("", 404)
    assert len(discover(Sitemap({"site": site.url()}, access))) == 3


def test_pages_and_sitemaps_are_chosen_by_their_address(discover, sitemap, httpserver):
    assert urls(discover(sitemap(include="/gallery|/business", exclude="merger"))) == [
        "https://example.org/gallery?page=2&sort=new"
    ]
    httpserver.clear_log()
    assert urls(discover(sitemap(sitemaps="news"))) == ["https://example.org/business/merger"]
    assert asked(httpserver) == ["/sitemap.xml", "/news.xml"]


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://example.org/?a=1&amp;b=2", "https://example.org/?a=1&b=2"),
        ("https://example.org/?a=1&b=2", "https://example.org/?a=1&b=2"),
        ("<![CDATA[https://example.org/?a=1&b=2]]>", "https://example.org/?a=1&b=2"),
        ("\n  https://example.org/a \n", "https://example.org/a"),
        ("//example.org/a", "http://example.org/a"),
    ],
)
def test_an_address_is_read_however_it_is_written(discover, sitemap, serve, written, address):
    serve("/odd.xml", pages(written))
    strategy = sitemap("/odd.xml")
    assert urls(discover(strategy)) == [address]
    assert not strategy.problems


def test_an_address_too_long_to_be_one_is_not_cut(discover, sitemap, serve):
    serve("/long.xml", pages("https://example.org/" + "x" * 6000, "https://example.org/1"))
    strategy = sitemap("/long.xml")
    assert urls(discover(strategy)) == ["https://example.org/1"]
    assert strategy.refused == {"no key": 1}


@pytest.mark.parametrize("packed", [False, True])
def test_a_list_in_plain_text_is_a_sitemap(discover, sitemap, httpserver, packed):
    body = "\ufeffhttps://example.org/1\r\n\r\n  https://example.org/2  \nnot an address\n".encode()
    httpserver.expect_request("/list.txt").respond_with_data(gzip.compress(body) if packed else body)
    assert urls(discover(sitemap("/list.txt"))) == ["https://example.org/1", "https://example.org/2"]


def test_a_packed_sitemap_is_unpacked(discover, sitemap, httpserver):
    body = gzip.compress(pages("https://example.org/1").encode())
    httpserver.expect_request("/s.xml.gz").respond_with_data(body, content_type="application/gzip")
    assert urls(discover(sitemap("/s.xml.gz"))) == ["https://example.org/1"]


def test_a_packed_list_is_unpacked_to_its_end(discover, sitemap, httpserver):
    body = b"".join(gzip.compress(f"https://example.org/{number}\n".encode()) for number in (1, 2))
    httpserver.expect_request("/list.gz").respond_with_data(body)
    assert urls(discover(sitemap("/list.gz"))) == ["https://example.org/1", "https://example.org/2"]


def test_a_packed_sitemap_that_breaks_off_is_read_as_far_as_that(discover, sitemap, httpserver):
    body = gzip.compress(b"https://example.org/1\n") + gzip.compress(b"https://example.org/2\n")[:-9]
    httpserver.expect_request("/list.gz").respond_with_data(body)
    strategy = sitemap("/list.gz")
    assert urls(discover(strategy))[0] == "https://example.org/1"
    assert "it breaks off" in strategy.problems[0]


# -- since ------------------------------------------------------------------------------------------------


def test_what_is_older_than_since_is_left_out_with_whole_sitemaps(discover, access, serve, httpserver):
    old, new = "<lastmod>2025-01-01</lastmod>", "<lastmod>2026-06-01</lastmod>"
    serve(
        "/new.xml", pages("/1", lastmod=new).replace("</urlset>", f"<url><loc>/2</loc>{old}</url></urlset>")
    )
    both = index(httpserver.url_for("/old.xml"), lastmod=old).replace(
        "</sitemapindex>", f"<sitemap><loc>/new.xml</loc>{new}</sitemap></sitemapindex>"
    )
    serve("/index.xml", both)
    since = replace(access, since=datetime(2026, 1, 1, tzinfo=UTC))
    strategy = Sitemap({"url": httpserver.url_for("/index.xml")}, since)
    assert urls(discover(strategy)) == [httpserver.url_for("/1")]
    assert strategy.refused == {"page older than since": 1}
    assert asked(httpserver) == ["/index.xml", "/new.xml"]


# -- again ------------------------------------------------------------------------------------------------


def test_a_sitemap_that_is_as_it_was_by_its_index_is_not_asked_again(memory, site):
    for _ in range(2):
        strategy = memory.discover(Sitemap, {"url": site.url("/sitemap.xml")})
    assert asked(site.httpserver) == ["/sitemap.xml", "/pages.xml", "/news.xml", "/sitemap.xml", "/news.xml"]
    assert strategy.looks[site.url("/pages.xml")].unchanged


def test_a_sitemap_is_read_again_once_other_pages_are_wanted(memory, site):
    memory.discover(Sitemap, {"url": site.url("/sitemap.xml"), "include": "merger"})
    memory.discover(Sitemap, {"url": site.url("/sitemap.xml")})
    assert len(memory.items) == 3


def test_a_sitemap_that_is_as_it_was_by_its_server_gives_nothing(access, discover, httpserver):
    def answer(request):
        fresh = request.headers.get("If-None-Match") == '"1"'
        return Response(status=304) if fresh else Response(pages("/1"), headers={"ETag": '"1"'})

    httpserver.expect_request("/s.xml").respond_with_handler(answer)
    params = {"url": httpserver.url_for("/s.xml")}
    cursors = {}
    first = Sitemap(
        params, replace(access, receive=lambda batch: cursors.update({batch.source: batch.cursor}))
    )
    discover(first)
    known = Recalled(cursor=cursors[params["url"]], etag=first.looks[params["url"]].etag)
    again = Sitemap(params, replace(access, recall=lambda _: known))
    assert discover(again) == []
    assert again.looks[params["url"]].unchanged
    assert not again.problems


def test_a_sitemap_that_broke_off_is_read_again_though_its_index_says_it_is_as_it_was(
    memory, serve, httpserver
):
    serve("/index.xml", index("/s.xml", lastmod="<lastmod>2026-01-01</lastmod>"))
    whole = pages("/1", "/2")
    answers = iter([whole[: whole.index("2")], whole])
    httpserver.expect_request("/s.xml").respond_with_handler(lambda _: Response(next(answers)))
    strategy = memory.discover(Sitemap, {"url": httpserver.url_for("/index.xml")})
    assert "not well-formed" in strategy.problems[0]
    assert len(memory.items) == 1
    memory.discover(Sitemap, {"url": httpserver.url_for("/index.xml")})
    assert len(memory.items) == 2


def test_each_sitemap_is_stored_as_it_is_read(memory, site):
    with memory.killed_after(2):  # the index, and the first that it names
        memory.discover(Sitemap, {"url": site.url("/sitemap.xml")})
    assert len(memory.items) == 2
    site.httpserver.clear_log()
    memory.discover(Sitemap, {"url": site.url("/sitemap.xml")})
    assert asked(site.httpserver) == ["/sitemap.xml", "/news.xml"]


# -- bounds -----------------------------------------------------------------------------------------------


def test_a_sitemap_that_fails_does_not_stop_the_others(discover, sitemap, serve, httpserver):
    serve("/index.xml", index("/absent.xml", "/pages.xml"))
    httpserver.expect_request("/absent.xml").respond_with_data("", 404)
    strategy = sitemap("/index.xml")
    assert len(discover(strategy)) == 2
    assert strategy.refused == {"sitemap could not be had": 1}
    assert "404" in strategy.looks[httpserver.url_for("/absent.xml")].error


def test_when_no_sitemap_can_be_had_that_is_an_error(discover, sitemap, httpserver):
    httpserver.expect_request("/gone.xml").respond_with_data("", 410)
    with pytest.raises(SourceUnavailableError, match="410"):
        discover(sitemap("/gone.xml"))


def test_what_is_over_max_sitemaps_is_told(discover, sitemap):
    strategy = sitemap(max_sitemaps=2)
    assert len(discover(strategy)) == 2
    assert strategy.problems == ["1 more sitemaps are over max_sitemaps, and were left out"]


@pytest.mark.parametrize("params", [{}, {"url": "https://a.org/s.xml", "site": "a.org"}])
def test_one_place_is_named(params):
    with pytest.raises(ValidationError, match="either `url` or `site`"):
        Sitemap(params)
