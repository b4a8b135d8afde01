from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

import tracker
from pipeline.errors import NotFoundError, StaleLeaseError
from pipeline.lifecycle import Status
from tracker.clock import to_ms
from tracker.plan import StagePlan, remember_plan

STAGES = ["fetch", "extract", "store"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def keys_needing(conn, stage, limit=100):
    return [row["key"] for row in tracker.get_items_needing_stage(conn, "papers", stage, limit)]


def test_mark_stage_in_progress_opens_the_item_and_numbers_the_attempt(conn, item_id, read_stage):
    assert tracker.get_stage_status(conn, item_id, "fetch") is None
    assert tracker.mark_stage_in_progress(conn, item_id, "fetch", STAGES, worker="w1") == 1
    assert tracker.get_stage_status(conn, item_id, "fetch") is Status.IN_PROGRESS
    assert tracker.get_stage_status(conn, item_id, "store") is Status.PENDING
    assert read_stage(item_id, "fetch")["worker"] == "w1"


def test_a_stage_is_in_progress_for_one_only(conn, claimed_id):
    with pytest.raises(StaleLeaseError):
        tracker.mark_stage_in_progress(conn, claimed_id, "fetch", STAGES)


def test_a_stage_whose_needs_are_not_met_cannot_begin(conn, opened_id):
    with pytest.raises(StaleLeaseError):
        tracker.mark_stage_in_progress(conn, opened_id, "extract", STAGES)


def test_a_stage_of_a_paused_job_cannot_begin(conn, opened_id):
    tracker.pause_job(conn, "papers", "holiday")
    with pytest.raises(StaleLeaseError):
        tracker.mark_stage_in_progress(conn, opened_id, "fetch", STAGES)


@pytest.mark.parametrize("mark", [
    lambda conn, item_id, stage: tracker.mark_stage_in_progress(conn, item_id, stage, STAGES),
    lambda conn, item_id, stage: tracker.mark_stage_done(conn, item_id, stage, STAGES),
    lambda conn, item_id, stage: tracker.mark_stage_failed(conn, item_id, stage, STAGES, "broken"),
    lambda conn, item_id, stage: tracker.mark_stage_retry_later(conn, item_id, stage, STAGES, delay=1),
])  # fmt: skip
def test_an_unknown_item_or_stage_is_named(conn, item_id, mark):
    with pytest.raises(NotFoundError, match="no item with id '99'"):
        mark(conn, 99, "fetch")
    with pytest.raises(NotFoundError, match=f"no stage of item {item_id} named 'print'"):
        mark(conn, item_id, "print")


def test_mark_stage_done_stores_the_result_and_makes_the_next_stage_ready(conn, claimed_id):
    tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {"text": "ü"}, handler_version="v1")
    assert tracker.get_result(conn, "papers", "a", "fetch") == {"text": "ü"}
    assert tracker.get_handler_version(conn, "papers", "a", "fetch") == "v1"
    assert keys_needing(conn, "extract") == ["a"]


@pytest.mark.parametrize("stage", ["fetch", "store"])
def test_a_stage_that_nobody_claimed_counts_as_done_and_keeps_its_result(conn, opened_id, stage):
    tracker.mark_stage_done(conn, opened_id, stage, STAGES, {"text": "by hand"})
    assert tracker.get_stage_status(conn, opened_id, stage) is Status.DONE
    assert tracker.get_result(conn, "papers", "a", stage) == {"text": "by hand"}


def test_an_ended_stage_cannot_end_again(conn, claimed_id):
    tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {"n": 1})
    with pytest.raises(StaleLeaseError):
        tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {"n": 2})
    with pytest.raises(StaleLeaseError):
        tracker.mark_stage_failed(conn, claimed_id, "fetch", STAGES, "broken")
    assert tracker.get_result(conn, "papers", "a", "fetch") == {"n": 1}


def test_a_result_that_is_not_json_ends_nothing(conn, claimed_id):
    with pytest.raises(ValueError, match="JSON compliant"):
        tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {"n": float("inf")})
    assert tracker.get_stage_status(conn, claimed_id, "fetch") is Status.IN_PROGRESS


def test_mark_stage_failed_keeps_the_error_and_holds_back_what_needs_the_stage(conn, claimed_id, item_status):
    tracker.mark_stage_failed(conn, claimed_id, "fetch", STAGES, ValueError("no page 7"))
    failure = conn.execute("SELECT error_type, message, traceback FROM failures").fetchone()
    assert (failure["error_type"], failure["message"]) == ("ValueError", "no page 7")
    assert "ValueError: no page 7" in failure["traceback"]
    assert keys_needing(conn, "extract") == []
    assert item_status(claimed_id) == "failed"


