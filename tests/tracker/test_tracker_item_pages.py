from __future__ import annotations

import pytest

import tracker
from tracker.applying import apply_plan
from tracker.item_pages import read_item_page
from tracker.plan import make_plan

STAGES = ["fetch", "extract", "store"]


@pytest.fixture
def read(conn):
    """Read pages to the end from a position; the keys, and where that was."""

    def read(after=None, *, stage=None, status=None, limit=10):
        keys = []
        for _ in range(100):
            page = read_item_page(conn, "papers", stage=stage, status=status, after=after, limit=limit)
            keys += [item["key"] for item in page.items]
            after = page.position
            if page.is_last:
                return keys, after
        raise AssertionError("the pages never end")

    return read


def finish(conn, item_id, stage, result=None):
    tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
    tracker.mark_stage_done(conn, item_id, stage, STAGES, result or {"by": stage})


def test_an_item_comes_with_its_data_status_results_and_version(conn, add_opened):
    (item_id,) = add_opened("a", data={"n": 1})
    finish(conn, item_id, "fetch")
    (item,) = read_item_page(conn, "papers", stage=None, status=None, after=None, limit=10).items
    version = item.pop("version")
    assert item == {"key": "a", "data": {"n": 1}, "status": "pending", "results": {"fetch": {"by": "fetch"}}}
    assert version.startswith("1.")


def test_all_are_given_page_by_page_oldest_first_and_of_the_job_alone(read, add_items):
    add_items(*"cab")
    add_items("z", job_id="other")
    assert read(limit=1)[0] == ["c", "a", "b"]
    assert read(limit=3)[0] == ["c", "a", "b"]


def test_the_status_is_the_items_or_that_of_the_stage_named(conn, read, add_opened):
    first, _ = add_opened("a", "b")
    finish(conn, first, "fetch")
    assert read(status="done")[0] == []
    assert read(status="done", stage="fetch")[0] == ["a"]
    assert read(status="pending", stage="fetch")[0] == ["b"]
    assert read(stage="fetch")[0] == ["a", "b"]
    assert read(stage="absent")[0] == []


def test_of_a_stage_named_only_the_result_is_given(conn, add_opened):
    (item_id,) = add_opened("a")
    finish(conn, item_id, "fetch")
    finish(conn, item_id, "extract")
    (item,) = read_item_page(conn, "papers", stage="extract", status="done", after=None, limit=10).items
    assert item["results"] == {"extract": {"by": "extract"}}


def test_from_a_position_on_only_what_is_new_or_has_moved_is_given(conn, read, add_opened):
    _, second = add_opened("a", "b")
    keys, after = read()
    assert read(after)[0] == []
    finish(conn, second, "fetch")
    add_opened("c")
    keys, after = read(after)
    assert sorted(keys) == ["b", "c"]
    assert read(after)[0] == []


def test_a_stage_that_was_done_again_gives_another_version(conn, read, add_opened):
    (item_id,) = add_opened("a")
    finish(conn, item_id, "fetch")
    page = read_item_page(conn, "papers", stage="fetch", status="done", after=None, limit=10)
    tracker.reset_stage(conn, "papers", "fetch", ["a"])
    finish(conn, item_id, "fetch")
    again = read_item_page(conn, "papers", stage="fetch", status="done", after=page.position, limit=10)
    assert [item["key"] for item in again.items] == ["a"]
    assert again.items[0]["version"] != page.items[0]["version"]


def test_many_events_are_taken_page_by_page(conn, read, add_opened):
    ids = add_opened(*(f"{n}" for n in range(30)))
    _, after = read()
    for item_id in ids:
        finish(conn, item_id, "fetch")
    assert set(read(after, limit=4)[0]) == {f"{n}" for n in range(30)}


def test_a_change_of_the_stages_has_all_items_looked_at_again(conn, read, add_opened):
    (item_id,) = add_opened("a")
    apply_plan(conn, "papers", make_plan(STAGES))
    finish(conn, item_id, "fetch")
    _, after = read(status="done")
    apply_plan(conn, "papers", make_plan(["fetch"]))
    assert read(after, status="done")[0] == ["a"]


@pytest.mark.parametrize("after", [7, [], {"item": 1}, {"item": "1", "event": 2}, {"item": True, "event": 1}])
def test_a_position_of_another_kind_is_the_beginning(read, add_items, after):
    add_items("a")
    assert read(after)[0] == ["a"]
