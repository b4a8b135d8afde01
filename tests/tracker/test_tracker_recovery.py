from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from pipeline.errors import NotFoundError, StaleLeaseError
from pipeline.lifecycle import Status
from tracker import moves, recovery
from tracker.endings import CRASH_LIMIT
from tracker.recovery import release_lost_worker

STAGES = ["fetch", "extract", "store"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def statuses(conn):
    """Read an item's statuses in the order of its stages."""

    def read(key="a"):
        return list(tracker.get_stages_dict(conn, "papers")[key].values())

    return read


@pytest.fixture
def finished_id(conn, opened_id):
    """Give an item with every stage done, each with its result."""
    for stage in STAGES:
        tracker.mark_stage_in_progress(conn, opened_id, stage, STAGES)
        tracker.mark_stage_done(conn, opened_id, stage, STAGES, {"made by": stage})
    return opened_id


def claim(conn, item_id, stage="fetch", attempt=1):
    return moves.claim(conn, item_id, stage, attempt, worker="w", lease_seconds=30)


def test_reset_in_progress_stages_gives_back_every_claim_at_a_cold_start(conn, add_opened, statuses, read_stage):
    for item_id in add_opened("a", "b"):
        claim(conn, item_id)
    claim(conn, *add_opened("c", job_id="talks"))
    assert tracker.reset_in_progress_stages(conn, "papers") == 2
    assert statuses()[0] == "pending"
    assert read_stage(1, "fetch")["attempt"] == 1
    assert tracker.reset_in_progress_stages(conn) == 1


def test_reclaim_stuck_stages_takes_back_what_nobody_renewed(conn, add_opened, clock, event_kinds):
    stuck, renewed = add_opened("a", "b")
    claim(conn, stuck)
    claim(conn, renewed)
    clock.shift(29)
    assert tracker.reclaim_stuck_stages(conn) == 0
    assert moves.renew_lease(conn, renewed, "fetch", 1)
    clock.shift(2)
    assert tracker.reclaim_stuck_stages(conn) == 1
    assert tracker.get_stage_status(conn, stuck, "fetch") is Status.PENDING
    assert tracker.get_stage_status(conn, renewed, "fetch") is Status.IN_PROGRESS
    assert event_kinds() == ["claim", "claim", "expire"]
    assert not moves.renew_lease(conn, stuck, "fetch", 1)


def test_reclaim_stuck_items_counts_items_not_stages(conn, add_opened, clock):
    (item_id,) = add_opened("a", stages=["fetch"])
    tracker.reopen_items_for_new_stages(conn, "papers", [Stage("fetch"), Stage("look")])
    claim(conn, item_id, "fetch")
    claim(conn, item_id, "look")
    clock.shift(31)
    assert tracker.reclaim_stuck_items(conn) == 1
    assert tracker.reclaim_stuck_items(conn) == 0


def test_a_stage_that_kills_its_worker_three_times_is_poison(conn, opened_id, clock, read_stage):
    for attempt in range(1, CRASH_LIMIT + 1):
        assert claim(conn, opened_id, attempt=attempt)
        clock.shift(31)
        tracker.reclaim_stuck_stages(conn)
    stage = read_stage(opened_id, "fetch")
    assert (stage["status"], stage["crashes"]) == ("failed", 3)
    assert stage["reason"].startswith("poison: its worker died under it 3 times")
    assert conn.execute("SELECT error_type FROM failures").fetchall() == [("WorkerDied",)]


def test_a_lost_worker_is_counted_like_an_expired_lease_and_only_for_its_own_attempt(conn, opened_id, read_stage):
    claim(conn, opened_id)
    release_lost_worker(conn, opened_id, "fetch", 1, "killed by signal 9")
    assert (read_stage(opened_id, "fetch")["crashes"], read_stage(opened_id, "fetch")["status"]) == (1, "pending")
    claim(conn, opened_id, attempt=2)
    with pytest.raises(StaleLeaseError):
        release_lost_worker(conn, opened_id, "fetch", 1, "killed by signal 9")


def test_reset_stage_begins_again_at_a_stage_and_all_after_it(conn, finished_id, statuses, read_stage):
    assert tracker.reset_stage(conn, "papers", "extract") == 1
    assert statuses() == ["done", "pending", "pending"]
    assert [read_stage(finished_id, stage)["needs_left"] for stage in STAGES] == [0, 0, 1]
    assert read_stage(finished_id, "extract")["attempt"] == 1
    assert tracker.get_result(conn, "papers", "a", "extract") == {"made by": "extract"}


def test_reset_stage_fences_off_an_attempt_that_is_still_running(conn, claimed_id):
    tracker.reset_stage(conn, "papers", "fetch")
    with pytest.raises(StaleLeaseError):
        tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {"n": 1}, attempt=1)
    assert tracker.get_result(conn, "papers", "a", "fetch") is None