def test_a_stage_that_nobody_claimed_can_be_counted_as_failed(conn, opened_id, event_kinds):
    tracker.mark_stage_failed(conn, opened_id, "fetch", STAGES, "not worth it")
    assert tracker.get_stage_status(conn, opened_id, "fetch") is Status.FAILED
    assert event_kinds() == ["mark_failed"]


@pytest.mark.parametrize("wait", [
    {"delay": 90}, {"delay": timedelta(seconds=90)},
    {"retry_at": NOON + timedelta(seconds=90)}, {"retry_at": to_ms(NOON) + 90_000},
])  # fmt: skip
def test_mark_stage_retry_later_parks_the_stage_until_its_time(conn, opened_id, read_stage, wait):
    with time_machine.travel(NOON, tick=False) as clock:
        tracker.mark_stage_in_progress(conn, opened_id, "fetch", STAGES)
        tracker.mark_stage_retry_later(conn, opened_id, "fetch", STAGES, reason="quota", **wait)
        stage = read_stage(opened_id, "fetch")
        assert (stage["status"], stage["reason"], stage["retries"], stage["retry_at"]) == (
            "pending", "quota", 0, to_ms(NOON) + 90_000,
        )  # fmt: skip
        assert keys_needing(conn, "fetch") == []
        clock.shift(90)
        assert keys_needing(conn, "fetch") == ["a"]
        assert tracker.mark_stage_in_progress(conn, opened_id, "fetch", STAGES) == 2


@pytest.mark.parametrize("wait", [{}, {"delay": 1, "retry_at": 1}])
def test_mark_stage_retry_later_takes_one_time_and_only_one(conn, claimed_id, wait):
    with pytest.raises(ValueError, match="either retry_at or delay"):
        tracker.mark_stage_retry_later(conn, claimed_id, "fetch", STAGES, **wait)


def test_an_attempt_that_is_over_can_mark_nothing(conn, claimed_id):
    tracker.reset_in_progress_stages(conn)
    assert tracker.mark_stage_in_progress(conn, claimed_id, "fetch", STAGES) == 2
    for mark, more in (
        (tracker.mark_stage_done, {"result": {"n": 1}}),
        (tracker.mark_stage_failed, {"error": "broken"}),
        (tracker.mark_stage_retry_later, {"delay": 1}),
    ):
        with pytest.raises(StaleLeaseError):
            mark(conn, claimed_id, "fetch", STAGES, attempt=1, **more)
    tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {"n": 2}, attempt=2)
    assert tracker.get_result(conn, "papers", "a", "fetch") == {"n": 2}


def test_get_items_needing_stage_gives_what_is_due_unclaimed_and_unpaused_highest_priority_first(
    conn, add_opened, add_items
):
    add_opened("opened")
    add_opened("urgent", priority=9)
    (claimed,) = add_opened("claimed")
    tracker.mark_stage_in_progress(conn, claimed, "fetch", STAGES)
    add_items("unopened", priority=5)
    assert keys_needing(conn, "fetch") == ["urgent", "unopened", "opened"]
    assert keys_needing(conn, "fetch", limit=2) == ["urgent", "unopened"]
    assert keys_needing(conn, "extract") == []
    tracker.pause_job(conn, "papers", "holiday")
    assert keys_needing(conn, "fetch") == []


def test_an_item_that_was_never_opened_needs_the_stage_with_which_it_begins_and_no_other(conn, add_items):
    add_items("a")
    plan = StagePlan(("fetch", "extract"), {"fetch": (), "extract": ("fetch",)}, frozenset({"extract"}))
    assert keys_needing(conn, "any") == ["a"]  # nobody knows the job's stages yet
    with tracker.write(conn):
        remember_plan(conn, "papers", plan)
    assert keys_needing(conn, "extract") == ["a"]
    assert keys_needing(conn, "fetch") == keys_needing(conn, "print") == []


def test_get_stages_dict_gives_every_stage_of_the_newest_items_first(conn, add_opened, add_items):
    add_opened("a")
    add_items("b")
    assert tracker.get_stages_dict(conn, "papers") == {"b": {}, "a": dict.fromkeys(STAGES, "pending")}
    assert list(tracker.get_stages_dict(conn, "papers")) == ["b", "a"]
    assert list(tracker.get_stages_dict(conn, "papers", limit=1)) == ["b"]
