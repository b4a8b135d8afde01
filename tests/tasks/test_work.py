"""The tasks: ids in, one call to the runner. Here a worker's part is played by this process."""

from __future__ import annotations

import time_machine
from celery.exceptions import SoftTimeLimitExceeded

import tracker
from handlers.time_limit import TIME_LIMIT
from tasks import discover, run_stage, sweep
from tasks.app import get_runtime


def test_one_discovery_brings_every_item_through_every_stage(app, write_jobs, work):
    write_jobs(demo={})
    discover.delay("demo")
    shown = work()
    assert sorted(shown[1:]) == ["demo.fetch"] * 3 + ["demo.store"] * 3
    conn = get_runtime().tracker
    assert tracker.get_job_stats(conn, "demo")["done"] == 3
    assert tracker.get_result(conn, "demo", "b", "store") == {"key": "b", "saw": ["fetch"]}


def test_stages_on_other_queues_are_worked_there(app, write_jobs, work):
    stages = [{"name": name, "handler": "tasks_plugins:Echo", "queue": name} for name in ("one", "two")]
    write_jobs(demo={"stages": stages})
    discover.delay("demo")
    assert sorted(work("celery", "one", "two")[1:]) == ["demo.one"] * 3 + ["demo.two"] * 3


def test_a_message_about_nothing_is_dropped(app, write_jobs):
    write_jobs(demo={})
    run_stage(99, "fetch", 1)
    assert tracker.get_events(get_runtime().tracker) == []


def test_a_limit_that_struck_the_stage_before_ends_no_discovery(app, write_jobs, work):
    def strike():
        raise SoftTimeLimitExceeded

    write_jobs(demo={})
    run_stage(99, "fetch", 1)
    TIME_LIMIT.strike(strike)  # after its handler had ended
    discover("demo")
    work()
    assert tracker.get_job_stats(get_runtime().tracker, "demo")["done"] == 3


def test_the_sweep_has_a_job_discovered_that_nobody_looked_at_yet(app, write_jobs, work):
    write_jobs(demo={"schedule": "@daily"})
    with time_machine.travel(
        "2026-03-01T12:00:00Z", tick=False
    ):  # at midnight the slot would be left to beat
        sweep()
        work()
    assert tracker.get_job_stats(get_runtime().tracker, "demo")["done"] == 3


def test_two_beats_discover_a_slot_once(app, write_jobs, work):
    write_jobs(demo={"schedule": "@daily"})
    for _ in range(2):
        discover.apply_async(("demo",), {"scheduled": True}, shadow="demo.discover")
    work()
    found = [
        event for event in tracker.get_events(get_runtime().tracker, "demo") if event["kind"] == "discover"
    ]
    assert len(found) == 1
