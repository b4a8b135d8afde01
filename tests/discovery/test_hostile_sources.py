from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import socketserver
import subprocess
import sys
import threading
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from werkzeug import Response

from net.client import PoliteClient
from pipeline.catalog import STRATEGY, load
from pipeline.errors import SourceError
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
MEASURED = Path(__file__).with_name("measured.py")
MIB = 1024 * 1024
MOST_MEBIBYTES = 300

RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0"><channel><title>Caf\u00e9</title>
<item><guid>urn:1</guid><title>The caf\u00e9 opens its doors</title><link>https://example.org/1</link>
  <enclosure url="https://example.org/1.mp3" type="audio/mpeg"/></item>
<item><guid>urn:2</guid><title>Rain again in all the land</title><link>https://example.org/2</link>
  <enclosure url="https://example.org/2.mp3" type="audio/mpeg"/></item>
<item><guid>urn:3</guid><title>Nothing else to tell you today</title><link>https://example.org/3</link>
  <enclosure url="https://example.org/3.mp3" type="audio/mpeg"/></item>
</channel></rss>"""

OPML = """<?xml version="1.0" encoding="utf-8"?>
<opml version="2.0"><head><title>Caf\u00e9</title></head><body>
<outline text="Caf\u00e9" xmlUrl="/feed"/>
<outline text="Gone" xmlUrl="/feed"/>
</body></opml>"""

SITEMAP = """<?xml version="1.0" encoding="utf-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:n="http://www.google.com/schemas/sitemap-news/0.9">
<url><loc>https://example.org/1</loc><n:news><n:title>The caf\u00e9 opens its doors</n:title></n:news></url>
<url><loc>https://example.org/2</loc><n:news><n:title>Rain again in all the land</n:title></n:news></url>
<url><loc>https://example.org/3</loc><n:news><n:title>Nothing else to tell you today</n:title></n:news></url>
</urlset>"""

PAGE = """<!DOCTYPE html><html><head><meta charset="utf-8"><title>Caf\u00e9</title></head><body>
<p><a href="/1">The caf\u00e9 opens its doors</a></p><p><a href="/2">Rain again in all the land</a></p>
<p><a href="/3">Nothing else to tell you today</a></p>
</body></html>"""

LIST = """[{"id": "1", "title": "The caf\u00e9 opens its doors"}, {"id": "2", "title": "Rain again in all the land"},
{"id": "3", "title": "Nothing else to tell you today"}]"""


@dataclass(frozen=True)
class Kind:
    """A strategy that reads strangers' bytes: how it is pointed at an address, and a document as it should be."""

    params: object
    document: str
    content_type: str


KINDS = {
    "rss_feeds": Kind(lambda url: {"feeds": [url]}, RSS, "application/rss+xml"),
    "podcast_feeds": Kind(lambda url: {"feeds": [url]}, RSS, "application/rss+xml"),
    "opml_feeds": Kind(lambda url: {"url": url}, OPML, "text/x-opml"),
    "sitemap": Kind(lambda url: {"url": url}, SITEMAP, "application/xml"),
    "html_links": Kind(lambda url: {"url": url}, PAGE, "text/html"),
    "json_api": Kind(lambda url: {"url": url, "published_at": "at"}, LIST, "application/json"),
    "newsflow_sources": Kind(
        lambda url: {"sources": [url, {"type": "sitemap", "url": url}, {"type": "page", "url": url}]},
        RSS,
        "application/rss+xml",
    ),
}
OF_XML = sorted({*KINDS} - {"html_links", "json_api"})
OF_FEEDS = ["newsflow_sources", "podcast_feeds", "rss_feeds"]

every_kind = pytest.mark.parametrize("name", sorted(KINDS))
every_kind_of_xml = pytest.mark.parametrize("name", OF_XML)
every_kind_of_feed = pytest.mark.parametrize("name", OF_FEEDS)


@dataclass(frozen=True)
class Ending:
    """How a discovery ended: the keys and data of what was found, what was refused, and what was said."""

    items: list
    refused: dict
    problems: list
    error: str = ""

    @property
    def keys(self):
        return [item.key for item in self.items]

    @property
    def said(self):
        """All that it says of what was wrong."""
        return "\n".join([*self.problems, self.error])


