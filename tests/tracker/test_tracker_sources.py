"""What is remembered of a source, and when it counts as silent or wild."""

from __future__ import annotations

import pytest

import tracker
from tracker import sources
from tracker.sources import SourceLook, SourceMemory

FEED = "https://example.org/feed"


@pytest.fixture
def look(conn):
    """Record a look at the feed, and give its health."""

    def look(source=FEED, **more):
        with tracker.write(conn):
            sources.record_looks(conn, "papers", [SourceLook(source, **more)])
        return next(each for each in sources.list_sources(conn, "papers") if each.source == source)

    return look


def test_an_unknown_source_is_blank(conn):
    assert sources.read_memory(conn, "papers", FEED) == SourceMemory()


def test_a_cursor_is_any_json_value_and_none_is_the_beginning(conn):
    for cursor in (0, "x", {"page": [1, None]}, None):
        sources.save_cursor(conn, "papers", FEED, cursor)
        assert sources.read_memory(conn, "papers", FEED).cursor == cursor


def test_validators_are_those_of_the_last_look_that_read_the_source(conn, look):
    look(etag='"1"', last_modified="Thu", found=1)
    look(unchanged=True)
    look(error="no such host", etag='"2"')
    assert sources.read_memory(conn, "papers", FEED) == SourceMemory(None, '"1"', "Thu")
    look(found=1)
    assert sources.read_memory(conn, "papers", FEED) == SourceMemory()


def test_a_look_leaves_the_cursor_as_it_is(conn, look):
    sources.save_cursor(conn, "papers", FEED, 7)
    look(found=1, etag='"1"')
    assert sources.read_memory(conn, "papers", FEED) == SourceMemory(7, '"1"')


def test_health_is_the_last_look_beside_the_usual_ones(look):
    for found, new in ((10, 10), (10, 0), (30, 2)):
        health = look(found=found, new=new)
    assert (health.last_found, health.last_new) == (30, 2)
    assert (health.median_found, health.median_new) == (10, 2)
    assert health.share_new == pytest.approx(12 / 50)


def test_failures_count_in_a_row_and_a_success_ends_them(look):
    assert look(error="down").failures == 1
    health = look(error="down still")
    assert (health.failures, health.error, health.success_at) == (2, "down still", None)
    health = look(found=1)
    assert (health.failures, health.error) == (0, None)
    assert health.success_at


def test_a_change_is_something_new_or_changed(look):
    assert look(found=5).changed_at is None
    assert look(found=5, changed=1).changed_at


def test_a_source_without_news_by_its_own_word_is_not_empty(look):
    look(found=5, new=5)
    health = look(unchanged=True)
    assert (health.empty_looks, health.last_found, health.median_found) == (0, 5, 5)


def test_a_source_that_used_to_bring_things_and_is_empty_three_times_has_gone_silent_once(look, event_kinds):
    for _ in range(3):
        look(found=5)
    kinds = []
    for _ in range(5):
        look(found=0)
        kinds.append(event_kinds())
    assert kinds == [[], [], ["source_silent"], ["source_silent"], ["source_silent"]]


def test_a_source_that_goes_silent_again_is_told_again(look, event_kinds):
    for _ in range(2):
        for found in (5, 5, 5, 5, 5, 0, 0, 0):
            look(found=found)
    assert event_kinds() == ["source_silent"] * 2


def test_a_source_that_never_brought_anything_cannot_go_silent(look, event_kinds):
    for _ in range(5):
        assert look(found=0).empty_looks
    assert event_kinds() == []


def test_ten_times_the_usual_news_is_a_surge(conn, look, event_kinds):
    for new in (3, 3, 3, 0, 3):
        look(found=50, new=new)
    look(found=50, new=29)
    assert event_kinds() == []
    look(found=50, new=30)
    assert event_kinds() == ["source_surged"]


@pytest.mark.parametrize(("looks", "new"), [(4, 100), (5, 19)])
def test_a_young_source_and_a_small_number_are_no_surge(look, event_kinds, looks, new):
    for _ in range(looks):
        look(found=1, new=1)
    look(found=new, new=new)
    assert event_kinds() == []


def test_only_the_last_twenty_looks_count(look):
    for found in [100] * 20 + [1] * 20:
        health = look(found=found)
    assert health.median_found == 1


def test_those_in_trouble_come_first(conn, look):
    look("a", found=1)
    look("b", found=0)
    look("c", error="down")
    assert [each.source for each in sources.list_sources(conn, "papers")] == ["c", "b", "a"]
