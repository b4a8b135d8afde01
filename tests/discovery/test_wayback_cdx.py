from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from discovery.base import hash_url
from discovery.vic_wayback_cdx import VicWaybackCdx
from discovery.wayback_cdx import COLUMNS, WaybackCdx
from pipeline.errors import SourceRejectedError, SourceUnavailableError

INDEX = "/cdx/search/cdx"
KEY = "org,archive)/about 20130226010001"


@pytest.fixture
def archive(sources_of):
    sources = sources_of("wayback_cdx")
    sources.serve(INDEX, "good")
    return sources


@pytest.fixture
def wayback(access, archive):
    return lambda **params: WaybackCdx(
        {"url": "archive.org/*", "base_url": archive.url(), "max_pages": 1, **params}, access
    )


def queries(httpserver):
    return [dict(request.args.items(multi=False)) for request, _ in httpserver.log]


def test_a_capture_comes_with_where_it_can_be_seen_as_it_was(discover, wayback, archive):
    page, about = discover(wayback())
    assert page.key == hash_url("org,archive)/", 20)
    assert page.version == "XAHDNHZ5P3GSSSNJ3DMEOJF7BMCCPZR3"
    assert page.data == {
        "url": "http://www.archive.org:80/",
        "archive_url": archive.url("/web/19971011050034id_/http://www.archive.org:80/"),
        "captured_at": "1997-10-11T05:00:34+00:00",
        "digest": "XAHDNHZ5P3GSSSNJ3DMEOJF7BMCCPZR3",
        "mimetype": "text/html",
        "status": 200,
        "length": 1402,
    }
    assert (about.data["status"], about.data["length"]) == (None, None)


def test_each_capture_may_be_an_item(discover, wayback):
    keys = [item.key for item in discover(wayback(key="capture"))]
    assert [key.partition(":")[2] for key in keys] == ["19970126045828", "19971011050034", "20130226010000"]


def test_it_asks_for_what_is_wanted_and_no_more(discover, wayback, httpserver):
    discover(wayback(**{"from": "2019"}, to="2020", filter=["mimetype:text/html"], match="host", page_size=7))
    asked = queries(httpserver)[0]
    assert asked | {"url": "archive.org/*", "from": "2019", "to": "2020", "matchType": "host"} == asked
    assert (asked["filter"], asked["limit"], asked["collapse"]) == ("mimetype:text/html", "7", "urlkey")
    assert asked["fl"].split(",") == [*COLUMNS]


def test_the_index_is_read_on_from_its_resume_key(discover, wayback, archive):
    archive.httpserver.clear()
    archive.httpserver.expect_oneshot_request(INDEX).respond_with_handler(archive.recording("good").answer)
    archive.serve(INDEX, "good-2")
    assert len(discover(wayback(max_pages=5))) == 3
    assert [query.get("resumeKey") for query in queries(archive.httpserver)] == [None, KEY]


def test_the_next_discovery_goes_on_where_max_pages_ended_the_last(memory, archive):
    params = {"url": "archive.org/*", "base_url": archive.url(), "max_pages": 1}
    memory.discover(WaybackCdx, params)
    archive.httpserver.clear()
    archive.serve(INDEX, "good-2")
    memory.discover(WaybackCdx, params)
    assert queries(archive.httpserver)[0]["resumeKey"] == KEY
    assert len(memory.items) == 3


def test_an_address_that_the_archive_may_not_show_says_why(discover, wayback, archive):
    archive.serve_everywhere("blocked")
    with pytest.raises(SourceRejectedError, match=r"gives nothing of archive\.org/\*: Blocked Site Error"):
        discover(wayback())


def test_an_archive_that_is_down_is_asked_again_when_it_says(discover, wayback, archive):
    archive.serve_everywhere("down")
    with pytest.raises(SourceUnavailableError) as caught:
        discover(wayback())
    assert caught.value.retry_after_seconds == 30


def test_a_web_page_in_place_of_the_index_is_an_archive_that_is_down(discover, wayback, httpserver):
    httpserver.clear()
    httpserver.expect_request(INDEX).respond_with_data("<html>Sorry", content_type="text/html")
    with pytest.raises(SourceUnavailableError, match="a web page in place of its index"):
        discover(wayback())


def test_a_row_that_is_no_capture_is_counted(discover, wayback, httpserver):
    good = ["a)/", "20200101000000", "http://a/", "text/html", "200", "D", "1"]
    rows = [[*COLUMNS], good, [], good[:3], [*good[:1], "soon", *good[2:]], [1] * 7, None]
    httpserver.clear()
    httpserver.expect_request(INDEX).respond_with_data(json.dumps(rows))
    strategy = wayback()
    assert len(discover(strategy)) == 1
    assert strategy.refused == {"not a capture": 5}


@pytest.mark.parametrize("answer", ["{}", '[["other", "columns"]]', "7"])
def test_an_answer_that_is_no_index_is_told(discover, wayback, httpserver, answer):
    httpserver.clear()
    httpserver.expect_request(INDEX).respond_with_data(answer)
    with pytest.raises(SourceRejectedError, match="did not answer with an index"):
        discover(wayback())


def test_a_time_that_is_none_is_told_before_anything_is_asked():
    with pytest.raises(ValidationError, match="from"):
        WaybackCdx({"url": "a.org", "from": "last year"})


def test_only_write_ups_of_the_club_are_found_under_their_ids(discover, access, sources_of):
    sources = sources_of("vic_wayback_cdx")
    sources.serve(INDEX, "good")
    express, stamps = discover(VicWaybackCdx({"base_url": sources.url(), "max_pages": 1}, access))
    assert (express.key, express.data["company"]) == ("5672439448", "AMERICAN EXPRESS CO")
    assert (stamps.key, stamps.data["company"]) == ("8715706478", "Stamps.com")
    assert queries(sources.httpserver)[0]["url"] == "valueinvestorsclub.com/idea/*"