@pytest.fixture
def end(access):
    """Run a strategy against an address, in this process."""

    def run(name, url, **client):
        about = {"contact": None, "allow_hosts": ["127.0.0.1", "localhost"], "total_seconds": 20} | client
        reached = replace(access, http=PoliteClient(**about))
        strategy = load(STRATEGY, name)(KINDS[name].params(url), reached)
        error = ""
        try:
            found = asyncio.run(strategy.discover())
        except SourceError as caught:
            found, error = strategy.kept, f"{type(caught).__name__}: {caught}"
        return Ending(found, dict(strategy.refused), list(strategy.problems), error)

    return run


@pytest.fixture
def serve(httpserver):
    """Serve a body, and beside it a feed that is as it should be; the address of the body."""

    def answer(body, content_type, path="/hostile", **headers):
        httpserver.expect_request("/feed").respond_with_data(RSS, content_type="application/rss+xml")
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        httpserver.expect_request(path).respond_with_handler(
            lambda _: Response(body, 200, {"Content-Type": content_type} | said)
        )
        return httpserver.url_for(path)

    return answer


@pytest.fixture
def good(end, serve):
    """Run a strategy against a document as it should be."""
    return lambda name: end(name, serve(KINDS[name].document, KINDS[name].content_type, "/good"))


