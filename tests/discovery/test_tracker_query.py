from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

import tracker
from discovery.base import FoundItem, ItemPage
from discovery.tracker_query import TrackerQuery
from tracker.item_pages import read_item_page
from tracker.items import get_item


@pytest.fixture
def query(access):
    """Make the query over a tracker that holds three items, and note what it is asked for."""
    asked = []

    def read_items(job_id, *, stage, status, after, limit):
        asked.append((job_id, stage, status, after, limit))
        items = [
            {"key": key, "data": {"n": key}, "results": {"score": {"value": score}}, "version": "1.7"}
            for key, score in (("a", 0.9), ("b", 0.1), ("c", None))
        ]
        return ItemPage(items[:limit], {"item": 3}, True)

    def make(**params):
        return TrackerQuery({"job": "papers", **params}, replace(access, read_items=read_items))

    make.asked = asked
    return make


def test_an_item_of_the_other_job_comes_with_its_data_results_and_version(discover, query):
    data = {"from_job": "papers", "data": {"n": "a"}, "results": {"score": {"value": 0.9}}}
    assert discover(query())[0] == FoundItem("a", data, version="1.7")


def test_what_is_asked_of_the_tracker_is_what_jobs_yaml_says(discover, query):
    discover(query())
    discover(query(stage="score", status="failed", limit=5))
    discover(query(status=None))
    assert query.asked == [
        ("papers", None, "done", None, 1000),
        ("papers", "score", "failed", None, 5),
        ("papers", None, None, None, 1000),
    ]


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("results.score.value > `0.5`", "a"),
        ("data.n == 'b' || key == 'c'", "bc"),
        ("results.score.value", "ab"),
        ("`0`", "abc"),
        ("results.absent", ""),
        ("''", ""),
        ("`[]`", ""),
        ("`false`", ""),
    ],
)
def test_only_items_for_which_where_gives_something_are_found(discover, query, where, keys):
    assert "".join(item.key for item in discover(query(where=where))) == keys


def test_an_item_to_which_where_cannot_be_applied_is_counted_and_told_once(discover, query):
    strategy = query(where="abs(results.score.value) > `0.5` || length(data.n) == length(data.m)")
    assert [item.key for item in discover(strategy)] == ["a"]
    assert strategy.refused == {"where does not apply": 2}
    assert len(strategy.problems) == 1
    assert "'b'" in strategy.problems[0]


@pytest.mark.parametrize(
    "params",
    [{"where": "a ||"}, {"where": "(" * 3000}, {"where": ""}, {"status": "doen"}, {"limit": 0}, {"job": ""}],
)
def test_a_query_that_can_never_work_is_a_mistake_in_jobs_yaml(query, params):
    with pytest.raises(ValidationError, match=next(iter(params))):
        query(**params)


# -- over a real tracker ----------------------------------------------------------------------------------


@pytest.fixture
def conn(tmp_path):
    with tracker.open_db(tmp_path / "tracker.db") as conn:
        yield conn


@pytest.fixture
def finish(conn):
    """Have an item's only stage done, with a result; again, when it was before."""

    def finish(key, score=1):
        tracker.upsert_items(conn, "papers", [{"key": key, "data": {"n": key}}])
        item_id = get_item(conn, "papers", key)["item_id"]
        if tracker.get_stage_status(conn, item_id, "score") == "done":
            tracker.reset_stage(conn, "papers", "score", [key])
        tracker.mark_stage_in_progress(conn, item_id, "score", ["score"])
        tracker.mark_stage_done(conn, item_id, "score", ["score"], {"value": score})

    return finish


@pytest.fixture
def look(conn, memory):
    """Discover with the memory of before; the keys that were found, in order."""

    def read_items(job_id, *, stage, status, after, limit):
        page = read_item_page(conn, job_id, stage=stage, status=status, after=after, limit=limit)
        return ItemPage(page.items, page.position, page.is_last)

    def look(**params):
        memory.forget_batches()
        look.last = memory.discover(TrackerQuery, {"job": "papers", **params}, read_items=read_items)
        return [item.key for batch in memory.batches for item in batch.items]

    return look


def test_only_what_is_new_is_found_the_next_time(look, finish):
    finish("a")
    finish("b")
    assert look() == ["a", "b"]
    assert look() == []
    finish("c")
    assert look() == ["c"]


def test_that_nothing_was_done_since_is_no_silence_of_the_other_job(look, finish):
    finish("a")
    for unchanged in (False, True):
        look()
        assert [each.unchanged for each in look.last.looks.values()] == [unchanged]


def test_an_item_that_was_not_done_yet_is_found_when_it_is(look, finish, conn):
    tracker.upsert_items(conn, "papers", [{"key": "slow"}])
    finish("a")
    assert look() == ["a"]
    finish("slow")
    assert look() == ["slow"]


def test_an_item_that_was_done_again_is_found_again_with_another_version(look, finish, memory):
    finish("a", score=1)
    assert look() == ["a"]
    before = memory.items["a"].version
    finish("a", score=2)
    assert look() == ["a"]
    assert memory.items["a"].version != before
    assert memory.items["a"].data["results"] == {"score": {"value": 2}}


def test_a_condition_on_what_no_item_of_another_job_has_is_refused():
    told = "an expression knows no 'item'; it may begin with key, data, results"
    with pytest.raises(ValidationError, match=told):
        TrackerQuery({"job": "papers", "where": "item.points > `5`"})


def test_a_job_of_many_is_read_page_by_page_and_goes_on_where_it_was_killed(look, finish, memory, conn):
    tracker.upsert_items(conn, "papers", [{"key": f"{n}"} for n in range(2500)])
    with memory.killed_after(1):
        look(status="pending")
    assert look(status="pending") == [f"{n}" for n in range(1000, 2500)]


def test_a_limit_leaves_the_rest_to_the_next_time(look, finish):
    for key in "abcde":
        finish(key)
    assert [look(limit=2) for _ in range(4)] == [["a", "b"], ["c", "d"], ["e"], []]


def test_another_condition_looks_at_everything_anew(look, finish):
    finish("a", score=1)
    assert look(where="results.score.value > `5`") == []
    assert look(where="results.score.value > `0`") == ["a"]
