from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.ampersands import escape_ampersands
from discovery.atom import parse_atom
from discovery.feed_entries import read_xml_feed
from discovery.outlines import OutlineReading
from discovery.podcast_episodes import read_episodes
from discovery.sitemap_entries import Reading
from net.fetched import Fetched

DOCUMENT = b"<a b='?c=1&d=2'>&amp;&#38;&#x26;&nbsp;&; <![CDATA[ &e ]] > ]]> & <!-- &f --> &#99999999;</a>&"
ESCAPED = (
    b"<a b='?c=1&amp;d=2'>&amp;&#38;&#x26;&amp;nbsp;&amp;; <![CDATA[ &e ]] > ]]> &amp; <!-- &amp;f --> "
    b"&amp;#99999999;</a>&amp;"
)


def escape(*pieces):
    return b"".join(escape_ampersands(pieces))


def test_what_begins_no_reference_is_escaped_outside_of_cdata():
    assert escape(DOCUMENT) == ESCAPED


@given(st.lists(st.integers(0, len(DOCUMENT)), max_size=20))
def test_it_makes_no_difference_where_the_document_is_cut(cuts):
    places = [0, *sorted(cuts), len(DOCUMENT)]
    assert escape(*(DOCUMENT[a:b] for a, b in itertools.pairwise(places))) == ESCAPED


@pytest.mark.parametrize("document", [b"", b"<", b"&", b"<![CDATA[", b"<![CDATA[&"])
def test_a_document_that_breaks_off_loses_nothing(document):
    assert escape(document).replace(b"&amp;", b"&") == document


def test_escaping_twice_changes_nothing_more():
    assert escape(escape(DOCUMENT)) == ESCAPED


# -- the halves of a character ----------------------------------------------------------------------------

RSS = '<rss version="2.0"><channel><title>f</title><item><guid>{}</guid><enclosure url="a"/></item></channel></rss>'
NEWS = '<urlset xmlns:n="urn:n"><url><loc>https://a.org/</loc><n:news><n:title>{}</n:title></n:news></url></urlset>'
OPML = '<opml><outline text="{}" xmlUrl="https://a.org/f"/></opml>'
FEED = '<feed xmlns="http://www.w3.org/2005/Atom"><title>{}</title></feed>'


def read_atom(body):
    return parse_atom(Fetched("https://a.org/", 200, {}, body, datetime.now(UTC)), {})


READERS = {
    "a feed": (RSS, lambda body: read_xml_feed(body, "", "https://a.org/", 9).entries[0].id),
    "episodes": (RSS, lambda body: next(iter(read_episodes(body, "", "https://a.org/", 9)))),
    "a sitemap": (NEWS, lambda body: next(Reading(body).entries()).title),
    "a list of feeds": (OPML, lambda body: next(OutlineReading(body).outlines()).title),
    "Atom of a known shape": (FEED, lambda body: read_atom(body).text("atom:title")),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("&#xD83D;&#xDE00;", "\U0001f600"),
        ("&#55357;&#056832;", "\U0001f600"),
        ("&#xD83D; &#xDE00;!", "\ufffd \ufffd!"),
        ("&#xDE00;&#xD83D;&#xDE00;", "\ufffd\U0001f600"),
        ("&#xD7FF;&#57344;", "\ud7ff\ue000"),
    ],
)
def test_a_character_that_is_written_as_its_two_halves_is_read_as_one(reader, written, meant):
    document, read = READERS[reader]
    assert read(document.format(written).encode()) == meant


def test_a_sitemap_in_utf_16_that_holds_half_a_character_is_read_up_to_it():
    body = NEWS.format("x").replace("</urlset>", "<url><loc>\ud800</loc></url></urlset>")
    reading = Reading(body.encode("utf-16", "surrogatepass"))
    assert [entry.url for entry in reading.entries()] == ["https://a.org/"]
    assert reading.problem is not None