@pytest.fixture(scope="module")
def measured():
    """Start what runs discoveries in processes that measure themselves."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(MEASURED)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def measure(measured):
    """Run a strategy against an address in a process of its own; what it came to, its memory within bounds."""

    def run(name, url, **params):
        client = {"contact": None, "allow_hosts": ["127.0.0.1", "localhost"], "total_seconds": 30}
        asked = {"strategy": name, "params": KINDS[name].params(url) | params, "client": client}
        measured.stdin.write(json.dumps(asked) + "\n")
        measured.stdin.flush()
        told = json.loads(measured.stdout.readline())
        assert told["mebibytes"] < MOST_MEBIBYTES
        told["said"] = "\n".join([*told["problems"], told["error"] or ""])
        return told

    return run


@pytest.fixture
def raw():
    """Serve over a bare socket what a function yields for a path, for as long as the other side takes it."""
    servers = []

    def start(pieces):
        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                path = self.rfile.readline().split()[1].decode()
                while self.rfile.readline().strip():
                    pass
                try:
                    for piece in pieces(path):
                        self.wfile.write(piece)
                except OSError:
                    self.server.hung_up.set()

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads, server.hung_up = True, threading.Event()
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/", server.hung_up

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


# -- what is not as it says -------------------------------------------------------------------------------


@every_kind
def test_a_good_document_gives_all_that_it_names(name, good):
    assert len(good(name).items) == 3


@every_kind
def test_a_document_that_breaks_off_gives_what_came_before(name, end, serve, good):
    document = KINDS[name].document
    cut = document[: document.index("Gone" if name == "opml_feeds" else "Nothing else")]
    ending = end(name, serve(cut, KINDS[name].content_type))
    if name == "json_api":
        assert "did not answer with JSON" in ending.error
        return
    assert ending.keys[:2] == good(name).keys[:2]
    if name in {"opml_feeds", "sitemap"}:  # of a feed or a page nobody can tell
        assert re.search(r"breaks off|not well-formed", ending.said)


@every_kind
def test_an_answer_that_breaks_off_is_no_answer(name, end, raw):
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {KINDS[name].content_type}\r\nContent-Length: 100000\r\n\r\n"
    url, _ = raw(lambda _: [head.encode(), KINDS[name].document.encode()])
    ending = end(name, url)
    assert "did not answer" in ending.error
    assert not ending.items


ENCODINGS = {
    "UTF-16 that says it is UTF-8": ("utf-16", ""),
    "Windows-1252 that says it is UTF-8": ("cp1252", ""),
    "UTF-8 whose server says it is KOI8-R": ("utf-8", "; charset=koi8-r"),
    "UTF-8 whose server names no charset that exists": ("utf-8", "; charset=x-nonsense"),
    "UTF-8 whose server says it is UTF-16": ("utf-8", "; charset=utf-16"),
    "UTF-8 with a mark": ("utf-8-sig", ""),
}


@every_kind
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_document_in_another_encoding_than_it_says_is_read(name, encoding, end, serve, good):
    actual, charset = ENCODINGS[encoding]
    ending = end(name, serve(KINDS[name].document.encode(actual), KINDS[name].content_type + charset))
    if name == "json_api" and actual == "cp1252":  # JSON is Unicode, or none
        assert "did not answer with JSON" in ending.error
        return
    assert ending.keys == good(name).keys


@every_kind
def test_a_document_in_several_encodings_gives_what_can_be_read(name, end, serve, good):
    mixed = KINDS[name].document.encode().replace(b"again", b"\xe9\xff\x00\xc3(")
    ending = end(name, serve(mixed, KINDS[name].content_type))
    assert ending.keys == good(name).keys or ending.said.strip()
    assert {*ending.keys} <= {*good(name).keys}


ERROR_PAGES = {
    "HTML": "<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>We are down</h1></body></html>",
    "JSON": '{"error": "we are down", "code": 17}',
    "words": "We are down for maintenance.",
    "nothing": "",
}


@every_kind
@pytest.mark.parametrize("page", ERROR_PAGES)
def test_an_error_page_that_says_it_is_fine_is_told(name, page, end, serve):
    ending = end(name, serve(ERROR_PAGES[page], KINDS[name].content_type))
    assert not ending.items
    assert re.search(r"is not|no list|did not answer with|no such links|no page but|is empty", ending.said)


@pytest.mark.parametrize("name", [*OF_XML, "json_api"])
def test_a_page_where_a_document_was_promised_is_told(name, end, serve):
    ending = end(name, serve(PAGE.replace("<a ", "<b "), KINDS[name].content_type))
    assert not ending.items
    assert re.search(r"is not (a feed|OPML|a sitemap)|did not answer with JSON", ending.said)


# -- what is too much -------------------------------------------------------------------------------------

HUGE = {
    "rss_feeds": (b"<rss version='2.0'><channel><title>T</title>", b"<item><guid>urn:%d</guid></item>"),
    "opml_feeds": (b"<opml><body>", b"<outline text='T' xmlUrl='http://example.org/%d'/>"),
    "sitemap": (b"<urlset>", b"<url><loc>https://example.org/%d</loc></url>"),
    "html_links": (b"<!DOCTYPE html><title>T</title>", b"<p><a href='/%d'>T</a>"),
    "json_api": (b"[{}", b', {"id": %d}'),
}
HUGE |= {"podcast_feeds": HUGE["rss_feeds"], "newsflow_sources": HUGE["rss_feeds"]}


@every_kind
def test_a_document_of_200_mebibytes_is_left_where_it_is(name, measure, raw):
    beginning, each = HUGE[name]
    block = b"".join(each % number for number in range(20_000))

    def pieces(_):
        yield f"HTTP/1.1 200 OK\r\nContent-Type: {KINDS[name].content_type}\r\n\r\n".encode()
        yield beginning
        for _ in range(200 * MIB // len(block)):
            yield block

    url, hung_up = raw(pieces)
    told = measure(name, url)
    assert not told["keys"]
    assert "is over 20,971,520 bytes" in told["said"]
    assert hung_up.wait(PATIENCE_SECONDS)


@every_kind
def test_a_document_that_announces_200_mebibytes_is_not_begun(name, end, raw):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MIB)
    url, _ = raw(lambda _: [head])
    assert "is over 20,971,520 bytes" in end(name, url).said


@every_kind
def test_a_document_that_unpacks_to_far_too_much_is_left(name, measure, serve):
    bomb = compress_bomb(HUGE[name][0])
    told = measure(name, serve(bomb, KINDS[name].content_type, Content_Encoding="gzip"))
    assert not told["keys"]
    assert "is over 52,428,800 bytes when decompressed" in told["said"]


def test_feeds_that_unpack_to_as_much_as_may_be_take_no_more_memory_together_than_one(measure, serve):
    bomb = gzip.compress(RSS.encode() + b" " * (48 * MIB))
    url = serve(bomb, "application/rss+xml", Content_Encoding="gzip")
    told = measure("rss_feeds", url, feeds=[f"{url}?{number}" for number in range(16)])
    assert told["keys"][:3] == ["urn:1", "urn:2", "urn:3"]


def compress_bomb(beginning):
    """Compress 300 MiB of blanks behind a beginning."""
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(beginning) + packer.flush(zlib.Z_FULL_FLUSH)
    blank = packer.compress(b" " * MIB) + packer.flush(
        zlib.Z_FULL_FLUSH
    )  # the same each time: it refers to nothing
    return packed + blank * 300


def test_a_packed_sitemap_that_unpacks_to_far_too_much_gives_its_beginning(measure, serve):
    beginning = SITEMAP.removesuffix("</urlset>").encode()
    told = measure("sitemap", serve(compress_bomb(beginning), "application/gzip"))
    assert len(told["keys"]) == 3
    assert "is over 52,428,800 bytes when decompressed" in told["said"]


UNFOLDING = {
    "json_api": (
        "application/json",
        lambda: b"[" + b"[]," * (6 * MIB) + b"[]]",
        "it may hold over 1,000,000 values",
    ),
    "rss_feeds": (
        "application/feed+json",
        lambda: (
            b'{"version": "https://jsonfeed.org/version/1", "title": "T", "items": ['
            + b"[]," * (2 * MIB)
            + b"[]]}"
        ),
        "it may hold over 1,000,000 values",
    ),
    "sitemap": (
        "application/xml",
        lambda: b"<sitemapindex>" + b"<sitemap><loc>/a</loc></sitemap>" * 600_000,
        "it names over 50,000 sitemaps",
    ),
    "html_links": (
        "text/html",
        lambda: b"<p " + b" ".join(b"a%d" % number for number in range(MIB)) + b"><a href=/1>T</a>",
        "a tag with over 500 attributes",
    ),
    "opml_feeds": (
        "text/x-opml",
        lambda: b"<opml>" + b"<outline>" * (2 * MIB),
        "it is over 2,097,152 bytes",
    ),
}


@pytest.mark.parametrize("name", sorted(UNFOLDING))
def test_a_document_that_would_take_far_more_memory_than_it_is_long_is_told(name, measure, serve):
    content_type, make_body, told = UNFOLDING[name]
    assert told in measure(name, serve(make_body(), content_type))["said"]


def test_a_list_of_addresses_that_is_all_empty_lines_takes_no_memory(measure, serve):
    body = gzip.compress(b"\n" * (40 * MIB) + b"https://example.org/1")
    assert len(measure("sitemap", serve(body, "text/plain"))["keys"]) == 1


LAUGHS = '<!DOCTYPE x [<!ENTITY l0 "ha">' + "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12)
)
XML_BOMBS = {
    "entities of entities": (f"{LAUGHS}]>", "&l11;"),
    "one long entity, often": (f'<!DOCTYPE x [<!ENTITY l "{"ha" * 50_000}">]>', "&l;" * 50_000),
}


@every_kind_of_xml
@pytest.mark.parametrize("bomb", XML_BOMBS)
def test_entities_that_would_unfold_to_far_too_much_are_not_unfolded(name, bomb, measure, serve):
    doctype, reference = XML_BOMBS[bomb]
    head, _, rest = KINDS[name].document.partition("?>")
    document = f"{head}?>{doctype}{rest}".replace("Rain", f"Rain{reference}").replace("Gone", reference)
    told = measure(name, serve(document, KINDS[name].content_type))
    assert len(told["keys"]) == 3 or told["said"].strip()
    assert len(told["keys"]) <= 3


# -- what would lead elsewhere ----------------------------------------------------------------------------


@every_kind_of_xml
def test_no_entity_from_outside_is_read(name, end, serve, httpserver, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET-OF-A-FILE")
    httpserver.expect_request(re.compile("/leak.*")).respond_with_data("SECRET-OF-A-SERVER")
    leak = httpserver.url_for("/leak")
    doctype = (
        f'<!DOCTYPE x SYSTEM "{leak}.dtd" [<!ENTITY a SYSTEM "{secret.as_uri()}"><!ENTITY b SYSTEM "{leak}">'
        f'<!ENTITY % c SYSTEM "{leak}-parameter"> %c;]>'
    )
    head, _, rest = KINDS[name].document.partition("?>")
    document = f'{head}?><?xml-stylesheet href="{leak}.xsl"?>{doctype}{rest}'
    ending = end(
        name, serve(document.replace("Rain", "&a;&b;").replace("Gone", "&a;&b;"), KINDS[name].content_type)
    )
    assert "SECRET" not in json.dumps([item.data for item in ending.items]) + ending.said
    assert not [request for request, _ in httpserver.log if request.path.startswith("/leak")]
    assert ending.items or ending.said.strip()


@every_kind
def test_redirects_in_a_circle_end(name, end, httpserver):
    for here, there in (("/a", "/b"), ("/b", "/a")):
        httpserver.expect_request(here).respond_with_data("", 302, {"Location": there})
    assert "over 5 redirects" in end(name, httpserver.url_for("/a")).error


@every_kind
def test_a_redirect_to_where_a_cloud_keeps_its_secrets_is_not_followed(name, end, httpserver):
    httpserver.expect_request("/a").respond_with_data(
        "", 302, {"Location": "http://169.254.169.254/latest/meta-data/"}
    )
    ending = end(name, httpserver.url_for("/a"))
    assert "169.254.169.254 is not on the public internet" in ending.error
    assert not ending.items


@every_kind
def test_a_server_that_sends_a_byte_a_second_is_left_in_time(name, end, raw):
    over = threading.Event()

    def pieces(_):
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        for byte in KINDS[name].document.encode():
            yield bytes([byte])
            if over.wait(1):
                return

    url, _ = raw(pieces)
    ending = end(name, url, total_seconds=1.2)
    over.set()
    assert "took over 1.2 seconds" in ending.error


def test_a_sitemap_index_that_contains_itself_is_read_once(end, serve, httpserver):
    index = f"""<sitemapindex><sitemap><loc>{httpserver.url_for("/hostile")}</loc></sitemap>
        <sitemap><loc>/pages</loc></sitemap><sitemap><loc>/hostile#again</loc></sitemap></sitemapindex>"""
    serve(SITEMAP, "application/xml", "/pages")
    ending = end("sitemap", serve(index, "application/xml"))
    assert len(ending.items) == 3
    assert ending.refused == {"sitemap named before": 2}
    assert [request.path for request, _ in httpserver.log] == ["/hostile", "/pages"]


