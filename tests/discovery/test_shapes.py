from __future__ import annotations

import pytest

from discovery.shapes import (
    read_list,
    read_object,
    read_objects,
    read_text,
    read_texts,
    read_web_address,
    read_whole,
)

STRANGE = [None, 1, 1.5, True, "text", [], [1], {}, {"a": 1}]


@pytest.mark.parametrize("given", STRANGE)
def test_every_reader_gives_its_own_shape_whatever_it_is_given(given):
    assert isinstance(read_object(given), dict)
    assert isinstance(read_list(given), list)
    assert all(isinstance(each, dict) for each in read_objects(given))
    assert isinstance(read_text(given), str)
    assert all(isinstance(each, str) for each in read_texts(given))
    assert read_whole(given) is None or type(given) is int
    assert read_web_address(given) is None


def test_a_list_keeps_what_has_the_shape():
    assert read_objects([1, {"a": 1}, None]) == [{"a": 1}]
    assert read_texts(["a", " ", 1, "b"]) == ["a", "b"]


def test_half_a_character_can_be_stored():
    assert read_text("a\ud800b") == "a?b"


def test_a_number_that_no_database_holds_is_none():
    assert (read_whole(2**63), read_whole(2**63 - 1)) == (None, 2**63 - 1)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "ftp://example.org", "example.org"])
def test_only_http_and_https_are_web_addresses(address):
    assert read_web_address(address) is None
    assert read_web_address(" HTTPS://example.org ") == "HTTPS://example.org"
