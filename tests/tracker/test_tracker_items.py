from __future__ import annotations

import json
from dataclasses import replace

import pytest

import tracker
from pipeline.errors import NotFoundError
from pipeline.lifecycle import Status
from tracker import action_batches, actions
from tracker.endings import Ending
from tracker.moves import settle
from tracker.plan import StagePlan, make_plan
from tracker.whole_items import WHOLE_ITEM

STAGES = ["fetch", "extract", "store"]


def statuses(conn, key="a"):
    return tracker.get_stages_dict(conn, "papers")[key]


def data_of(conn, key):
    return json.loads(conn.execute("SELECT data FROM work_items WHERE key = ?", (key,)).fetchone()[0])


def test_upsert_items_tells_how_many_were_new_and_leaves_the_known_as_they_are(conn):
    assert tracker.upsert_items(conn, "papers", [{"key": "a", "data": {"n": 1}}, {"key": "b"}]) == 2
    assert tracker.upsert_items(conn, "papers", [{"key": "a", "data": {"n": 2}}, {"key": "c"}]) == 1
    assert data_of(conn, "a") == {"n": 1}


def test_the_same_key_is_another_item_in_another_job(conn):
    assert tracker.upsert_items(conn, "papers", [{"key": "a"}]) == 1
    assert tracker.upsert_items(conn, "talks", [{"key": "a"}]) == 1


def test_a_key_given_twice_in_one_batch_is_one_item(conn):
    assert (
        tracker.upsert_items(conn, "papers", [{"key": "a", "priority": 1}, {"key": "a", "priority": 2}]) == 1
    )
    assert [row["priority"] for row in tracker.get_pending(conn, "papers")] == [1]


def test_an_id_is_given_once_whatever_is_taken_out(conn, db_path, add_items):
    ids = add_items("a", "b", "c")
    conn.execute("DELETE FROM work_items WHERE key = 'c'")
    ids += add_items("d")
    conn.execute("DELETE FROM work_items")
    with tracker.open_db(db_path) as other:
        tracker.upsert_items(other, "papers", [{"key": "c"}])
    ids += add_items("c", "e")
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("value", [float("nan"), object(), "\ud800"])
def test_data_that_is_not_json_refuses_the_batch_whole(conn, value):
    with pytest.raises((ValueError, TypeError)):
        tracker.upsert_items(conn, "papers", [{"key": "a"}, {"key": "b", "data": {"n": value}}])
    assert tracker.get_pending_count(conn, "papers") == 0


def test_merge_discovery_data_adds_what_is_new_and_keeps_what_is_there(conn):
    tracker.upsert_items(conn, "papers", [{"key": "a", "data": {"title": "old", "by": {"name": "A"}}}])
    tracker.merge_discovery_data(
        conn, "papers", "a", {"title": "new", "by": {"name": "B", "mail": "b"}, "year": 1}
    )
    assert data_of(conn, "a") == {"title": "old", "by": {"name": "A", "mail": "b"}, "year": 1}


def test_merge_discovery_data_knows_only_stored_items(conn):
    with pytest.raises(NotFoundError, match="no item in job 'papers' with key 'a'"):
        tracker.merge_discovery_data(conn, "papers", "a", {})


def test_get_pending_gives_the_highest_priority_first_then_the_oldest(conn):
    tracker.upsert_items(
        conn, "papers", [{"key": "a"}, {"key": "b", "priority": 5}, {"key": "c"}], default_priority=1
    )
    assert [row["key"] for row in tracker.get_pending(conn, "papers")] == ["b", "a", "c"]
    assert [row["key"] for row in tracker.get_pending(conn, "papers", limit=1)] == ["b"]
    assert tracker.get_pending_count(conn, "papers") == 3


def test_get_failed_gives_the_failed_items_only(conn, add_items):
    first, _ = add_items("a", "b")
    tracker.mark_failed(conn, first, "no such page", STAGES)
    assert [row["key"] for row in tracker.get_failed(conn, "papers")] == ["a"]
    assert tracker.get_pending_count(conn, "papers") == 1


def test_mark_in_progress_claims_the_first_ready_stage(conn, item_id, item_status):
    assert tracker.mark_in_progress(conn, item_id, STAGES) == 1
    assert statuses(conn) == {"fetch": "in_progress", "extract": "pending", "store": "pending"}
    assert item_status(item_id) == Status.IN_PROGRESS
    assert tracker.mark_in_progress(conn, item_id) is None


def test_mark_done_counts_every_unfinished_stage_as_done(conn, item_id, item_status):
    tracker.mark_in_progress(conn, item_id, STAGES)
    tracker.mark_done(conn, item_id)
    assert set(statuses(conn).values()) == {"done"}
    assert item_status(item_id) == Status.DONE


def test_mark_failed_fails_the_item_at_its_first_unfinished_stage(conn, item_id, item_status):
    tracker.mark_failed(conn, item_id, "no such page", STAGES)
    assert statuses(conn) == {"fetch": "failed", "extract": "pending", "store": "pending"}
    assert item_status(item_id) == Status.FAILED


def test_mark_skipped_skips_what_is_left_and_finishes_the_item(conn, item_id, item_status, read_stage):
    tracker.mark_in_progress(conn, item_id, STAGES)
    tracker.mark_skipped(conn, item_id, "not wanted")
    assert set(statuses(conn).values()) == {"skipped"}
    assert read_stage(item_id, "store")["reason"] == "not wanted"
    assert item_status(item_id) == Status.DONE


def test_an_item_without_known_stages_is_moved_as_a_whole(conn, item_id, item_status):
    tracker.mark_in_progress(conn, item_id)
    tracker.mark_done(conn, item_id)
    assert statuses(conn) == {WHOLE_ITEM: "done"}
    assert item_status(item_id) == Status.DONE


