from __future__ import annotations

import pytest

from discovery.base import TBS_MAP, canonical_url, extract_video_id, hash_url


def test_a_hash_has_the_length_asked_for_and_never_changes():
    assert hash_url("https://example.org/") == "8198d1bac4"
    assert len(hash_url("https://example.org/", 20)) == 20


@pytest.mark.parametrize(
    "spelling",
    [
        "https://example.org/a?id=7",
        "HTTPS://EXAMPLE.ORG:443/a?id=7#top",
        " https://example.org/a?id=7&utm_source=x&UTM_Medium=y&fbclid=z\n",
    ],
)
def test_spellings_of_one_address_share_one_form(spelling):
    assert canonical_url(spelling) == "https://example.org/a?id=7"


@pytest.mark.parametrize(
    "other", ["http://example.org/a?id=7", "https://example.org/A?id=7", "https://example.org/a"]
)
def test_another_address_keeps_another_form(other):
    assert canonical_url(other) != "https://example.org/a?id=7"


def test_an_empty_path_is_the_root():
    assert canonical_url("https://example.org") == canonical_url("https://example.org/")


def test_what_is_no_address_comes_back_as_it_is():
    assert canonical_url(" http://[::1 ") == "http://[::1"


@pytest.mark.parametrize(
    "text",
    [
        "dQw4w9WgXcQ",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=1",
        "https://m.youtube.com/watch?app=desktop&v=dQw4w9WgXcQ",
        "youtube.com/shorts/dQw4w9WgXcQ",
        "https://youtu.be/dQw4w9WgXcQ?si=x",
        "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ",
        "https://www.youtube.com/live/dQw4w9WgXcQ",
    ],
)
def test_the_id_of_a_video_is_found_in_every_address_of_it(text):
    assert extract_video_id(text) == "dQw4w9WgXcQ"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "https://example.org/watch?v=dQw4w9WgXcQ",
        "https://youtube.com/@channel",
        "http://[::1",
        "a b",
    ],
)
def test_what_is_no_video_has_no_id(text):
    assert extract_video_id(text) is None


def test_a_daily_search_looks_back_two_days():
    assert TBS_MAP == {"daily": "qdr:d2", "weekly": "qdr:w"}
