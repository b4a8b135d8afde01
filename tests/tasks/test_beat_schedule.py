"""jobs.yaml into beat's entries, and slots as Celery asks for them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from beat_schedule import SWEEP_SECONDS, SlotSchedule, make_beat_schedule
from pipeline.maintenance import LOOK_SECONDS
from pipeline.schedule import Schedule
from tasks.app import get_runtime
from tasks.work import maintain
from tracker.chores import find_last_chore

BERLIN = "Europe/Berlin"


def test_each_enabled_job_with_a_schedule_has_one_entry_and_there_is_one_sweep(home, write_jobs):
    write_jobs(
        daily={"schedule": "@daily"},
        often={"schedule": {"every": "15m"}},
        by_hand={},
        off={"schedule": "@daily", "enabled": False},
    )
    entries = make_beat_schedule(get_runtime().jobs)
    assert sorted(entries) == ["discover daily", "discover often", "sweep"]
    assert entries["discover daily"]["schedule"] == SlotSchedule(Schedule.parse("@daily"))
    assert entries["discover daily"]["options"] == {"shadow": "daily.discover"}
    assert entries["sweep"]["schedule"] == SWEEP_SECONDS


def test_no_jobs_leave_the_sweep(home, write_jobs):
    write_jobs()
    assert list(make_beat_schedule(get_runtime().jobs)) == ["sweep"]


def test_chores_are_looked_at_if_there_are_any(home, write_jobs):
    write_jobs(papers={})
    text = (home / "jobs.yaml").read_text()
    (home / "jobs.yaml").write_text(json.dumps({**json.loads(text), "maintenance": {"compact": {}}}))
    get_runtime().watch._looked_at = float("-inf")
    entry = make_beat_schedule(get_runtime().jobs)["maintenance"]
    assert (entry["task"], entry["schedule"]) == ("tasks.maintain", LOOK_SECONDS)
    maintain()
    assert find_last_chore(get_runtime().tracker, "compact").outcome == "done"


def at(text):
    return datetime.fromisoformat(text)


def due_slots(schedule, start, end, every=timedelta(minutes=5)):
    """Ask as beat does, every few minutes; when it was due."""
    slots, last_run_at, found = SlotSchedule(schedule), at(start), []
    with time_machine.travel(last_run_at, tick=False) as clock:
        while datetime.now(UTC) < at(end):
            clock.shift(every)
            if slots.is_due(last_run_at).is_due:
                last_run_at = datetime.now(UTC)
                found.append(last_run_at.isoformat())
    return found


def test_a_slot_is_due_once_when_it_has_come():
    found = due_slots(Schedule.parse("0 7 * * *"), "2026-01-10T00:00:00+00:00", "2026-01-12T00:00:00+00:00")
    assert found == ["2026-01-10T07:00:00+00:00", "2026-01-11T07:00:00+00:00"]


def test_a_time_that_the_clocks_skip_in_spring_is_due_once():
    schedule = Schedule.parse("30 2 * * *", BERLIN)
    found = due_slots(schedule, "2026-03-28T12:00:00+00:00", "2026-03-30T12:00:00+00:00")
    assert found == ["2026-03-29T01:00:00+00:00", "2026-03-30T00:30:00+00:00"]


def test_a_time_that_the_clocks_repeat_in_autumn_is_due_once():
    schedule = Schedule.parse("30 2 * * *", BERLIN)
    found = due_slots(schedule, "2026-10-24T12:00:00+00:00", "2026-10-26T12:00:00+00:00")
    assert found == ["2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"]


def test_seven_in_the_morning_stays_seven_in_the_morning():
    schedule = Schedule.parse("0 7 * * *", BERLIN)
    found = due_slots(schedule, "2026-03-28T00:00:00+00:00", "2026-03-30T00:00:00+00:00")
    assert found == ["2026-03-28T06:00:00+00:00", "2026-03-29T05:00:00+00:00"]


@pytest.mark.parametrize("text", ["every 15m", "*/15 * * * *", "@hourly", "0 7 * * MON#1"])
@pytest.mark.parametrize(
    "now", ["2026-03-29T00:59:59+00:00", "2026-10-25T00:30:00+00:00", "2026-06-01T12:00:00+00:00"]
)
def test_the_time_until_the_next_slot_is_never_nothing_and_ends_at_it(text, now):
    schedule = SlotSchedule(Schedule.parse(text, BERLIN))
    with time_machine.travel(now, tick=False) as clock:
        _, seconds = schedule.is_due(at(now))
        assert seconds > 0
        clock.shift(seconds)
        assert schedule.is_due(at(now)).is_due
        assert schedule.remaining_estimate(at(now)) == timedelta(0)


def test_slots_that_came_while_beat_slept_are_due_as_one():
    with time_machine.travel("2026-01-10T12:00:00Z", tick=False):
        schedule = SlotSchedule(Schedule.parse("@hourly"))
        assert schedule.is_due(at("2026-01-10T05:30:00+00:00")).is_due
        assert not schedule.is_due(datetime.now(UTC)).is_due


def test_a_slot_schedule_can_be_copied_as_celery_does_and_says_what_it_is():
    schedule = SlotSchedule(Schedule.parse({"cron": "0 7 * * *", "timezone": BERLIN}))
    assert copy.deepcopy(schedule) == schedule
    assert len({schedule, copy.deepcopy(schedule)}) == 1
    assert schedule != SlotSchedule(Schedule.parse("0 7 * * *"))
    assert repr(schedule) == "<slots: 0 7 * * * (Europe/Berlin)>"
