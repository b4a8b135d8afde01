from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discovery.base import TBS_MAP, canonical_url, extract_video_id, hash_url
from discovery.urls import join_url, name_host, with_query


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


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://example.org:80/", "http://example.org/"),
        ("https://example.org:0443/", "https://example.org/"),
        ("https://example.org:8443/", "https://example.org:8443/"),
        ("https://EXAMPLE.org./a", "https://example.org/a"),
        ("https://Me:Pw@Example.org/", "https://Me:Pw@example.org/"),
        ("https://BÜCHER.example/", "https://xn--bcher-kva.example/"),
        ("https://[2001:DB8::1]:443/", "https://[2001:db8::1]/"),
        ("https://example.org/%7euser/%e4", "https://example.org/~user/%E4"),
        ("https://example.org/a%2Fb", "https://example.org/a%2Fb"),
        ("https://example.org/é b", "https://example.org/%C3%A9%20b"),
        ("https://example.org/100%", "https://example.org/100%25"),
        ("https://example.org/a/./b/../c/", "https://example.org/a/c/"),
        ("https://example.org/a/%2e%2e/b/..", "https://example.org/"),
        ("https://example.org/../a//b", "https://example.org/a//b"),
        ("https://example.org/?b=2&a=1&c=", "https://example.org/?a=1&b=2&c="),
        ("https://example.org/?b=2&a=1&b=1", "https://example.org/?b=2&a=1&b=1"),
        ("https://example.org/?b&a", "https://example.org/?b&a"),
        ("https://example.org/?q=a+b%20c&&l[]=1", "https://example.org/?l%5B%5D=1&q=a+b%20c"),
        ("https://example.org/?utm_source=x", "https://example.org/"),
        ("https://example.org/?mc_cid=1&GCLID=2&_hsenc=3&pk_campaign=4&id=5", "https://example.org/?id=5"),
        ("https://example.org/?gclidea=1", "https://example.org/?gclidea=1"),
        ("https://example.org/a#!/thread/1", "https://example.org/a#!/thread/1"),
        ("https://example.org/a#:~:text=x", "https://example.org/a"),
    ],
)
def test_an_address_has_one_form(url, canonical):
    assert canonical_url(url) == canonical


@pytest.mark.parametrize(
    "text",
    [" http://[::1 ", "https://a:b/", "https:///a", "https://./a", "mailto:Me@x.org", "a/../b?utm_id=1"],
)
def test_what_is_no_address_comes_back_as_it_is(text):
    assert canonical_url(text) == text.strip()


PIECES = st.text(alphabet="abAB./%2eE7:?&=#!@[]+ \t\\;é\ud800ß。\u2024\uff11", max_size=20)
ADDRESSES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["http://", "HTTPS://", "//", ""]),
    st.sampled_from(["a.b", "EX.org.", "ü.de", "faß.de", "u@H:443", "[::1]", "x..", "。", "%41.b"]) | PIECES,
    PIECES,
)


@given(ADDRESSES | st.text())
@example("http://a/%%34%31")
@example("http://[::1]@[[2")
def test_the_one_form_of_the_one_form_is_itself(text):
    once = canonical_url(text)
    assert canonical_url(once) == once


@given(ADDRESSES, ADDRESSES | st.text())
def test_no_reference_and_no_parameter_is_too_odd(base, reference):
    joined = join_url(base, reference)
    assert joined is None or joined.startswith(("http://", "https://"))
    assert with_query(base, {reference: reference})


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("?page=2", "https://example.org/a/b?page=2"),
        ("//other.example/x", "https://other.example/x"),
        ("#top", "https://example.org/a/b"),
        ("#!/x", "https://example.org/a/b#!/x"),
        ("javascript:void(0)", None),
        ("https://[", None),
    ],
)
def test_a_reference_leads_to_a_page_or_to_none(reference, url):
    assert join_url("https://example.org/a/b", reference) == url


def test_a_host_is_the_same_with_and_without_www():
    assert name_host("https://www.Example.org:1/") == name_host("http://example.org./") == "example.org"


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
