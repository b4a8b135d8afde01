from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.ampersands import escape_ampersands

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
