from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from pipeline.errors import NotFoundError, StaleLeaseError
from pipeline.lifecycle import Status
from tracker import claims
from tracker.endings import CRASH_LIMIT
from tracker.plan import StagePlan
from tracker.recovery import release_lost_worker

STAGES = ["fetch", "extract", "store"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def claim(conn, item_id, stage="fetch", attempt=1):
    return claims.claim(conn, item_id, stage, attempt, worker="w", lease_seconds=30)


def test_reset_in_progress_stages_gives_back_every_claim_at_a_cold_start(
    conn, add_opened, stage_statuses, read_stage
):
    for item_id in add_opened("a", "b"):
        claim(conn, item_id)
    claim(conn, *add_opened("c", job_id="talks"))
    assert tracker.reset_in_progress_stages(conn, "papers") == 2
    assert stage_statuses()[0] == "pending"
    assert read_stage(1, "fetch")["attempt"] == 1
    assert tracker.reset_in_progress_stages(conn) == 1


def test_reclaim_stuck_stages_takes_back_what_nobody_renewed(conn, add_opened, clock, event_kinds):
    stuck, renewed = add_opened("a", "b")
    claim(conn, stuck)
    claim(conn, renewed)
    clock.shift(29)
    assert tracker.reclaim_stuck_stages(conn) == 0
    assert claims.renew_lease(conn, renewed, "fetch", 1)
    clock.shift(2)
    assert tracker.reclaim_stuck_stages(conn) == 1
    assert tracker.get_stage_status(conn, stuck, "fetch") is Status.PENDING
    assert tracker.get_stage_status(conn, renewed, "fetch") is Status.IN_PROGRESS
    assert event_kinds() == ["claim", "claim", "expire"]
    assert not claims.renew_lease(conn, stuck, "fetch", 1)


def test_a_lease_that_was_taken_before_the_clock_was_set_back_runs_out_as_soon_as_any_other(
    conn, add_opened, clock
):
    dead, alive, by_hand = add_opened("a", "b", "c")
    tracker.mark_stage_in_progress(conn, by_hand, "fetch", STAGES)
    clock.shift(3600)
    claim(conn, dead)
    claim(conn, alive)
    clock.shift(-3600)
    assert tracker.recovery.shorten_leases_ahead(conn) == 2
    clock.shift(9)  # whoever lives has to have time to renew
    assert tracker.reclaim_stuck_stages(conn) == 0
    assert claims.renew_lease(conn, alive, "fetch", 1)
    clock.shift(20)
    assert claims.renew_lease(conn, alive, "fetch", 1)
    clock.shift(11)
    assert tracker.recovery.shorten_leases_ahead(conn) == 0
    assert tracker.reclaim_stuck_stages(conn) == 1
    assert tracker.get_stage_status(conn, dead, "fetch") is Status.PENDING


def test_reclaim_stuck_items_counts_items_not_stages(conn, add_opened, clock):
    (item_id,) = add_opened("a", stages=["fetch"])
    both_first = StagePlan(("fetch", "look"), {"fetch": (), "look": ()}, frozenset({"fetch", "look"}))
    tracker.reopen_items_for_new_stages(conn, "papers", both_first)
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


def test_a_lost_worker_is_counted_like_an_expired_lease_and_only_for_its_own_attempt(
    conn, opened_id, read_stage
):
    claim(conn, opened_id)
    release_lost_worker(conn, opened_id, "fetch", 1, "killed by signal 9")
    assert (read_stage(opened_id, "fetch")["crashes"], read_stage(opened_id, "fetch")["status"]) == (
        1,
        "pending",
    )
    claim(conn, opened_id, attempt=2)
    with pytest.raises(StaleLeaseError):
        release_lost_worker(conn, opened_id, "fetch", 1, "killed by signal 9")


def test_reset_stage_begins_again_at_a_stage_and_all_after_it(conn, finished_id, stage_statuses, read_stage):
    assert tracker.reset_stage(conn, "papers", "extract") == 1
    assert stage_statuses() == ["done", "pending", "pending"]
    assert [read_stage(finished_id, stage)["needs_left"] for stage in STAGES] == [0, 0, 1]
    assert read_stage(finished_id, "extract")["attempt"] == 1
    assert tracker.get_result(conn, "papers", "a", "extract") == {"made by": "extract"}


def test_reset_stage_takes_back_the_message_of_what_has_to_wait_for_it(conn, opened_id, read_stage):
    tracker.mark_stage_done(conn, opened_id, "fetch", STAGES)
    conn.execute("UPDATE item_stages SET queued_at = 1, resend_at = 2 WHERE stage = 'extract'")
    tracker.reset_stage(conn, "papers", "fetch")
    row = read_stage(opened_id, "extract")
    assert (row["needs_left"], row["queued_at"], row["resend_at"]) == (1, None, None)


def test_reset_stage_fences_off_an_attempt_that_is_still_running(conn, claimed_id):
    tracker.reset_stage(conn, "papers", "fetch")
    with pytest.raises(StaleLeaseError):
        tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {"n": 1}, attempt=1)
    assert tracker.get_result(conn, "papers", "a", "fetch") is None


def test_reset_stage_can_be_kept_to_keys(conn, add_opened, stage_statuses):
    for item_id in add_opened("a", "b"):
        tracker.mark_stage_done(conn, item_id, "fetch", STAGES)
    assert tracker.reset_stage(conn, "papers", "fetch", ["b", "unknown"]) == 1
    assert (stage_statuses("a")[0], stage_statuses("b")[0]) == ("done", "pending")
    assert tracker.reset_stage(conn, "papers", "fetch", []) == 0


@pytest.mark.parametrize("keys", [None, ["a"]])
def test_reset_stage_leaves_alone_what_is_switched_off(conn, finished_id, stage_statuses, keys):
    needs = {"fetch": (), "extract": ("fetch",), "store": ("extract",)}
    tracker.skip_disabled_stages(
        conn, "papers", StagePlan(tuple(STAGES), needs, frozenset({"fetch", "store"}))
    )
    assert tracker.reset_stage(conn, "papers", "extract", keys) == 1
    assert stage_statuses() == ["done", "done", "pending"]


def test_reset_stage_takes_known_stages_only(conn, opened_id):
    with pytest.raises(NotFoundError, match="'print'"):
        tracker.reset_stage(conn, "papers", "print")


def test_reprocess_fast_resets_the_items_named_at_once(conn, finished_id, stage_statuses):
    assert tracker.reprocess_fast(conn, "papers", "store", iter(["a"])) == 1
    assert stage_statuses() == ["done", "done", "pending"]
