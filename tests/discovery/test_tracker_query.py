from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from discovery.base import FoundItem
from discovery.tracker_query import TrackerQuery


@pytest.fixture
def query(access):
    """Make the query over a tracker that holds three items, and note what it is asked for."""
    asked = []

    def read_items(job_id, *, stage, status, limit):
        asked.append((job_id, stage, status, limit))
        for key, score in (("a", 0.9), ("b", 0.1), ("c", None)):
            yield {"key": key, "data": {"n": key}, "status": "done", "results": {"score": {"value": score}}}

    def make(**params):
        return TrackerQuery({"job": "papers", **params}, replace(access, read_items=read_items))

    make.asked = asked
    return make


def test_an_item_of_the_other_job_comes_with_its_data_and_results(discover, query):
    assert discover(query())[0] == FoundItem(
        "a", {"from_job": "papers", "data": {"n": "a"}, "results": {"score": {"value": 0.9}}}
    )


def test_what_is_asked_of_the_tracker_is_what_jobs_yaml_says(discover, query):
    discover(query())
    discover(query(stage="score", status="failed", limit=5))
    discover(query(status=None))
    assert query.asked == [
        ("papers", None, "done", 1000),
        ("papers", "score", "failed", 5),
        ("papers", None, None, 1000),
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
    "params", [{"where": "a ||"}, {"where": ""}, {"status": "doen"}, {"limit": 0}, {"job": ""}]
)
def test_a_query_that_can_never_work_is_a_mistake_in_jobs_yaml(query, params):
    with pytest.raises(ValidationError, match=next(iter(params))):
        query(**params)