def test_sitemap_indexes_that_lead_ever_deeper_end(end, httpserver):
    def answer(request):
        depth = int(request.path.strip("/")) + 1
        return Response(f"<sitemapindex><sitemap><loc>/{depth}</loc></sitemap></sitemapindex>")

    httpserver.expect_request(re.compile(r"/\d+")).respond_with_handler(answer)
    ending = end("sitemap", httpserver.url_for("/0"))
    assert "below 5 others" in ending.said
    assert len(httpserver.log) == 6


# -- what is in it ----------------------------------------------------------------------------------------


def feed_of(items):
    return f"<rss version='2.0'><channel><title>T</title>{items}</channel></rss>"


AUDIO = '<enclosure url="https://example.org/a.mp3" type="audio/mpeg"/>'


@every_kind_of_feed
def test_an_entry_without_id_link_or_date_is_counted_or_known_by_what_it_has(name, end, serve):
    feed = feed_of(f"<item><title>Only words of this</title></item><item>{AUDIO}</item><item/>")
    ending = end(name, serve(feed, "application/rss+xml"))
    assert len(ending.items) == 1
    assert ending.items[0].data["published_at"] is None
    counted = ending.refused.get("no key", 0) + ending.refused.get("entry without an enclosure", 0)
    assert counted == 2


