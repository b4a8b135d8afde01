from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

import tracker
from tracker.clock import to_ms
from tracker.jobs import list_woken_jobs, note_looked, reset_auto_unpauses, set_job_error
from tracker.notes import find_note, set_note

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_job_is_paused_with_its_reason_until_somebody_lifts_it(conn):
    assert not tracker.is_job_paused(conn, "papers")
    assert tracker.get_pause_reason(conn, "papers") is None
    tracker.pause_job(conn, "papers", "holiday", by="ann")
    assert tracker.is_job_paused(conn, "papers")
    assert tracker.get_pause_reason(conn, "papers") == "holiday"
    tracker.unpause_job(conn, "papers", by="ben")
    assert not tracker.is_job_paused(conn, "papers")
    assert [(event["kind"], event["by"]) for event in tracker.get_events(conn, "papers")] == [
        ("unpause", "ben"), ("pause", "ann"),
    ]  # fmt: skip


def test_pausing_one_job_leaves_the_others_alone(conn):
    tracker.set_job_paused(conn, "papers", True, reason="holiday")
    assert not tracker.is_job_paused(conn, "talks")


def test_get_all_job_paused_tells_each_pause_by_job(conn):
    with time_machine.travel(NOON, tick=False):
        tracker.set_job_paused(conn, "papers", True, reason="holiday", by="ann")
        tracker.set_job_paused(conn, "talks", True, until=NOON + timedelta(hours=1))
    pauses = tracker.get_all_job_paused(conn)
    assert list(pauses) == ["papers", "talks"]
    assert dict(pauses["papers"]) == {
        "job_id": "papers", "reason": "holiday", "by": "ann", "since_at": to_ms(NOON), "until_at": None,
    }  # fmt: skip
    assert pauses["talks"]["reason"] == "no reason given"
    tracker.set_job_paused(conn, "papers", False)
    assert list(tracker.get_all_job_paused(conn)) == ["talks"]


def test_a_second_pause_replaces_the_reason_but_not_the_beginning(conn):
    with time_machine.travel(NOON, tick=False) as clock:
        tracker.pause_job(conn, "papers", "first")
        clock.shift(60)
        tracker.pause_job(conn, "papers", "second")
    info = tracker.get_retry_info(conn, "papers")
    assert (info["reason"], info["since_at"]) == ("second", to_ms(NOON))


def test_lifting_a_pause_that_is_not_there_leaves_no_event(conn, event_kinds):
    tracker.set_job_paused(conn, "papers", False)
    tracker.unpause_job(conn, "papers")
    assert event_kinds() == []


@pytest.mark.parametrize("as_given", [lambda at: at, to_ms])
def test_get_jobs_due_unpause_lists_those_whose_time_has_come_first_due_first(conn, as_given):
    tracker.pause_job(conn, "never", "holiday")
    tracker.pause_job(conn, "later", "quota", until=NOON + timedelta(hours=2))
    tracker.pause_job(conn, "sooner", "quota", until=as_given(NOON + timedelta(hours=1)))
    assert tracker.get_jobs_due_unpause(conn, as_given(NOON)) == []
    assert tracker.get_jobs_due_unpause(conn, as_given(NOON + timedelta(hours=1))) == ["sooner"]
    with time_machine.travel(NOON + timedelta(hours=3), tick=False):
        assert tracker.get_jobs_due_unpause(conn) == ["sooner", "later"]


def test_each_automatic_unpause_doubles_the_next_pause_and_a_success_resets_it(conn):
    assert tracker.get_retry_info(conn, "papers")["pause_factor"] == 1
    for times in (1, 2, 3):
        tracker.pause_job(conn, "papers", "breaker")
        assert tracker.increment_auto_unpause(conn, "papers") == times
        assert not tracker.is_job_paused(conn, "papers")
    info = tracker.get_retry_info(conn, "papers")
    assert (info["paused"], info["auto_unpauses"], info["pause_factor"]) == (False, 3, 8)
    reset_auto_unpauses(conn, "papers")
    assert tracker.get_retry_info(conn, "papers")["pause_factor"] == 1


def test_a_person_who_lifts_a_pause_forgets_the_automatic_ones(conn):
    tracker.pause_job(conn, "papers", "breaker")
    tracker.increment_auto_unpause(conn, "papers")
    tracker.pause_job(conn, "papers", "breaker")
    assert tracker.get_retry_info(conn, "papers")["pause_factor"] == 2
    tracker.unpause_job(conn, "papers")
    assert tracker.get_retry_info(conn, "papers")["pause_factor"] == 1


def test_get_retry_info_tells_all_about_a_pause(conn):
    with time_machine.travel(NOON, tick=False):
        tracker.pause_job(conn, "papers", "quota", until=NOON + timedelta(hours=1), by="budget")
    assert tracker.get_retry_info(conn, "papers") == {
        "job_id": "papers", "paused": True, "reason": "quota", "by": "budget", "since_at": to_ms(NOON),
        "until_at": to_ms(NOON) + 3_600_000, "auto_unpauses": 0, "pause_factor": 1,
    }  # fmt: skip


def test_wake_job_is_a_wish_that_stands_until_it_is_noted_as_met(conn, event_kinds):
    with time_machine.travel(NOON, tick=False):
        tracker.wake_job(conn, "papers", by="ann")
        tracker.wake_job(conn, "papers")
    assert list_woken_jobs(conn) == [("papers", to_ms(NOON))]
    note_looked(conn, "papers", to_ms(NOON))
    assert list_woken_jobs(conn) == []
    assert event_kinds() == ["wake", "wake"]


def test_a_wish_made_while_an_earlier_one_was_met_still_stands(conn):
    with time_machine.travel(NOON, tick=False) as clock:
        tracker.wake_job(conn, "papers")
        ((_, woken_at),) = list_woken_jobs(conn)
        clock.shift(1)
        tracker.wake_job(conn, "papers")
    note_looked(conn, "papers", woken_at)
    assert list_woken_jobs(conn) == [("papers", to_ms(NOON) + 1000)]


def test_clear_errors_forgets_why_a_job_failed(conn):
    assert tracker.get_job_error(conn, "papers") is None
    set_job_error(conn, "papers", "no such host")
    set_job_error(conn, "talks", "no such feed")
    assert tracker.get_job_error(conn, "papers") == "no such host"
    tracker.clear_errors(conn, "papers")
    assert tracker.get_job_error(conn, "papers") is None
    assert tracker.get_job_error(conn, "talks") == "no such feed"


def test_a_note_is_kept_until_it_is_set_anew(conn):
    assert find_note(conn, "swept_at") is None
    set_note(conn, "swept_at", "1")
    set_note(conn, "swept_at", "2")
    assert find_note(conn, "swept_at") == "2"
