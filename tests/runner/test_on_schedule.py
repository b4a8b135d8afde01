"""What becomes of scheduled discoveries while their job is paused."""

from __future__ import annotations

import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.errors import SourceUnavailableError
from runner.discover import discover
from runner.sweep import sweep
from tracker import pauses
from tracker.pauses import Target
from tracker.runs import list_runs

TARGETS = [Target.of_job("papers"), Target.everything()]
HOUR = 3600


@pytest.fixture
def clock():
    with time_machine.travel("2026-03-01T12:00:30Z", tick=False) as clock:
        yield clock


@pytest.fixture
def open_shop(open_workshop):
    def make(on_schedule=None):
        more = {"on_schedule": on_schedule} if on_schedule else {}
        shop = open_workshop(papers=job(step("fetch"), schedule={"every": "1h"}, **more))
        shop.plugins.find = lambda: [{"key": "a"}]
        return shop

    return make


def look(shop):
    return discover(shop.runtime, "papers", scheduled=True)


def miss_slots(shop, clock, count):
    for _ in range(count):
        assert "paused by ann: holiday" in look(shop).skipped
        clock.shift(HOUR)


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("on_schedule", [None, "hold"])
def test_held_slots_are_on_record_and_made_up_once_when_the_pause_is_lifted(
    open_shop, clock, target, on_schedule
):
    shop = open_shop(on_schedule)
    pauses.pause(shop.conn, target, "holiday", by="ann")
    miss_slots(shop, clock, 3)
    runs = list_runs(shop.conn, "papers")
    assert [(run.outcome, "(on_schedule: hold)" in run.error) for run in runs] == [("skipped", True)] * 3
    assert shop.events("discover_skipped")[0]["detail"]["reason"].endswith("(on_schedule: hold)")
    assert tracker.get_job_stats(shop.conn, "papers")["total"] == 0
    assert "paused" in look(shop).skipped
    sweep(shop.runtime)
    assert shop.publisher.discoveries == []
    pauses.lift(shop.conn, target, by="ben")
    for _ in range(3):
        sweep(shop.runtime)
    assert shop.publisher.discoveries == [("papers", None, False)]
    assert shop.events("discover_made_up")[0]["detail"]["missed_slots"] == 4


def test_a_slot_is_left_out_once_with_two_beats(open_shop, clock):
    shop = open_shop()
    tracker.pause_job(shop.conn, "papers", "holiday", by="ann")
    assert look(shop).skipped
    assert look(shop) is None
    assert len(list_runs(shop.conn, "papers")) == 1


def test_a_job_whose_pause_ends_while_everything_is_paused_makes_up_later(open_shop, clock):
    shop = open_shop()
    for target in TARGETS:
        pauses.pause(shop.conn, target, "holiday", by="ann")
    look(shop)
    pauses.lift(shop.conn, TARGETS[0])
    assert sweep(shop.runtime).discoveries == 0
    pauses.lift(shop.conn, TARGETS[1])
    assert sweep(shop.runtime).discoveries == 1


def test_skipped_slots_are_on_record_and_not_made_up(open_shop, clock):
    shop = open_shop("skip")
    tracker.pause_job(shop.conn, "papers", "holiday", by="ann")
    miss_slots(shop, clock, 2)
    look(shop)
    tracker.unpause_job(shop.conn, "papers")
    assert sweep(shop.runtime).discoveries == 0
    assert [run.outcome for run in list_runs(shop.conn, "papers")] == ["skipped"] * 3
    clock.shift(HOUR)
    assert look(shop).new == 1


def test_with_queue_discovery_goes_on_and_what_it_finds_waits(open_shop, clock):
    shop = open_shop("queue")
    tracker.pause_job(shop.conn, "papers", "holiday", by="ann")
    assert look(shop).new == 1
    assert shop.sent == []
    (event,) = shop.events("discover_queued")
    assert event["detail"]["reason"] == "paused by ann: holiday (on_schedule: queue)"
    tracker.unpause_job(shop.conn, "papers")
    assert sweep(shop.runtime).sent == 1


def test_a_run_that_is_to_be_tried_again_waits_for_the_pause_too(open_shop, clock):
    shop = open_shop()

    def away():
        raise SourceUnavailableError("away")

    shop.plugins.find = away
    look(shop)
    tracker.pause_job(shop.conn, "papers", "holiday", by="ann")
    clock.shift(120)
    assert sweep(shop.runtime).discoveries == 0
    assert discover(shop.runtime, "papers", run_id=1) is None
    tracker.unpause_job(shop.conn, "papers")
    assert sweep(shop.runtime).discoveries == 1


def test_what_is_asked_for_by_hand_goes_ahead(open_shop, clock):
    shop = open_shop()
    tracker.pause_job(shop.conn, "papers", "holiday", by="ann")
    assert discover(shop.runtime, "papers").new == 1
