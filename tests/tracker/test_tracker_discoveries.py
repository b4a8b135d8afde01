from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from tracker import discoveries
from tracker.clock import to_ms
from tracker.discoveries import DISCOVERY_LEASE_SECONDS, Findings, Run
from tracker.run_counts import Counts, add_to_run
from tracker.runs import find_last_run, list_looks

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = to_ms(NOON)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def run(conn, clock):
    return discoveries.begin_discovery(conn, "papers", NOON_MS)


def test_a_slot_is_taken_once_and_never_an_earlier_one_after_it(conn, run):
    assert run is not None
    assert discoveries.begin_discovery(conn, "papers", NOON_MS) is None
    assert discoveries.begin_discovery(conn, "papers", NOON_MS - 1) is None
    assert discoveries.begin_discovery(conn, "papers", NOON_MS + 1)
    assert discoveries.begin_discovery(conn, "talks", NOON_MS)


def test_slots_that_a_clock_took_which_was_ahead_hold_up_no_earlier_ones(conn, clock):
    month = 30 * 86_400
    clock.shift(month)
    assert discoveries.begin_discovery(conn, "papers", NOON_MS + month * 1000)
    clock.shift(-month)
    assert discoveries.begin_discovery(conn, "papers", NOON_MS)
    assert discoveries.begin_discovery(conn, "papers", NOON_MS) is None
    clock.shift(month)
    assert discoveries.begin_discovery(conn, "papers", NOON_MS + month * 1000) is None


def test_a_discovery_by_hand_takes_no_slot(conn, run):
    assert discoveries.begin_discovery(conn, "papers")
    assert discoveries.begin_discovery(conn, "papers")


def test_a_discovery_that_worked_is_on_record_and_clears_the_jobs_error(conn, run, clock, event_kinds):
    discoveries.fail_discovery(conn, run, "no such host", NOON_MS)
    assert tracker.get_job_error(conn, "papers") == "no such host"
    again = discoveries.resume_discovery(conn, run.run_id)
    clock.shift(2)
    add_to_run(conn, again, Counts(found=5, new=3))
    discoveries.finish_discovery(conn, again, Findings({"no key": 2}))
    report = find_last_run(conn, "papers")
    assert (report.outcome, report.found, report.new, report.refused) == ("found", 5, 3, 2)
    assert report.ended_at == NOON_MS + 2000
    assert tracker.get_job_error(conn, "papers") is None
    assert event_kinds() == ["discover_failed", "discover"]


def test_a_look_tells_why_each_of_its_attempts_refused_what_it_refused(conn, run, clock):
    discoveries.fail_discovery(conn, run, "no such host", NOON_MS, Findings({"no key": 1}))
    again = discoveries.resume_discovery(conn, run.run_id)
    discoveries.finish_discovery(conn, again, Findings({"no key": 2, "older than since": 1}))
    discoveries.finish_discovery(conn, discoveries.begin_discovery(conn, "papers"), Findings())
    discoveries.finish_discovery(conn, discoveries.begin_discovery(conn, "talks"), Findings({"no key": 9}))
    conn.execute("DELETE FROM events")  # nothing is read of them, however many there are
    newest, oldest = list_looks(conn, "papers")
    assert (newest.refused, newest.refused_for) == (0, {})
    assert (oldest.refused, oldest.refused_for) == (4, {"no key": 3, "older than since": 1})


def test_a_discovery_is_tried_again_at_its_time_by_one_taker(conn, run, clock):
    discoveries.fail_discovery(conn, run, "no such host", NOON_MS + 60_000)
    assert discoveries.list_due_runs(conn) == []
    assert not discoveries.resume_discovery(conn, run.run_id)
    clock.shift(60)
    assert discoveries.list_due_runs(conn) == [Run(run.run_id, "papers", 1)]
    assert discoveries.resume_discovery(conn, run.run_id).attempt == 2
    assert not discoveries.resume_discovery(conn, run.run_id)
    assert find_last_run(conn, "papers").attempt == 2


def test_a_discovery_that_failed_for_good_is_not_tried_again(conn, run, clock):
    discoveries.fail_discovery(conn, run, "no such key", None)
    clock.shift(86_400)
    assert discoveries.list_due_runs(conn) == []
    assert find_last_run(conn, "papers").outcome == "failed"


def test_a_discovery_whose_worker_died_is_taken_up_again(conn, run, clock):
    clock.shift(DISCOVERY_LEASE_SECONDS - 1)
    assert discoveries.renew_discovery(conn, run)
    clock.shift(DISCOVERY_LEASE_SECONDS)
    assert discoveries.list_due_runs(conn) == []
    clock.shift(1)
    assert discoveries.list_due_runs(conn) == [Run(run.run_id, "papers", 1)]
    assert discoveries.resume_discovery(conn, run.run_id)


def test_a_discovery_that_has_ended_can_neither_be_renewed_nor_end_again(conn, run):
    discoveries.finish_discovery(conn, run, Findings())
    assert not discoveries.renew_discovery(conn, run)
    discoveries.fail_discovery(conn, run, "too late", None)
    assert find_last_run(conn, "papers").outcome == "found"
    assert tracker.get_job_error(conn, "papers") is None


def test_a_newer_run_makes_older_retries_needless(conn, run, clock):
    discoveries.fail_discovery(conn, run, "no such host", NOON_MS + 1000)
    newer = discoveries.begin_discovery(conn, "papers", NOON_MS + 1)
    discoveries.drop_older_retries(conn, newer)
    clock.shift(2)
    assert discoveries.list_due_runs(conn) == []
