from __future__ import annotations

import pytest

from discovery.hacker_news import HackerNews
from pipeline.errors import SourceRejectedError, SourceUnavailableError

LINK = {
    "id": 1,
    "type": "story",
    "by": "ann",
    "title": "A link",
    "url": "https://example.org/",
    "score": 12,
    "descendants": 3,
    "time": 1_767_225_600,
}
ASK = {"id": 2, "type": "story", "by": "ben", "title": "Ask HN: why?", "text": "<p>Why?", "score": 1}


@pytest.fixture
def serve(httpserver, access):
    """Serve a list and its stories; give the strategy that reads them."""

    def start(ids, *stories, **params):
        name = params.get("list", "top")
        httpserver.expect_request(f"/v0/{name}stories.json").respond_with_json(ids)
        for story in stories:
            httpserver.expect_request(f"/v0/item/{story['id']}.json").respond_with_json(story)
        return HackerNews({"base_url": httpserver.url_for("/v0/"), **params}, access)

    return start


def test_a_story_with_a_link_comes_with_it(discover, serve):
    (item,) = discover(serve([1], LINK))
    assert item.key == "1"
    assert item.data == {
        "url": "https://example.org/",
        "title": "A link",
        "by": "ann",
        "points": 12,
        "comments": 3,
        "comments_url": "https://news.ycombinator.com/item?id=1",
        "text": "",
        "published_at": "2026-01-01T00:00:00+00:00",
    }


def test_a_question_comes_with_its_text_and_no_link(discover, serve):
    (item,) = discover(serve([2], ASK, list="ask"))
    assert (item.data["url"], item.data["text"]) == (None, "<p>Why?")
    assert item.data["published_at"] is None


def test_stories_keep_the_order_of_the_list(discover, serve):
    stories = [{**LINK, "id": number} for number in range(20)]
    ids = [story["id"] for story in stories][::-1]
    assert [item.key for item in discover(serve(ids, *stories))] == [str(number) for number in ids]


def test_no_more_stories_are_asked_for_than_the_limit(discover, serve, httpserver):
    assert len(discover(serve([1, 2, 3], LINK, ASK, limit=2))) == 2
    assert len(httpserver.log) == 3


def test_deleted_dead_and_absent_stories_are_left_out(discover, serve, httpserver):
    httpserver.expect_request("/v0/item/9.json").respond_with_data("null")
    strategy = serve([3, 4, 9, 1], {"id": 3, "deleted": True}, {**LINK, "id": 4, "dead": True}, LINK)
    assert [item.key for item in discover(strategy)] == ["1"]
    assert not strategy.refused


@pytest.mark.parametrize("body", ["[]", '{"no": "id"}', "<html>"])
def test_a_story_that_fails_does_not_stop_the_others(discover, serve, httpserver, body):
    httpserver.expect_request("/v0/item/9.json").respond_with_data(body)
    strategy = serve([9, 1], LINK)
    assert [item.key for item in discover(strategy)] == ["1"]
    assert strategy.refused == {"story could not be had": 1}
    assert len(strategy.problems) == 1


def test_when_every_story_fails_the_source_is_unavailable(discover, serve, httpserver):
    httpserver.expect_request("/v0/item/1.json").respond_with_data("", 429, {"Retry-After": "7"})
    with pytest.raises(SourceUnavailableError, match="no story could be had") as caught:
        discover(serve([1]))
    assert caught.value.retry_after_seconds == 7


def test_a_list_of_anything_but_ids_is_rejected_without_asking_further(discover, serve, httpserver):
    with pytest.raises(SourceRejectedError, match="no list of stories"):
        discover(serve(["../../secret"]))
    assert len(httpserver.log) == 1


def test_all_that_is_asked_is_asked_of_one_source_by_which_its_stories_are_known(discover, serve):
    strategy = serve([1, 2], LINK, ASK)
    (source,) = {item.source for item in discover(strategy)}
    assert {name: look.requests for name, look in strategy.looks.items()} == {source: 3}


def test_a_story_has_changed_when_its_title_did_and_not_when_it_got_points(discover, serve, httpserver):
    def version(**changes):
        httpserver.clear()
        return discover(serve([1], {**LINK, **changes}))[0].version

    assert version(score=99, descendants=77) == version()
    assert version(title="Another") != version()


@pytest.mark.parametrize("wrong", [None, [], {"a": 1}, 7, True, 1e300, 10**30])
def test_a_story_whose_fields_are_of_the_wrong_kind_still_comes(discover, serve, wrong):
    fields = ("title", "url", "by", "text", "score", "descendants", "time")
    (item,) = discover(serve([1], {"id": 1, **dict.fromkeys(fields, wrong)}))
    assert (item.key, item.data["title"], item.data["url"]) == ("1", "", None)


def test_another_story_than_the_one_that_was_asked_for_is_none(discover, serve, httpserver):
    httpserver.expect_request("/v0/item/9.json").respond_with_json(LINK)
    assert [item.key for item in discover(serve([9, 1], LINK))] == ["1"]