UNKNOWN = {
    "sitemap": "<urlset><url><lastmod>2026-01-01</lastmod></url><url><loc> </loc></url><url/></urlset>",
    "json_api": '[{"title": "x"}, {"id": null}, {}, {"id": []}]',
    "opml_feeds": "<opml><body><outline/><outline text='x'/><outline xmlUrl=''/></body></opml>",
    "html_links": "<p><a>x</a><a href>y</a><a href=''>z</a>",
}


@pytest.mark.parametrize("name", sorted(UNKNOWN))
def test_what_has_no_identity_is_not_found(name, end, serve):
    ending = end(name, serve(UNKNOWN[name], KINDS[name].content_type))
    assert not ending.items
    if name in {"sitemap", "json_api"}:
        assert ending.refused["no key"] == (3 if name == "sitemap" else 4)


FAR = {
    "sitemap": "<urlset><url><loc>https://example.org/1</loc><lastmod>70000-01-01T00:00:00Z</lastmod></url></urlset>",
    "json_api": '[{"id": "1", "at": "70000-01-01T00:00:00Z"}]',
}
FAR |= dict.fromkeys(
    ("rss_feeds", "podcast_feeds", "newsflow_sources"),
    feed_of(f"<item><guid>urn:1</guid><pubDate>70000-01-01T00:00:00Z</pubDate>{AUDIO}</item>"),
)


