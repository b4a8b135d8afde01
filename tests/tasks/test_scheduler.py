"""Beat: sends each slot when it comes, and follows jobs.yaml while it runs."""

from __future__ import annotations

import pytest
import structlog
import time_machine

from beat_schedule import SWEEP_SECONDS
from tasks.app import get_runtime
from tasks.scheduler import LONGEST_SLEEP_SECONDS, JobsScheduler

NOON = "2026-03-01T12:00:00Z"


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def beat(app, write_jobs, clock):
    write_jobs(demo={"schedule": "every 1h"}, idle={})
    return JobsScheduler(app=app)


def run_for(beat, clock, seconds):
    """Let beat tick as it would, for so many seconds of the clock."""
    for _ in range(int(seconds / LONGEST_SLEEP_SECONDS)):
        clock.shift(LONGEST_SLEEP_SECONDS)
        while beat.tick() == 0:
            pass


def sent_names(fetch):
    return [sent.headers["shadow"] or sent.task for sent in fetch()]


def test_beat_knows_each_scheduled_job_and_the_sweep(beat):
    assert sorted(beat.schedule) == ["discover demo", "sweep"]


def test_a_slot_is_sent_when_it_comes_and_once(beat, clock, fetch):
    beat.tick()
    run_for(beat, clock, 3590)
    assert "demo.discover" not in sent_names(fetch)
    run_for(beat, clock, 60)
    assert sent_names(fetch).count("demo.discover") == 1
    run_for(beat, clock, 3600)
    assert sent_names(fetch).count("demo.discover") == 1


def test_a_scheduled_discovery_says_that_it_is_one(beat, clock, fetch):
    beat.tick()
    run_for(beat, clock, 3602)
    (sent,) = [one for one in fetch() if one.task == "tasks.discover"]
    assert (sent.args, sent.kwargs) == (["demo"], {"scheduled": True})


def test_the_sweep_is_sent_every_few_seconds_and_expires(beat, clock, fetch):
    beat.tick()
    run_for(beat, clock, 60)
    swept = [one for one in fetch() if one.task == "tasks.sweep"]
    assert 9 <= len(swept) <= 60 / SWEEP_SECONDS + 1
    assert all(one.headers["expires"] for one in swept)


def test_beat_never_sleeps_long_so_that_it_sees_an_edit_soon(beat):
    assert 0 <= beat.tick() <= LONGEST_SLEEP_SECONDS
    assert beat.max_interval == LONGEST_SLEEP_SECONDS


def test_a_new_job_is_scheduled_and_a_removed_one_is_not(beat, clock, write_jobs, fetch):
    beat.tick()
    write_jobs(other={"schedule": "every 1m"})
    run_for(beat, clock, 3700)
    assert sorted(beat.schedule) == ["discover other", "sweep"]
    names = sent_names(fetch)
    assert "demo.discover" not in names
    assert names.count("other.discover") in (61, 62)


def test_a_changed_schedule_is_followed_at_once(beat, clock, write_jobs, fetch):
    beat.tick()
    write_jobs(demo={"schedule": "every 1m"})
    run_for(beat, clock, 600)
    assert sent_names(fetch).count("demo.discover") == 10


def test_an_edit_that_changes_no_schedule_does_not_send_a_slot_again(beat, clock, write_jobs, fetch):
    run_for(beat, clock, 3602)
    fetch()
    write_jobs(demo={"schedule": "every 1h", "title": "New"})
    run_for(beat, clock, 60)
    assert "demo.discover" not in sent_names(fetch)


def test_an_invalid_edit_is_refused_and_the_old_schedule_goes_on(beat, clock, home, fetch):
    beat.tick()
    (home / "jobs.yaml").write_text("version: 1\njobs: 7\n")
    get_runtime().watch._looked_at = float("-inf")
    run_for(beat, clock, 3602)
    assert sent_names(fetch).count("demo.discover") == 1


def test_an_edit_that_is_refused_is_told_once_with_its_lines_and_so_is_that_it_is_mended(
    beat, clock, home, write_jobs
):
    good = (home / "jobs.yaml").read_text()
    with structlog.testing.capture_logs() as logs:
        for text in ("version: 1\njobs: 7\n", good):
            (home / "jobs.yaml").write_text(text)
            get_runtime().watch._looked_at = float("-inf")
            run_for(beat, clock, 10)
    told = [line for line in logs if "jobs.yaml" in line["event"]]
    assert [line["event"] for line in told] == [
        "jobs.yaml is refused; the last good one stays in force",
        "jobs.yaml is in order again",
    ]
    (problem,) = told[0]["problems"]
    assert problem.endswith(":2: jobs: 7 is not a mapping (allowed: keys with values, one a line)")


def test_the_schedule_in_force_is_told_when_it_changes_and_only_then(beat, write_jobs):
    with structlog.testing.capture_logs() as logs:
        beat.tick()
        write_jobs(other={"schedule": "@daily"})
        beat.tick()
        beat.tick()
    told = [line["entries"] for line in logs if line["event"] == "schedule in force"]
    assert told == [["discover other", "sweep"]]


def test_a_clock_that_is_set_back_does_not_keep_the_sweep_waiting(beat, clock, fetch):
    beat.tick()
    clock.shift(3600)
    run_for(beat, clock, 10)
    clock.shift(-3600)
    fetch()
    run_for(beat, clock, 60)
    assert len([one for one in fetch() if one.task == "tasks.sweep"]) >= 9


def test_a_clock_that_is_set_back_sends_no_slot_twice(beat, clock, fetch):
    beat.tick()
    clock.shift(3600)
    run_for(beat, clock, 10)
    clock.shift(-300)
    assert sent_names(fetch).count("demo.discover") == 1
    run_for(beat, clock, 200)
    assert "demo.discover" not in sent_names(fetch)
