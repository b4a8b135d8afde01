from __future__ import annotations

import pytest
from tracker_life import check_now

import tracker
from tracker.counters import Drift, list_drifts, list_wrong_items, mend_drifts, mend_items

STAGES = ["fetch", "extract", "store"]


@pytest.fixture
def worked(conn, add_opened, add_items):
    """Let `papers` have items in every state."""
    ids = add_opened("a", "b", "c", "d")
    add_items("e")
    tracker.mark_stage_in_progress(conn, ids[0], "fetch", STAGES)
    tracker.mark_stage_done(conn, ids[0], "fetch", STAGES, {})
    tracker.mark_stage_in_progress(conn, ids[1], "fetch", STAGES)
    tracker.mark_stage_failed(conn, ids[1], "fetch", STAGES, OSError("gone"))
    tracker.mark_stage_in_progress(conn, ids[2], "fetch", STAGES)
    tracker.mark_stage_retry_later(conn, ids[2], "fetch", STAGES, delay=86_400, reason="quota")
    tracker.mark_stage_in_progress(conn, ids[3], "fetch", STAGES)
    return ids


def test_what_the_triggers_keep_has_no_drift(conn, worked):
    assert list_drifts(conn, "papers") == []
    assert list_drifts(conn, "papers", full=True) == []
    assert list_wrong_items(conn, "papers") == ([], [])


@pytest.mark.parametrize(
    "counter",
    ["pending", "in_progress", "done", "failed", "skipped", "queued", "countdown", "blocked", "parked"],
)
def test_a_wrong_counter_of_a_stage_is_found_and_put_right(conn, worked, counter):
    conn.execute(f"UPDATE stage_counts SET {counter} = {counter} + 5 WHERE stage = 'fetch'")  # noqa: S608 - our own names
    assert list_drifts(conn, "papers", full=True) == [Drift("papers", "fetch", counter, -5)]
    assert mend_drifts(conn, "papers") == 1
    assert list_drifts(conn, "papers", full=True) == []
    check_now(conn)


@pytest.mark.parametrize("counter", ["pending", "in_progress", "failed", "skipped", "queued", "countdown"])
def test_what_indexes_can_tell_is_found_without_reading_everything(conn, worked, counter):
    conn.execute(f"UPDATE stage_counts SET {counter} = {counter} + 1 WHERE stage = 'store'")  # noqa: S608 - our own names
    assert list_drifts(conn, "papers") == [Drift("papers", "store", counter, -1)]


@pytest.mark.parametrize(
    "counter", ["pending", "in_progress", "done", "failed", "skipped", "unopened", "held"]
)
def test_a_wrong_counter_of_items_is_found_and_put_right(conn, worked, counter):
    conn.execute(f"UPDATE item_counts SET {counter} = {counter} + 2")  # noqa: S608 - our own names
    assert list_drifts(conn, "papers") == [Drift("papers", "", counter, -2)]
    assert mend_drifts(conn, "papers") == 1
    check_now(conn)


def test_counters_that_are_gone_are_counted_anew(conn, worked):
    conn.execute("DELETE FROM stage_counts WHERE stage = 'fetch'")
    conn.execute("DELETE FROM item_counts")
    assert mend_drifts(conn, "papers") > 0
    check_now(conn)


def test_a_recount_is_right_although_workers_go_on(conn, worked, monkeypatch):
    """Between the reading and the adding a stage moves: the drift stays the same, and so the sum is right."""
    conn.execute("UPDATE stage_counts SET done = done + 5 WHERE stage = 'fetch'")
    found = list_drifts(conn, "papers", full=True)

    def read_then_work(*args, **kwargs):
        tracker.mark_stage_done(conn, worked[3], "fetch", STAGES, {})
        return found

    monkeypatch.setattr("tracker.counters.list_drifts", read_then_work)
    mend_drifts(conn, "papers")
    monkeypatch.undo()
    check_now(conn)


def test_two_who_mend_at_once_add_it_once(db_path, conn, worked, monkeypatch):
    conn.execute("UPDATE stage_counts SET done = done + 5 WHERE stage = 'fetch'")
    found = list_drifts(conn, "papers", full=True)

    def read_while_another_mends(*args, **kwargs):
        monkeypatch.undo()
        with tracker.open_db(db_path) as other:
            assert mend_drifts(other, "papers") == 1
        return found

    monkeypatch.setattr("tracker.counters.list_drifts", read_while_another_mends)
    assert mend_drifts(conn, "papers") == 0
    check_now(conn)


def test_a_status_that_the_stages_do_not_bear_out_is_put_right(conn, worked):
    conn.execute("UPDATE work_items SET status = 'done' WHERE item_id = ?", (worked[1],))
    assert list_wrong_items(conn, "papers")[0] == [worked[1]]
    assert mend_items(conn, "papers") == 1
    check_now(conn)


def test_a_stage_that_waits_for_what_is_done_is_set_free(conn, worked):
    conn.execute(
        "UPDATE item_stages SET needs_left = 2 WHERE item_id = ? AND stage = 'extract'", (worked[0],)
    )
    assert list_wrong_items(conn, "papers")[1] == [worked[0]]
    assert mend_items(conn, "papers") == 1
    check_now(conn)