def test_reset_stage_can_be_kept_to_keys(conn, add_opened, statuses):
    for item_id in add_opened("a", "b"):
        tracker.mark_stage_done(conn, item_id, "fetch", STAGES)
    assert tracker.reset_stage(conn, "papers", "fetch", ["b", "unknown"]) == 1
    assert (statuses("a")[0], statuses("b")[0]) == ("done", "pending")
    assert tracker.reset_stage(conn, "papers", "fetch", []) == 0


def test_reset_stage_takes_known_stages_only(conn, opened_id):
    with pytest.raises(NotFoundError, match="'print'"):
        tracker.reset_stage(conn, "papers", "print")


def test_reprocess_fast_resets_the_items_named_at_once(conn, finished_id, statuses):
    assert tracker.reprocess_fast(conn, "papers", "store", iter(["a"])) == 1
    assert statuses() == ["done", "done", "pending"]


def test_reopen_items_for_new_stages_gives_a_finished_item_its_new_stage(conn, finished_id, statuses, item_status):
    assert tracker.reopen_items_for_new_stages(conn, "papers", [*STAGES, "print"]) == 1
    assert statuses() == ["done", "done", "done", "pending"]
    assert item_status(finished_id) == "pending"
    assert claim(conn, finished_id, "print")
    assert tracker.reopen_items_for_new_stages(conn, "papers", [*STAGES, "print"]) == 0


def test_a_new_stage_in_the_middle_is_waited_for(conn, opened_id, read_stage, statuses):
    tracker.mark_stage_done(conn, opened_id, "fetch", STAGES)
    tracker.reopen_items_for_new_stages(conn, "papers", ["fetch", "clean", "extract", "store"])
    assert list(tracker.get_stages_dict(conn, "papers")["a"]) == ["fetch", "clean", "extract", "store"]
    assert [read_stage(opened_id, stage)["needs_left"] for stage in ("clean", "extract")] == [0, 1]


def test_a_stage_that_runs_while_jobs_yaml_puts_one_before_it_waits_for_that_when_it_is_to_run_again(
    conn, claimed_id, read_stage
):
    recovery.apply_plan(conn, "papers", ["look", *STAGES])
    tracker.mark_stage_retry_later(conn, claimed_id, "fetch", STAGES, delay=0)
    assert read_stage(claimed_id, "fetch")["needs_left"] == 1


def test_a_stage_that_runs_while_the_new_one_before_it_ends_need_not_wait_for_it(conn, claimed_id, read_stage):
    recovery.apply_plan(conn, "papers", ["look", *STAGES])
    tracker.mark_stage_done(conn, claimed_id, "look", STAGES)
    tracker.mark_stage_retry_later(conn, claimed_id, "fetch", STAGES, delay=0)
    assert read_stage(claimed_id, "fetch")["needs_left"] == 0


def test_skip_disabled_stages_skips_what_waits_and_lets_what_runs_end(conn, add_opened, statuses):
    running, _ = add_opened("a", "b")
    claim(conn, running)
    assert tracker.skip_disabled_stages(conn, "papers", [Stage("fetch", enabled=False), Stage("extract"), Stage("store")]) == 1
    assert statuses("a") == ["in_progress", "pending", "pending"]
    assert statuses("b") == ["skipped", "pending", "pending"]
    tracker.mark_stage_done(conn, running, "fetch", STAGES, {"n": 1}, attempt=1)
    assert statuses("a")[0] == "done"


def test_a_stage_switched_off_while_it_runs_is_skipped_instead_of_run_again(conn, claimed_id, statuses, read_stage, event_kinds):
    tracker.skip_disabled_stages(conn, "papers", ["extract", "store"])
    tracker.mark_stage_retry_later(conn, claimed_id, "fetch", STAGES, delay=60)
    assert statuses() == ["pending", "pending", "skipped"]  # what jobs.yaml no longer has stands last
    assert read_stage(claimed_id, "extract")["needs_left"] == 0
    assert event_kinds() == ["claim", "retry_later", "skip"]


def test_a_stage_that_is_switched_on_again_is_reopened_but_not_one_that_a_handler_skipped(conn, add_opened, statuses):
    (item_id,) = add_opened("a")
    tracker.mark_skipped(conn, *add_opened("b"), "not wanted")
    tracker.skip_disabled_stages(conn, "papers", [Stage("fetch", enabled=False), Stage("extract"), Stage("store")])
    assert tracker.get_stage_status(conn, item_id, "fetch") is Status.SKIPPED
    assert tracker.reopen_items_for_new_stages(conn, "papers", STAGES) == 1
    assert (statuses("a")[0], statuses("b")[0]) == ("pending", "skipped")


def test_reset_stage_leaves_a_stage_that_is_switched_off(conn, finished_id, statuses):
    tracker.skip_disabled_stages(conn, "papers", [Stage("fetch"), Stage("extract", ("fetch",), enabled=False), Stage("store", ("extract",))])
    assert tracker.reset_stage(conn, "papers", "fetch") == 1
    assert statuses() == ["pending", "done", "pending"]


class Stage:
    """A stage as jobs.yaml has it."""

    def __init__(self, name, needs=(), *, enabled=True):
        self.name, self.needs, self.enabled = name, needs, enabled
