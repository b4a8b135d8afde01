"""Strategies that do what they should not: what is wrong is refused and counted, the rest goes on."""

from __future__ import annotations

import sys

import pytest
from workshop import job, step

import tracker
from discovery.base import FoundItem
from runner.discover import discover
from runner.sweep import sweep
from runner.trial import try_job
from tracker.sources import read_memory


def raising(error):
    def find():
        raise error

    return find


RAISED = {
    "ValueError: odd": raising(ValueError("odd")),
    "SystemExit: 3": lambda: sys.exit(3),
    "StopIteration": raising(StopIteration()),
    "FileNotFoundError: [Errno 2] gone: 'caf\\udce9'": raising(FileNotFoundError(2, "gone", "caf\udce9")),
    "GeneratorExit: ": raising(GeneratorExit()),
    "ZeroDivisionError": lambda: 1 / 0,
}


@pytest.mark.parametrize("strategy", ["Source", "WholeSource"])
@pytest.mark.parametrize("error", RAISED)
def test_whatever_a_strategy_raises_fails_its_run_and_not_the_worker(open_workshop, error, strategy):
    shop = open_workshop(papers=job(step("fetch"), strategy=strategy))
    shop.plugins.find = RAISED[error]
    ended = discover(shop.runtime, "papers")
    # a coroutine may not raise StopIteration; Python turns it into a RuntimeError that names it
    assert error.split(":")[0] in ended.error or "StopIteration" in ended.error
    assert ended.retry_at is None
    assert shop.events("discover_failed")[0]["detail"]["error"] == ended.error
    assert sweep(shop.runtime).discoveries == 0


@pytest.mark.parametrize("strategy", ["Source", "WholeSource"])
@pytest.mark.parametrize("returned", [None, 7, FoundItem("a")])
def test_a_strategy_that_returns_no_list_fails_its_run(open_workshop, returned, strategy):
    shop = open_workshop(papers=job(step("fetch"), strategy=strategy))
    shop.plugins.find = lambda: returned
    assert discover(shop.runtime, "papers").error
    assert tracker.get_job_error(shop.conn, "papers")


@pytest.mark.parametrize("strategy", ["Source", "WholeSource", "PlainSource"])
@pytest.mark.parametrize("returned", [None, "a text", {"key": "a"}])
def test_a_strategy_that_returns_no_list_is_told_what_to_return(open_workshop, returned, strategy):
    shop = open_workshop(papers=job(step("fetch"), strategy=strategy))
    shop.plugins.find = lambda: returned
    method = "fetch_items" if strategy == "Source" else "discover"
    told = f"{strategy}.{method} returned {returned!r}; return a list of items"
    assert discover(shop.runtime, "papers").error == told
    assert try_job(shop.runtime, "papers", 3).error == told


WITHIN_ITSELF: list[object] = []
WITHIN_ITSELF.append(WITHIN_ITSELF)


@pytest.mark.parametrize("cursor", [{1, 2}, float("nan"), {"page": [float("inf")]}, b"x", WITHIN_ITSELF])
def test_a_cursor_that_is_not_json_is_refused_alike_in_a_look_and_a_trial(open_workshop, cursor):
    shop = open_workshop(papers=job(step("fetch"), strategy="CursorSource"))
    shop.plugins.find = lambda: cursor
    looked = discover(shop.runtime, "papers")
    assert looked.error.startswith("CursorSource handed over a cursor that is not JSON: ")
    assert looked.found == 0
    assert try_job(shop.runtime, "papers", 3).error == looked.error


@pytest.mark.parametrize("cursor", [None, 7, "2026", ["a", 1.5], {"page": {"at": None}}])
def test_a_cursor_may_be_any_json(open_workshop, cursor):
    shop = open_workshop(papers=job(step("fetch"), strategy="CursorSource"))
    shop.plugins.find = lambda: cursor
    assert discover(shop.runtime, "papers").error is None
    assert read_memory(shop.conn, "papers", "records").cursor == cursor


MIXED = [
    {"key": "good", "data": {"n": 1}},
    {"key": "good", "data": {"n": 2}},
    {"data": {"no": "key"}},
    {"key": ""},
    {"key": None},
    {"key": 7},
    {"key": "k" * 5_000_000},
    {"key": "lone \ud800"},
    {"key": "object", "data": {"what": object()}},
    {"key": "nan", "data": {"what": float("nan")}},
    {"key": "list", "data": [1]},
    {"key": "much", "data": {"text": "x" * 5_000_000}},
    {"key": "urgent", "priority": 10**30},
    "a text",
    None,
    FoundItem("also good"),
]


@pytest.mark.parametrize("strategy", ["Source", "WholeSource"])
def test_what_cannot_be_stored_is_refused_and_counted_by_reason_and_the_rest_goes_on(open_workshop, strategy):
    shop = open_workshop(papers=job(step("fetch"), strategy=strategy))
    shop.plugins.find = lambda: list(MIXED)
    ended = discover(shop.runtime, "papers")
    assert (ended.found, ended.new, ended.refused, ended.error) == (2, 2, len(MIXED) - 2, None)
    (event,) = shop.events("discover")
    assert event["detail"]["refused"]["key repeated"] == 1
    assert event["detail"]["refused"]["no key"] == 3
    assert sum(event["detail"]["refused"].values()) == ended.refused
    assert {key for key, _ in shop.sent} == {"good", "also good"}


def test_of_a_repeated_key_the_first_stays(shop):
    shop.plugins.find = lambda: [{"key": "a", "data": {"n": 1}}, {"key": "a", "data": {"n": 2}}]
    discover(shop.runtime, "papers")
    assert shop.conn.execute("SELECT data FROM work_items").fetchone()[0] == '{"n": 1}'


def test_a_strategy_that_cannot_be_made_fails_its_run(open_workshop, monkeypatch):
    shop = open_workshop()

    def refuse(self, params=None, access=None):
        raise OSError("no such folder")

    monkeypatch.setattr(shop.plugins.Source, "__init__", refuse)
    assert discover(shop.runtime, "papers").error == "OSError: no such folder"