@pytest.mark.parametrize("mark", [tracker.mark_done, tracker.mark_skipped])
def test_an_item_is_ended_whole_though_one_of_its_stages_has_another_begin_again(conn, item_id, mark):
    tracker.mark_stage_in_progress(conn, item_id, "fetch", STAGES)
    settle(conn, item_id, "fetch", 1, Ending.finished('{"n": 1}', "1"))
    tracker.mark_stage_in_progress(conn, item_id, "extract", STAGES)
    again = actions.begin(conn, "reprocess", "papers", None, {"by": "job"}, by="me", total=1)
    with tracker.write(conn):
        action_batches.do_batch(conn, again, action_batches.next_page(conn, again, 1))
    mark(conn, item_id)
    assert set(statuses(conn).values()) <= {"done", "skipped"}


@pytest.mark.parametrize(
    "mark", [tracker.mark_in_progress, tracker.mark_done, tracker.mark_failed, tracker.mark_skipped]
)
def test_marking_an_unknown_item_says_so(conn, mark):
    with pytest.raises(NotFoundError, match="no item with id '7'"):
        mark(conn, 7)


def fail(conn, item_id, stage):
    tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
    tracker.mark_stage_failed(conn, item_id, stage, STAGES, "broken")


def test_retry_failed_makes_the_failed_stages_pending_again_with_all_their_retries(
    conn, add_opened, read_stage
):
    first, second = add_opened("a", "b")
    fail(conn, first, "fetch")
    fail(conn, second, "fetch")
    assert tracker.retry_failed(conn, "papers") == 2
    stage = read_stage(first, "fetch")
    assert (stage["status"], stage["attempt"], stage["retries"], stage["needs_left"]) == ("pending", 1, 0, 0)
    assert tracker.retry_failed(conn, "papers") == 0


def test_retry_failed_can_be_kept_to_a_stage_and_to_keys(conn, add_opened):
    for item_id in add_opened("a", "b", "c"):
        fail(conn, item_id, "fetch")
    assert tracker.retry_failed(conn, "papers", stage="store") == 0
    assert tracker.retry_failed(conn, "papers", keys=[]) == 0
    assert tracker.retry_failed(conn, "papers", stage="fetch", keys=["b", "unknown"], by="ann") == 1
    assert statuses(conn, "b")["fetch"] == "pending"
    assert tracker.get_events(conn, "papers", limit=1)[0]["by"] == "ann"
    assert len(tracker.get_failed(conn, "papers")) == 2


def test_retry_failed_leaves_a_stage_that_is_switched_off(conn, opened_id):
    fail(conn, opened_id, "fetch")
    tracker.skip_disabled_stages(conn, "papers", replace(make_plan(STAGES), switched_on=frozenset({"store"})))
    assert tracker.retry_failed(conn, "papers") == 0
    assert statuses(conn)["fetch"] == "failed"


def test_inject_at_stage_counts_what_comes_before_as_done_with_its_results(conn):
    tracker.inject_at_stage(
        conn, "papers", "a", "store", STAGES, data={"from": "mail"}, results={"extract": {"text": "hello"}}
    )
    assert statuses(conn) == {"fetch": "done", "extract": "done", "store": "pending"}
    assert tracker.get_result(conn, "papers", "a", "extract") == {"text": "hello"}
    assert [row["key"] for row in tracker.get_items_needing_stage(conn, "papers", "store")] == ["a"]
    assert data_of(conn, "a") == {"from": "mail"}


def test_inject_at_stage_leaves_the_other_branch_to_be_run(conn):
    plan = StagePlan(
        ("fetch", "text", "images", "store"),
        {"fetch": (), "text": ("fetch",), "images": ("fetch",), "store": ("text", "images")},
        frozenset({"fetch", "text", "images", "store"}),
    )
    tracker.inject_at_stage(conn, "papers", "a", "images", plan)
    assert statuses(conn) == {"fetch": "done", "text": "pending", "images": "pending", "store": "pending"}


def test_inject_at_stage_takes_known_stages_only_and_leaves_nothing_behind(conn):
    with pytest.raises(NotFoundError, match="no stage of job 'papers' named 'print'"):
        tracker.inject_at_stage(conn, "papers", "a", "print", STAGES)
    assert tracker.get_pending_count(conn, "papers") == 0


def test_inject_at_stage_takes_an_item_that_waits_but_not_one_under_way(conn, claimed_id):
    with pytest.raises(ValueError, match="under way; use reset"):
        tracker.inject_at_stage(conn, "papers", "a", "store", STAGES)
    tracker.upsert_items(conn, "papers", [{"key": "b", "data": {"n": 1}}])
    tracker.inject_at_stage(conn, "papers", "b", "store", STAGES, data={"n": 2, "m": 3})
    assert data_of(conn, "b") == {"n": 1, "m": 3}


def test_inject_with_changed_stages_brings_the_jobs_other_items_along(conn, opened_id):
    tracker.inject_at_stage(conn, "papers", "b", "print", [*STAGES, "print"])
    assert statuses(conn, "a")["print"] == "pending"


def test_update_item_priority_moves_an_item_and_its_stages_up(conn, add_opened, read_stage):
    add_opened("a")
    (late,) = add_opened("b")
    tracker.update_item_priority(conn, "papers", "b", 9, by="ann")
    assert read_stage(late, "store")["priority"] == 9
    assert [row["key"] for row in tracker.get_items_needing_stage(conn, "papers", "fetch")] == ["b", "a"]
    with pytest.raises(NotFoundError):
        tracker.update_item_priority(conn, "papers", "c", 9)