@pytest.mark.parametrize("name", sorted(FAR))
def test_an_instant_in_the_year_70000_is_none(name, end, serve):
    [item] = end(name, serve(FAR[name], KINDS[name].content_type)).items
    assert item.data.get("published_at") is None
    assert item.data.get("modified_at") is None


TWICE = {
    "sitemap": "<urlset><url><loc>https://example.org/1</loc></url><url><loc>https://example.org/1#a</loc></url></urlset>",
    "json_api": '[{"id": 1}, {"id": "1"}]',
    "html_links": "<a href='/1'>x</a><a href='/1?utm_source=y'>x</a>",
}
TWICE |= dict.fromkeys(OF_FEEDS, feed_of(f"<item><guid>urn:1</guid>{AUDIO}</item>" * 2))


@pytest.mark.parametrize("name", sorted(TWICE))
def test_two_with_one_identity_are_one(name, end, serve):
    ending = end(name, serve(TWICE[name], KINDS[name].content_type))
    assert len(ending.items) == 1
    assert name == "html_links" or sum(ending.refused.values()) >= 1


@pytest.mark.parametrize(
    "paging",
    [
        {"by": "page"},
        {"by": "offset"},
        {"by": "cursor", "next": "next"},
        {"by": "next_url", "next": "url"},
        {"by": "link_header"},
    ],
    ids=lambda paging: paging["by"],
)
def test_a_list_that_repeats_for_ever_ends(paging, access, discover, httpserver):
    def answer(_):
        number = len(httpserver.log) + 1
        further = httpserver.url_for(f"/list?at={number}")
        said = {"items": [{"id": "a"}, {"id": "b"}], "next": number, "url": further}
        return Response(json.dumps(said), headers={"Link": f'<{further}>; rel="next"'})

    httpserver.expect_request("/list").respond_with_handler(answer)
    params = {"url": httpserver.url_for("/list"), "items": "items", "paging": paging}
    strategy = load(STRATEGY, "json_api")(params, access)
    assert [item.key for item in discover(strategy)] == ["a", "b"]
    assert "gives the same page again and again" in strategy.problems[0]
    assert len(httpserver.log) == 2


def test_a_cursor_that_goes_back_ends_the_list(access, discover, httpserver):
    following = {"0": "1", "1": "2", "2": "1"}

    def answer(request):
        at = request.args.get("cursor", "0")
        return Response(json.dumps({"items": [{"id": f"at {at}"}], "next": following[at]}))

    httpserver.expect_request("/list").respond_with_handler(answer)
    paging = {"by": "cursor", "next": "next"}
    params = {"url": httpserver.url_for("/list"), "items": "items", "paging": paging}
    strategy = load(STRATEGY, "json_api")(params, access)
    assert [item.key for item in discover(strategy)] == ["at 0", "at 1", "at 2"]
    assert "leads back to a page that was there before" in strategy.problems[0]
