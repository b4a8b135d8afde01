from __future__ import annotations

import asyncio
import hashlib
import io
import itertools
import re
import tarfile
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import feedparser
import pytest
from werkzeug import Response

from discovery.items import admit_items
from discovery.rss_feeds import RssFeeds

CORPUS = Path(__file__).parent / "corpus"
SDIST = CORPUS / "feedparser-6.0.14.tar.gz"
ENTRY = re.compile(rb"<((?:\w+:)?)(?:item|entry)\b[^>]*(?<!/)>", re.IGNORECASE)
LOST_BY_FEEDPARSER = "wellformed/rss/item_guid_isPermaLink_ValueError.xml"
"""Its one entry has an id that can be joined to no address; feedparser alone drops it, and we keep it."""
HEADER = re.compile(rb"Header:\s*(Content-type|Content-Language):\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)


def feeds_of_the_corpus():
    with tarfile.open(SDIST) as archive:
        for member in archive:
            if "/tests/" in member.name and member.name.endswith(".xml"):
                yield member.name.partition("/tests/")[2], archive.extractfile(member).read()


def headers_of(body):
    """Read the headers that a feed of the corpus wants to be served with."""
    given = {name.decode().lower(): value.decode() for name, value in HEADER.findall(body[:2000])}
    return {"content-type": "application/xml"} | given


@cache
def identities_of(body):
    """Count what tells the entries of a feed apart, by what feedparser itself reads there, whatever its address."""
    headers = headers_of(body) | {"content-location": "http://localhost/"}
    parsed = feedparser.parse(io.BytesIO(body), response_headers=headers)
    if not parsed.version and not parsed.entries:
        return None
    return Counter(filter(None, map(identity_of, parsed.entries)))


def identity_of(entry):
    enclosures = (link.get("href") for link in entry.get("links", []) if link.get("rel") == "enclosure")
    link = entry.get("link") or next(enclosures, "")
    return entry.get("id", "").strip() or link


@pytest.fixture(scope="module")
def corpus():
    """Hold every feed of the corpus, and once more those whose entries have no identity, with one."""
    plain = dict(feeds_of_the_corpus())
    named = {f"named/{name}": name_entries(body) for name, body in plain.items()}
    return plain | {name: body for name, body in named.items() if body not in plain.values()}


def name_entries(body):
    """Give each entry an id, in a feed that names none of them; its text stays as it is."""
    if identities_of(body):
        return body
    numbers = itertools.count()
    return ENTRY.sub(
        lambda found: (
            b"%s<%sguid>tag:example.org,2026:%d</%sguid>" % (found[0], found[1], next(numbers), found[1])
        ),
        body,
    )


@pytest.fixture
def served(corpus, httpserver):
    """Serve every feed of the corpus; its address by its name."""

    def answer(request):
        body = corpus[request.path.removeprefix("/")]
        return Response(body, 200, headers_of(body))

    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    return {name: httpserver.url_for(f"/{name}") for name in corpus}


@pytest.fixture
def read(served, access):
    """Read all of the corpus at once: the items of each feed by its address, and the strategy."""
    strategy = RssFeeds({"feeds": list(served.values()), "limit": 10_000}, access)

    async def go():
        async with strategy.looking():
            return await strategy.fetch_items()

    found = defaultdict(list)
    for item in asyncio.run(go()):
        found[item.source].append(item)
    return found, strategy


@pytest.fixture
def expected(corpus, served):
    identities = {url: identities_of(corpus[name]) for name, url in served.items()}
    lost = next(url for name, url in served.items() if name == LOST_BY_FEEDPARSER)
    assert identities[lost] == Counter()
    return identities | {lost: Counter(["http://example.c[o.test/"])}


def test_the_corpus_is_as_it_was_published():
    digest = hashlib.sha256(SDIST.read_bytes()).hexdigest()
    assert digest in (CORPUS / "README.md").read_text()
    assert len(list(feeds_of_the_corpus())) == 2242


@pytest.mark.timeout(600)  # it reads thousands of feeds
def test_each_feed_of_the_corpus_gives_one_item_for_each_entry_with_an_identity(read, expected):
    found, strategy = read
    no_feeds = {url for url, identities in expected.items() if identities is None}
    assert {url for url, look in strategy.looks.items() if look.error} == no_feeds
    assert len(no_feeds) < 20
    counts = {url: sum(1 for item in found[url] if item.key) for url in expected}
    assert counts == {url: (identities or Counter()).total() for url, identities in expected.items()}
    assert sum(counts.values()) > 1100
    for url, identities in expected.items():
        refused = Counter()
        admitted = list(admit_items(found[url], refused))
        assert len(admitted) == len(identities or ()), url
        assert set(refused) <= {"no key", "key repeated"}, url
