from __future__ import annotations

import pytest
import time_machine

import tracker
from tracker.activity import DAY_MINUTES, SLOT_MINUTES, read_day, read_settled, read_spent

NOON = "2026-11-25T12:10:00Z"
STAGES = ["fetch"]


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as travelled:
        yield travelled


def finish(conn, key, error=None):
    tracker.upsert_items(conn, "papers", [{"key": key}])
    item_id = tracker.items.find_item(conn, "papers", key)["item_id"]
    tracker.mark_stage_in_progress(conn, item_id, "fetch", STAGES)
    if error:
        tracker.mark_stage_failed(conn, item_id, "fetch", STAGES, error)
    else:
        tracker.mark_stage_done(conn, item_id, "fetch", STAGES)


def test_a_day_is_cut_into_slots_of_which_the_last_is_still_open(conn, clock):
    finish(conn, "a")
    finish(conn, "b", "it broke")
    day = read_day(conn, "papers")
    assert len(day.slots) == DAY_MINUTES // SLOT_MINUTES
    assert (day.slots[-1].done, day.slots[-1].failed) == (1, 1)
    assert sum(slot.done + slot.failed for slot in day.slots) == 2


def test_today_begins_at_midnight_utc(conn, clock):
    clock.move_to("2026-11-24T23:59:00Z")
    finish(conn, "yesterday")
    clock.move_to("2026-11-25T00:00:00Z")
    finish(conn, "first of today")
    clock.move_to(NOON)
    day = read_day(conn, "papers")
    assert (day.done_today, day.failed_today) == (1, 0)
    assert sum(slot.done for slot in day.slots) == 2


def test_what_is_older_than_a_day_is_left_out(conn, clock):
    clock.move_to("2026-11-24T12:00:00Z")
    finish(conn, "a")
    clock.move_to(NOON)
    assert sum(slot.done for slot in read_day(conn, "papers").slots) == 0


def test_the_rate_is_of_the_last_five_minutes(conn, clock):
    finish(conn, "a")
    clock.move_to("2026-11-25T12:14:00Z")
    finish(conn, "b")
    assert read_day(conn, "papers").rate_per_minute == 0.4
    clock.move_to("2026-11-25T12:15:30Z")
    assert read_day(conn, "papers").rate_per_minute == pytest.approx(0.3)
    clock.move_to("2026-11-25T12:16:00Z")
    assert read_day(conn, "papers").rate_per_minute == 0.2


def test_what_was_settled_is_told_by_stage_in_slots(conn, clock):
    finish(conn, "a")
    finish(conn, "b", "it broke")
    clock.move_to("2026-11-25T12:20:00Z")
    settled = read_settled(conn, "papers", 60, 5)
    assert len(settled.at) == len(settled.by_stage["fetch"]) == len(settled.failed) == 12
    assert settled.by_stage["fetch"][-3:] == [2, 0, 0]
    assert settled.failed[-3:] == [1, 0, 0]


def test_what_was_spent_is_told_in_slots(conn, clock):
    tracker.log_cost(conn, "papers", 0.25, "openai")
    clock.move_to("2026-11-25T12:50:00Z")
    tracker.log_cost(conn, "papers", 0.5, "openai")
    spent = read_spent(conn, "papers", 8, 1)
    assert spent.usd[-4:] == [0.25, 0.0, 0.0, 0.5]
    assert len(spent.at) == 8


def test_a_job_that_did_nothing_has_an_empty_day(conn, clock):
    day = read_day(conn, "papers")
    assert (day.done_today, day.rate_per_minute) == (0, 0.0)
    assert read_settled(conn, "papers", 60, 5).by_stage == {}
