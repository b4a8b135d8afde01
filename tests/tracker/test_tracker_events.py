from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
import time_machine

import tracker


def test_log_event_records_what_was_done_to_whom_and_by_whom(conn, item_id):
    event_id = tracker.log_event(
        conn, "papers", "look", item_id=item_id, stage="fetch", attempt=2, by="ann", detail={"why": "größer"}
    )
    (event,) = tracker.get_events(conn, "papers")
    assert {name: event[name] for name in event.keys() if name != "at"} == {  # noqa: SIM118 - a row, not a dict
        "event_id": event_id, "job_id": "papers", "key": "a", "item_id": item_id, "stage": "fetch",
        "attempt": 2, "kind": "look", "by": "ann", "detail": '{"why": "größer"}',
    }  # fmt: skip


def test_get_events_gives_the_newest_first_bounded_and_after_an_id(conn):
    ids = [tracker.log_event(conn, "papers", f"event {number}") for number in range(5)]
    assert [event["event_id"] for event in tracker.get_events(conn, "papers", limit=2)] == [ids[4], ids[3]]
    assert [event["event_id"] for event in tracker.get_events(conn, after=ids[2])] == [ids[4], ids[3]]
    assert ids == sorted(set(ids))


def test_get_events_can_be_kept_to_a_job_or_an_item(conn, add_items):
    first, second = add_items("a", "b")
    tracker.log_event(conn, "papers", "one", item_id=first)
    tracker.log_event(conn, "papers", "two", item_id=second)
    tracker.log_event(conn, "talks", "three")
    tracker.log_event(conn, None, "four")
    assert [event["kind"] for event in tracker.get_events(conn)] == ["four", "three", "two", "one"]
    assert [event["kind"] for event in tracker.get_events(conn, "papers")] == ["two", "one"]
    assert [event["kind"] for event in tracker.get_events(conn, "papers", item_id=first)] == ["one"]


def test_costs_are_summed_by_utc_day_and_job(conn):
    with time_machine.travel(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC), tick=False) as clock:
        tracker.log_cost(conn, "papers", 0.5, "openai", units={"input_tokens": 1200})
        tracker.log_cost(conn, "papers", 0.25, "deepl")
        tracker.log_cost(conn, "talks", 9, "openai")
        clock.shift(1)
        tracker.log_cost(conn, "papers", 4, "openai")
        assert tracker.get_daily_cost(conn, "papers") == 4
    assert tracker.get_daily_cost(conn, "papers", "2026-03-01") == 0.75
    assert tracker.get_daily_cost(conn, "papers", date(2026, 3, 1)) == 0.75
    assert tracker.get_daily_cost(conn, "papers", "2026-02-28") == 0


def test_an_unknown_cost_is_recorded_as_unknown_and_not_as_nothing(conn):
    tracker.log_cost(conn, "papers", None, "openai", stage="ask", units={"tokens": 7})
    cost = conn.execute("SELECT usd, units, stage FROM costs").fetchone()
    assert (cost["usd"], json.loads(cost["units"]), cost["stage"]) == (None, {"tokens": 7}, "ask")
    assert tracker.get_daily_cost(conn, "papers") == 0


def test_a_negative_cost_is_refused(conn):
    with pytest.raises(ValueError, match="cannot be negative: -1"):
        tracker.log_cost(conn, "papers", -1, "openai")
