from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from discovery.opml_feeds import OpmlFeeds
from discovery.outlines import MAX_FEEDS, Outline, OutlineReading
from pipeline.errors import SourceRejectedError, SourceUnavailableError


@pytest.fixture
def feeds(sources_of):
    sources = sources_of("opml_feeds")
    sources.serve("/feeds.opml", "good")
    sources.serve("/good.xml", "good-rss")
    sources.serve("/atom.xml", "good-atom")
    return sources


@pytest.fixture
def opml(access, feeds):
    return lambda **params: OpmlFeeds(params or {"url": feeds.url("/feeds.opml")}, access)


def read(body, base="http://example.org/lists/feeds.opml"):
    return [*OutlineReading(f"<opml><body>{body}</body></opml>".encode(), "", base).outlines()]


def test_an_entry_comes_with_its_feed_as_the_list_calls_it_and_its_categories(discover, opml):
    first, _, last = discover(opml())
    assert first.key == "https://example.org/?p=7"
    assert first.data == {
        "url": "https://example.org/2026/01/02/wind-parks/",
        "title": "Wind parks & their neighbours",
        "published_at": "2026-01-02T08:30:00+00:00",
        "updated_at": None,
        "summary": "<p>They had expected noise. [&#8230;]</p>",
        "author": "Ada",
        "tags": ["Energy", "Wind"],
        "feed": "Sample blog",
        "categories": ["Technology", "Languages", "Code/Python", "blogs"],
    }
    assert (last.data["feed"], last.data["categories"]) == ("Releases", [])


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"include": ["tech*"]}, ["Sample blog"]),
        ({"include": ["LANGUAGES"]}, ["Sample blog"]),
        ({"include": ["code/*"]}, ["Sample blog"]),
        ({"include": ["rel?ases"]}, ["Releases"]),
        ({"exclude": ["blogs"]}, ["Releases"]),
        ({"include": ["*"], "exclude": ["*"]}, []),
    ],
)
def test_feeds_are_chosen_by_title_or_category(discover, opml, feeds, chosen, found):
    items = discover(opml(url=feeds.url("/feeds.opml"), limit=1, **chosen))
    assert [item.data["feed"] for item in items] == found


def test_the_list_may_be_a_file(discover, opml, feeds, tmp_path, monkeypatch):
    (tmp_path / "feeds.opml").write_bytes(feeds.recording("good").body)
    monkeypatch.chdir(tmp_path)
    assert len(discover(opml(path="feeds.opml"))) == 3
    assert len(discover(opml(path=str(tmp_path / "feeds.opml")))) == 3


def test_a_file_outside_the_folder_is_read_only_when_it_is_named_whole(discover, opml, tmp_path, monkeypatch):
    (tmp_path / "feeds.opml").write_text("<opml/>")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link.opml").symlink_to(tmp_path / "feeds.opml")
    monkeypatch.chdir(tmp_path / "inside")
    with pytest.raises(SourceRejectedError, match="leads out of the folder"):
        discover(opml(path="link.opml"))


def test_a_file_that_is_not_there_is_an_error(discover, opml, tmp_path):
    with pytest.raises(SourceUnavailableError, match=r"cannot read .*absent\.opml"):
        discover(opml(path=str(tmp_path / "absent.opml")))


def test_a_pipe_that_nobody_writes_to_is_no_list(discover, opml, tmp_path):
    os.mkfifo(tmp_path / "feeds.opml")
    with pytest.raises(SourceRejectedError, match="is no file"):
        discover(opml(path=str(tmp_path / "feeds.opml")))


def test_what_is_taken_out_of_the_list_is_no_longer_asked(discover, opml, feeds):
    discover(opml())
    feeds.httpserver.clear()
    feeds.serve("/feeds.opml", "empty")
    assert discover(opml()) == []
    assert [request.path for request, _ in feeds.httpserver.log] == ["/feeds.opml"]


def test_a_feed_that_is_named_twice_is_asked_once_under_its_first_name():
    found = read('<outline text="a" xmlUrl="/f"/><outline text="b" xmlUrl="/f"/>')
    assert found == [Outline("http://example.org/f", "a"), Outline("http://example.org/f", "b")]


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("feed.xml", "http://example.org/lists/feed.xml"),
        ("http://a.org/?x=1&amp;y=2", "http://a.org/?x=1&y=2"),
        ("http://a.org/?x=1&y=2", "http://a.org/?x=1&y=2"),
        ("feed://a.org/f", "http://a.org/f"),
        ("feed:https://a.org/f", "https://a.org/f"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_an_address_is_read_however_it_is_written(written, address):
    assert [outline.url for outline in read(f'<outline xmlUrl="{written}"/>')] == [address]


def test_the_case_of_names_in_the_list_makes_no_difference():
    assert read('<OUTLINE TEXT="a" XMLURL="http://a.org/f"/>') == [Outline("http://a.org/f", "a")]


def test_a_list_inside_of_an_outline_is_read():
    body = b'<outline><opml><outline xmlUrl="https://a.org/f"/></opml></outline>'
    assert [outline.url for outline in OutlineReading(body).outlines()] == ["https://a.org/f"]


def test_a_list_that_a_stray_tag_ends_early_says_so():
    reading = OutlineReading(
        b"<opml><head><title>T</title></title></head><body><outline xmlUrl='a'/></body></opml>"
    )
    assert list(reading.outlines()) == []
    assert reading.problem == "its tags do not match"


def test_an_outline_that_is_no_web_address_is_counted(discover, opml, httpserver):
    body = "<opml><body><outline xmlUrl='file:///etc/passwd'/><outline xmlUrl='ftp://a.org/f'/></body></opml>"
    httpserver.expect_request("/odd").respond_with_data(body)
    strategy = opml(url=httpserver.url_for("/odd"))
    assert discover(strategy) == []
    assert strategy.refused == {"outline whose feed is no web address": 2}


def test_a_list_of_too_many_feeds_says_so(discover, opml, httpserver):
    body = "<opml><body>" + "<outline xmlUrl='/good.xml'/>" * (MAX_FEEDS + 1) + "</body></opml>"
    httpserver.expect_request("/many").respond_with_data(body)
    strategy = opml(url=httpserver.url_for("/many"))
    assert len(discover(strategy)) == 2
    assert "names over 2,000 feeds" in strategy.problems[0]


@pytest.mark.parametrize("params", [{}, {"path": "a", "url": "http://a.org/"}])
def test_one_place_is_named(params):
    with pytest.raises(ValidationError, match="either `path` or `url`"):
        OpmlFeeds(params)
