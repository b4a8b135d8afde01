"""Concurrency and rate: global, in the tracker, and kept whoever dispatches."""

from __future__ import annotations

import random

import pytest
import time_machine
from workshop import job, step

import tracker
from runner.sweep import sweep


def outstanding(shop, stage="fetch"):
    counts = tracker.stage_stats(shop.conn, "papers").get(stage, {"queued": 0, "in_progress": 0})
    return counts["queued"] + counts["in_progress"]


def test_never_more_than_its_concurrency_of_a_stage_are_outstanding(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), step("extract", concurrency=3), step("store")))
    chance = random.Random(3)
    most = []
    shop.acts["extract"] = lambda _: most.append(outstanding(shop, "extract")) or {"ok": True}
    shop.add(*(f"k{number}" for number in range(60)))
    shop.dispatch()
    while shop.publisher.waiting:
        shop.publisher.waiting.rotate(chance.randrange(5))
        shop.take()
        most.append(outstanding(shop, "extract"))
        if chance.random() < 0.3:
            shop.dispatch()
    assert max(most) == 3
    assert tracker.get_job_stats(shop.conn, "papers")["done"] == 60


def test_a_first_stage_keeps_to_its_concurrency_too(open_workshop):
    shop = open_workshop(papers=job(step("fetch", concurrency=2)))
    shop.add("a", "b", "c", "d")
    assert shop.dispatch() == 2
    assert shop.dispatch() == 0
    shop.take()
    assert outstanding(shop) == 2


def test_a_concurrency_is_one_for_all_processes(open_workshop):
    jobs = {"papers": job(step("fetch", concurrency=2))}
    first, second = open_workshop(**jobs), open_workshop(**jobs)
    first.add("a", "b", "c", "d")
    assert (first.dispatch(), second.dispatch()) == (2, 0)


def test_a_limited_stage_that_is_to_be_tried_again_waits_in_the_tracker(open_workshop):
    shop = open_workshop(papers=job(step("fetch", concurrency=1, backoff=5)))
    shop.acts["fetch"] = lambda _: 1 / 0
    shop.run("a")
    assert shop.publisher.countdowns == []
    row = shop.row("a", "fetch")
    assert (row["status"], row["queued_at"]) == ("pending", None)
    assert row["retry_at"] is not None


def test_one_failing_item_does_not_use_up_a_concurrency_of_one(open_workshop):
    shop = open_workshop(papers=job(step("fetch", concurrency=1)))
    shop.acts["fetch"] = lambda context: 1 / 0 if context.key == "bad" else {"ok": True}
    shop.run("bad", "good")
    assert shop.status("good") == "done"


@pytest.mark.parametrize(
    ("rate", "at_once", "after_one_second"), [("2/s", 10, 2), ("1/s", 5, 1), ("30/m", 2, 0)]
)
def test_a_rate_lets_go_what_one_sweep_apart_saves_up_and_no_more(
    open_workshop, rate, at_once, after_one_second
):
    shop = open_workshop(papers=job(step("fetch", rate=rate)))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        shop.add(*(f"k{number}" for number in range(100)))
        assert shop.dispatch() == at_once
        assert shop.dispatch() == 0
        shop.work()
        clock.shift(1.0)
        assert shop.dispatch() == after_one_second
        shop.work()
        clock.shift(3600)
        assert shop.dispatch() == at_once


def test_a_rate_lets_go_evenly(open_workshop):
    shop = open_workshop(papers=job(step("fetch", rate="10/s")))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        shop.add(*(f"k{number}" for number in range(400)))
        shop.dispatch()
        shop.work()
        sent = []
        for _ in range(100):
            clock.shift(0.1)
            sent.append(shop.dispatch())
            shop.work()
    assert set(sent) == {1}


def test_in_any_time_a_rate_lets_go_no_more_than_it_says_and_one_sweeps_worth(open_workshop):
    shop = open_workshop(papers=job(step("fetch", rate="4/s")))
    chance, began = random.Random(7), 0
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        shop.add(*(f"k{number}" for number in range(300)))
        passed = 0.0
        while passed < 30:
            began += shop.dispatch()
            shop.work()
            assert began <= 4 * passed + 4 * 5 + 1
            step_seconds = chance.choice([0.01, 0.3, 2.5])
            clock.shift(step_seconds)
            passed += step_seconds
    assert began >= 4 * 28


def test_a_rate_below_one_a_sweep_still_lets_one_go(open_workshop):
    shop = open_workshop(papers=job(step("fetch", rate="1/h")))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        shop.add("a", "b")
        assert shop.dispatch() == 1
        shop.work()
        clock.shift(3599)
        assert shop.dispatch() == 0
        clock.shift(2)
        assert shop.dispatch() == 1


def test_a_rate_is_one_for_all_processes(open_workshop):
    jobs = {"papers": job(step("fetch", rate="1/s"))}
    first, second = open_workshop(**jobs), open_workshop(**jobs)
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        first.add(*(f"k{number}" for number in range(20)))
        assert first.dispatch() + second.dispatch() == 5


def test_the_sweep_sends_what_a_rate_had_held_back(open_workshop):
    shop = open_workshop(papers=job(step("fetch", rate="1/s")))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        shop.add(*(f"k{number}" for number in range(12)))
        shop.dispatch()
        shop.work()
        for _ in range(2):
            clock.shift(5)
            sweep(shop.runtime)
            shop.work()
    assert tracker.get_job_stats(shop.conn, "papers")["done"] == 12
