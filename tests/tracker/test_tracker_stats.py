from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from tracker.plan import StagePlan
from tracker.stats import prune_minutes

STAGES = ["fetch", "extract", "store"]


@pytest.fixture
def clock():
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as clock:
        yield clock


@pytest.fixture
def run_fetch(conn, add_opened, clock):
    """Run the first stage of an item for some seconds."""

    def run(key, seconds):
        (item_id,) = add_opened(key)
        tracker.mark_stage_in_progress(conn, item_id, "fetch", STAGES)
        clock.shift(seconds)
        tracker.mark_stage_done(conn, item_id, "fetch", STAGES)
        return item_id

    return run


@pytest.fixture
def mixed(conn, add_items, add_opened):
    """Store an item in each status, and one that was never opened."""
    done, failed, running, skipped, _ = add_opened("done", "failed", "running", "skipped", "pending")
    add_items("unopened")
    tracker.mark_done(conn, done)
    tracker.mark_failed(conn, failed, "broken")
    tracker.mark_in_progress(conn, running)
    tracker.mark_skipped(conn, skipped)


EXPECTED = {"total": 6, "pending": 2, "in_progress": 1, "done": 2, "failed": 1, "skipped": 0, "unopened": 1}


def test_get_job_stats_counts_items_by_status_and_a_skipped_item_is_done(conn, mixed):
    assert tracker.get_job_stats(conn, "papers") == EXPECTED
    assert tracker.get_job_stats(conn, "talks") == dict.fromkeys(EXPECTED, 0)


def test_all_job_stats_counts_every_job(conn, mixed, add_items):
    add_items("a", job_id="talks")
    stats = tracker.all_job_stats(conn)
    assert stats["papers"] == EXPECTED
    assert stats["talks"]["unopened"] == 1


def test_new_items_wait_at_no_stage_that_is_switched_off(conn, add_opened, add_items):
    plan = StagePlan(("fetch", "store"), {"fetch": (), "store": ("fetch",)}, frozenset({"fetch"}))
    add_opened("a", stages=plan)
    add_items("b")
    metrics = tracker.get_stage_pipeline_metrics(conn, "papers")
    assert {stage: one["waiting"] for stage, one in metrics.items()} == {"fetch": 2, "store": 0}
    assert metrics["store"]["seconds_to_empty"] == 0


def test_counts_follow_an_item_that_is_deleted(conn, mixed):
    conn.execute("DELETE FROM work_items")
    assert tracker.get_job_stats(conn, "papers") == dict.fromkeys(EXPECTED, 0)
    assert all(sum(counts.values()) == 0 for counts in tracker.stage_stats(conn, "papers").values())


def test_stage_stats_counts_the_stages_of_opened_items_in_the_jobs_order(conn, mixed):
    stats = tracker.stage_stats(conn, "papers")
    assert list(stats) == STAGES
    assert stats["fetch"] == {
        "pending": 1, "in_progress": 1, "done": 1, "failed": 1, "skipped": 1, "queued": 0, "countdown": 0,
    }  # fmt: skip


def test_stage_timing_stats_gives_count_percentiles_and_the_longest(conn, run_fetch):
    for number in range(99):
        run_fetch(f"quick {number}", 1)
    run_fetch("slow", 100)
    timing = tracker.stage_timing_stats(conn, "papers")["fetch"]
    assert (timing["count"], timing["max"]) == (100, 100.0)
    assert timing["p50"] == pytest.approx(1, rel=0.09)
    assert timing["p95"] == pytest.approx(1, rel=0.09)
    assert timing["mean"] == pytest.approx(1.99)


def test_percentiles_are_never_above_the_longest(conn, run_fetch):
    run_fetch("a", 1.04)
    timing = tracker.stage_timing_stats(conn, "papers")["fetch"]
    assert timing["p50"] <= timing["max"] == 1.04


def test_get_stage_pipeline_metrics_tells_what_waits_and_when_it_will_be_empty(conn, run_fetch, add_items):
    for number in range(10):
        run_fetch(f"item {number}", 1)
    add_items("x", "y", "z", "w")
    metrics = tracker.get_stage_pipeline_metrics(conn, "papers")
    assert metrics["fetch"] == {"waiting": 4, "running": 0, "rate_per_minute": 2.0, "seconds_to_empty": 120.0}
    assert metrics["extract"] == {
        "waiting": 14,
        "running": 0,
        "rate_per_minute": 0.0,
        "seconds_to_empty": None,
    }


def test_rates_forget_what_was_settled_long_ago(conn, run_fetch, clock):
    run_fetch("a", 1)
    clock.shift(600)
    assert tracker.get_stage_pipeline_metrics(conn, "papers")["fetch"]["rate_per_minute"] == 0


@pytest.mark.parametrize("second", [1, 30, 59])
def test_a_steady_rate_is_told_as_it_is_at_any_second_of_a_minute(conn, run_fetch, clock, second):
    for number in range(72 + second // 5):
        run_fetch(f"item {number}", 5)
    clock.shift(second % 5)
    rate = tracker.get_stage_pipeline_metrics(conn, "papers")["fetch"]["rate_per_minute"]
    assert rate == pytest.approx(12, rel=0.03)


def test_minutes_older_than_a_week_are_pruned_and_younger_ones_kept(conn, run_fetch, clock):
    count = "SELECT count(*) FROM stage_minutes"
    run_fetch("a", 1)
    clock.shift(6 * 86_400)
    prune_minutes(conn)
    assert conn.execute(count).fetchone()[0] == 1
    clock.shift(2 * 86_400)
    prune_minutes(conn)
    assert conn.execute(count).fetchone()[0] == 0


def test_show_status_is_a_table_of_every_job(conn, mixed):
    head, line = tracker.show_status(conn).splitlines()
    assert head.split() == ["job", "total", "pending", "in_progress", "done", "failed", "skipped"]
    assert line.split() == ["papers", "6", "2", "1", "2", "1", "0"]
