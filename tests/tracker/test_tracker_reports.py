from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from pipeline.errors import NotFoundError
from pipeline.lifecycle import Status
from tracker import backlog, discoveries, item_reports, near_keys, reports, run_counts
from tracker.clock import to_ms
from tracker.dispatch import list_ready, stamp
from tracker.notes import SWEPT_AT, set_note
from tracker.workers import note_beat

STAGES = ["fetch", "extract", "store"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = to_ms(NOON)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def busy(conn, add_opened, add_items, clock):
    """Put five items of one job in five different places, and give their ids by key."""
    keys = ("done", "failed", "parked", "running", "ready")
    ids = dict(zip(keys, add_opened(*keys), strict=True))
    for key in ("done", "failed", "parked", "running"):
        tracker.mark_stage_in_progress(conn, ids[key], "fetch", STAGES, worker="w1")
    clock.shift(2)
    tracker.mark_stage_done(conn, ids["done"], "fetch", STAGES, {"n": 1}, handler_version="v1")
    tracker.mark_done(conn, ids["done"])
    tracker.mark_stage_failed(conn, ids["failed"], "fetch", STAGES, ValueError("broken"))
    tracker.mark_stage_retry_later(conn, ids["parked"], "fetch", STAGES, delay=600)
    add_items("unopened")
    return ids


def test_a_job_is_reported_with_its_counts_its_pause_and_its_last_discovery(conn, busy):
    run = discoveries.begin_discovery(conn, "papers")
    run_counts.add_to_run(conn, run, run_counts.Counts(6, 6))
    discoveries.finish_discovery(conn, run, discoveries.Findings())
    tracker.pause_job(conn, "papers", "holiday", by="ann")
    (report,) = reports.list_job_reports(conn)
    assert report == reports.get_job_report(conn, "papers")
    assert (report.total, report.pending, report.in_progress, report.done, report.failed) == (6, 3, 1, 1, 1)
    assert report.next_retry_at == NOON_MS + 602_000
    assert (report.pause.reason, report.pause.by) == ("holiday", "ann")
    assert (report.discovery.found, report.discovery.outcome) == (6, "found")


def test_a_job_that_the_tracker_never_saw_is_reported_as_empty(conn):
    report = reports.get_job_report(conn, "talks")
    assert (report.total, report.pause, report.discovery, report.next_retry_at) == (0, None, None, None)
    assert reports.list_job_reports(conn) == []


def test_stages_are_reported_in_the_jobs_order_with_their_times(conn, busy):
    fetch, extract, store = reports.list_stage_reports(conn, "papers")
    assert (fetch.stage, extract.stage, store.stage) == tuple(STAGES)
    assert (fetch.pending, fetch.in_progress, fetch.done, fetch.failed) == (2, 1, 1, 1)
    assert fetch.max_seconds == 2.0
    assert extract.p50_seconds is None


def test_items_are_listed_newest_first_or_by_status(conn, busy):
    assert [item.key for item in item_reports.list_item_reports(conn, "papers", limit=2)] == [
        "unopened",
        "ready",
    ]
    (failed,) = item_reports.list_item_reports(conn, "papers", Status.FAILED)
    assert (failed.key, failed.stages) == (
        "failed",
        {"fetch": "failed", "extract": "pending", "store": "pending"},
    )


def test_one_item_is_reported_whole(conn, busy):
    report = item_reports.get_whole_item_report(conn, "papers", "failed")
    assert (report.status, report.data, report.results) == ("failed", {}, {})
    first = report.stages[0]
    assert (first.stage, first.status, first.attempt) == ("fetch", "failed", 1)
    assert [(failure.error_type, failure.message) for failure in report.failures] == [
        ("ValueError", "broken")
    ]
    assert [event.kind for event in report.events] == ["claim", "fail"]
    assert item_reports.get_whole_item_report(conn, "papers", "done").results == {"fetch": {"n": 1}}


def test_a_key_that_is_not_there_is_answered_with_the_one_beside_it(conn, busy):
    with pytest.raises(NotFoundError, match="did you mean 'done'"):
        item_reports.get_whole_item_report(conn, "papers", "don")


def test_results_are_streamed_with_their_versions(conn, busy):
    (result,) = reports.stream_result_reports(conn, "papers", "fetch", -1)
    assert (result.key, result.result, result.handler_version, result.attempt) == ("done", {"n": 1}, "v1", 1)


def test_a_backlog_tells_what_is_left_and_whether_anything_moves(conn, busy):
    left = backlog.read_backlog(conn, "papers")
    assert (left.unopened, left.ready, left.running, left.items_opened) == (1, 1, 1, 5)
    assert (left.ended, left.total) == (4, 15)
    assert left.next_retry_at == NOON_MS + 602_000
    assert left.is_moving
    few = backlog.read_backlog(conn, "papers", among=[busy["parked"], busy["failed"]])
    assert (few.total, few.ended, few.is_moving) == (6, 1, False)
    assert backlog.read_backlog(conn, "papers", among=[busy["ready"]], stage="fetch").ready == 1


def test_statuses_are_counted_of_a_job_or_of_a_few_items(conn, busy):
    assert backlog.count_statuses(conn, "papers")[Status.PENDING] == 3
    few = backlog.count_statuses(conn, "papers", among=[busy["done"], busy["failed"]])
    assert {status: count for status, count in few.items() if count} == {Status.DONE: 1, Status.FAILED: 1}


def test_without_a_sweep_nothing_is_healthy(conn, clock):
    assert "no sweep" in backlog.read_health(conn, 60).reason
    set_note(conn, SWEPT_AT, str(NOON_MS))
    assert backlog.read_health(conn, 60).healthy
    clock.shift(61)
    assert not backlog.read_health(conn, 60).healthy


def test_stages_that_take_long_hold_up_the_sweep_and_are_healthy_as_long_as_they_hold_their_leases_and_beat_ticks(
    conn, add_opened, clock
):
    (first,) = add_opened("a")
    set_note(conn, SWEPT_AT, str(NOON_MS))
    tracker.mark_stage_in_progress(conn, first, "fetch", STAGES)
    clock.shift(300)
    assert not backlog.read_health(conn, 60).healthy
    note_beat(conn)
    assert backlog.read_health(conn, 60).healthy
    clock.shift(400)
    note_beat(conn)
    assert "no sweep" in backlog.read_health(conn, 60).reason


def test_messages_that_nobody_takes_are_not_healthy_unless_something_runs(conn, add_opened, clock):
    first, _ = add_opened("a", "b")
    with tracker.write(conn):
        stamp(conn, list_ready(conn, "papers", "fetch", 2))
    clock.shift(121)
    set_note(conn, SWEPT_AT, str(NOON_MS + 121_000))
    assert "none was settled since" in backlog.read_health(conn, 60).reason
    tracker.mark_stage_in_progress(conn, first, "fetch", STAGES)
    assert backlog.read_health(conn, 60).healthy
    tracker.mark_stage_done(conn, first, "fetch", STAGES)
    assert backlog.read_health(conn, 60).healthy


def test_every_record_is_frozen_and_slotted():
    records = [
        kind
        for module in (reports, item_reports)
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    ]
    assert len(records) >= 8
    for kind in records:
        assert kind.__dataclass_params__.frozen, kind
        assert "__dict__" not in dir(kind), kind
        assert dataclasses.fields(kind)


@pytest.mark.parametrize(("asked", "there"), [("REPORT-1", "report-1"), ("report-1", "REPORT-1")])
def test_a_key_in_another_case_is_near_though_many_are_between(conn, add_items, asked, there):
    add_items(there, *(f"Z{number:03}" for number in range(150)))
    assert near_keys.find_near_key(conn, "papers", asked) == there


def test_everything_people_read_can_be_read_from_a_readonly_connection(busy, db_path):
    with tracker.open_readonly(db_path) as reader:
        assert reports.list_job_reports(reader)
        assert reports.list_stage_reports(reader, "papers")
        assert item_reports.list_item_reports(reader, "papers")
        assert reports.list_event_reports(reader, None)
        assert backlog.read_backlog(reader, "papers").total == 15
        assert list(reports.stream_result_reports(reader, "papers", None, 10))
        assert backlog.read_health(reader, 60).reason
