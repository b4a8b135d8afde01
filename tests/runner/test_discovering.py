"""Discover: each slot once, and what was found counted."""

from __future__ import annotations

import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.errors import NotFoundError
from runner.discover import discover
from runner.sweep import sweep

DAILY = {"papers": job(step("fetch"), schedule="@daily")}
NOON = "2026-03-01T12:00:00Z"


def finding(shop, *keys):
    shop.plugins.find = lambda: [{"key": key} for key in keys]


def test_what_is_found_is_stored_counted_and_sent(shop):
    finding(shop, "a", "b")
    ended = discover(shop.runtime, "papers")
    assert (ended.found, ended.new, ended.refused) == (2, 2, 0)
    assert shop.sent == [("a", "fetch"), ("b", "fetch")]
    finding(shop, "b", "c")
    assert (discover(shop.runtime, "papers").new, shop.sent[-1]) == (1, ("c", "fetch"))
    assert [event["detail"] for event in shop.events("discover")] == [
        {"run_id": 1, "found": 2, "new": 2, "refused": {}},
        {"run_id": 2, "found": 2, "new": 1, "refused": {}},
    ]


def test_found_items_have_the_jobs_priority_unless_they_say_their_own(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), priority=3))
    shop.plugins.find = lambda: [{"key": "a"}, {"key": "b", "priority": 9}, {"key": "c", "priority": 0}]
    discover(shop.runtime, "papers")
    assert [key for key, _ in shop.sent] == ["b", "a", "c"]


def test_many_items_are_stored_in_batches(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), first_run_max=None))
    finding(shop, *(f"k{number}" for number in range(2500)))
    assert discover(shop.runtime, "papers").new == 2500
    assert tracker.get_job_stats(shop.conn, "papers")["total"] == 2500


def test_a_job_that_does_not_exist_is_named(shop):
    with pytest.raises(NotFoundError, match="did you mean 'papers'"):
        discover(shop.runtime, "paperz")


def test_a_slot_is_discovered_once_with_two_beats(open_workshop):
    first, second = open_workshop(**DAILY), open_workshop(**DAILY)
    finding(first, "a")
    with time_machine.travel(NOON, tick=False) as clock:
        assert discover(first.runtime, "papers", scheduled=True).new == 1
        assert discover(second.runtime, "papers", scheduled=True) is None
        clock.shift(86_400)
        assert discover(second.runtime, "papers", scheduled=True).new == 0


def test_a_discovery_by_hand_takes_no_slot(open_workshop):
    shop = open_workshop(**DAILY)
    with time_machine.travel(NOON, tick=False):
        assert discover(shop.runtime, "papers") is not None
        assert discover(shop.runtime, "papers", scheduled=True) is not None
        assert discover(shop.runtime, "papers") is not None


def test_a_beat_whose_clock_is_behind_cannot_take_an_older_slot(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), schedule="0 12 * * *"))
    with time_machine.travel(NOON, tick=False) as clock:
        assert discover(shop.runtime, "papers", scheduled=True) is not None
        clock.shift(-60)
        assert discover(shop.runtime, "papers", scheduled=True) is None


def test_slots_missed_while_all_was_down_are_made_up_once(open_workshop):
    shop = open_workshop(**DAILY)
    with time_machine.travel(NOON, tick=False) as clock:
        discover(shop.runtime, "papers", scheduled=True)
        sweep(shop.runtime)
        assert shop.publisher.discoveries == []
        clock.shift(3 * 86_400)
        sweep(shop.runtime)
        assert shop.publisher.discoveries == [("papers", None, True)]
        discover(shop.runtime, "papers", scheduled=True)
        sweep(shop.runtime)
    assert len(shop.publisher.discoveries) == 1
    assert len(shop.events("discover")) == 2


def test_a_new_job_is_looked_at_without_waiting_for_its_first_slot(open_workshop):
    shop = open_workshop(**DAILY)
    with time_machine.travel(NOON, tick=False):
        sweep(shop.runtime)
    assert shop.publisher.discoveries == [("papers", None, True)]


def test_the_sweep_leaves_a_slot_that_has_just_come_to_beat(open_workshop):
    shop = open_workshop(**DAILY)
    with time_machine.travel("2026-03-01T00:00:05Z", tick=False) as clock:
        sweep(shop.runtime)
        assert shop.publisher.discoveries == []
        clock.shift(6)
        sweep(shop.runtime)
        assert len(shop.publisher.discoveries) == 1


def test_a_job_without_a_schedule_is_never_discovered_by_itself(shop):
    sweep(shop.runtime)
    assert shop.publisher.discoveries == []


def test_a_switched_off_job_is_not_discovered(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), schedule="@daily", enabled=False))
    tracker.wake_job(shop.conn, "papers")
    sweep(shop.runtime)
    assert shop.publisher.discoveries == []


def test_items_stored_before_a_crash_are_known_the_next_time(shop):
    shop.add("a")
    finding(shop, "a", "b")
    assert discover(shop.runtime, "papers").new == 1


def test_a_strategy_reads_another_jobs_results(open_workshop):
    shop = open_workshop(
        papers=job(step("fetch")),
        digests={
            "discovery": {"strategy": "tracker_query", "job": "papers", "where": "results.fetch.score > `5`"},
            "stages": [step("digest")],
        },
    )
    shop.acts["fetch"] = lambda context: {"score": len(context.key)}
    shop.run("short", "much longer")
    assert discover(shop.runtime, "digests").new == 1
    data = shop.conn.execute("SELECT data FROM work_items WHERE job_id = 'digests'").fetchone()[0]
    assert '"score": 11' in data


def test_a_strategy_that_names_a_job_that_is_nowhere_is_told_the_nearest(open_workshop):
    asked = {"strategy": "tracker_query", "job": "pappers"}
    shop = open_workshop(papers=job(step("fetch")), digests={"discovery": asked, "stages": [step("digest")]})
    found = discover(shop.runtime, "digests")
    assert (found.error, found.retry_at) == ("no job 'pappers'; did you mean 'papers'?", None)
    tracker.upsert_items(shop.conn, "pappers", [{"key": "a"}])  # of a job that was taken out of jobs.yaml
    assert discover(shop.runtime, "digests").error is None


def test_a_job_may_read_its_own_items_while_it_discovers(open_workshop):
    shop = open_workshop(
        papers={"discovery": {"strategy": "tracker_query", "job": "papers"}, "stages": [step("fetch")]}
    )
    shop.run("a")
    assert (discover(shop.runtime, "papers").found, discover(shop.runtime, "papers").new) == (1, 0)
