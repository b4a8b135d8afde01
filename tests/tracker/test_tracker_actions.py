"""Actions: what people do to many stages, batch by batch, and what an undo puts back of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from pipeline.errors import NotUndoableError
from tracker import action_batches, action_memory, actions, claims, undoing
from tracker.choosing import Choice, choose_page
from tracker.connection import write
from tracker.endings import Ending, Failure
from tracker.moves import settle

STAGES = ["fetch", "extract", "store"]


def do(conn, act, stage=None, *, how=None, limit=2, batches=100, **more):
    """Carry out an action on all of `papers`, or what `how` says, in small batches; how it stands then."""
    action = actions.begin(conn, act, "papers", stage, how or {"by": "job"}, by="ann", total=9, **more)
    for _ in range(batches):
        if action.finished_at is None:
            with tracker.write(conn):
                action = action_batches.do_batch(conn, action, action_batches.next_page(conn, action, limit))
    return action


def undo(conn, action_id=None, *, limit=2):
    action = undoing.begin_undo(conn, undoing.find_undoable(conn, action_id), "bob")
    while action.finished_at is None:
        with tracker.write(conn):
            action = undoing.undo_batch(conn, action, limit)
    return action


def fail(conn, *item_ids, stage="fetch"):
    for item_id in item_ids:
        tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
        tracker.mark_stage_failed(conn, item_id, stage, STAGES, ValueError("broken"))
    return item_ids


def read_rows(conn):
    """Read all that an action changes, but for the stamps of messages."""
    sql = (
        "SELECT item_id, stage, status, attempt, iif(status = 'pending', needs_left, 0), retries, crashes,"
        " retry_at, ended_at, reason, priority, again, cancelled_by, backfill"
        " FROM item_stages ORDER BY item_id, position"
    )
    items = "SELECT item_id, status, priority, fresh FROM work_items ORDER BY item_id"
    return conn.execute(sql).fetchall(), conn.execute(items).fetchall()


@pytest.fixture
def busy(conn, add_opened):
    """Give four items: done, failed, waiting for a time, and new; their ids."""
    done, failed, parked, new = add_opened("done", "failed", "parked", "new")
    tracker.mark_done(conn, done)
    fail(conn, failed)
    tracker.mark_stage_in_progress(conn, parked, "fetch", STAGES)
    tracker.mark_stage_retry_later(conn, parked, "fetch", STAGES, delay=9999, reason="quota")
    return {"done": done, "failed": failed, "parked": parked, "new": new}


# -- doing ------------------------------------------------------------------------------------------------


def test_an_action_is_one_event_with_who_and_how_many_beside_the_events_of_its_moves(conn, add_opened):
    fail(conn, *add_opened("a", "b", "c"))
    action = do(conn, "retry", how={"by": "failed"})
    events = tracker.get_events(conn, "papers", limit=100)
    (whole,) = [event for event in events if event["kind"] == "retry_stages"]
    assert (whole["by"], json.loads(whole["detail"])) == ("ann", {"action": action.action_id, "stages": 3})
    moves = [event for event in events if event["kind"] == "retry_failed"]
    assert [(event["by"], json.loads(event["detail"])) for event in moves] == [
        ("ann", {"action": action.action_id})
    ] * 3


def test_a_batch_that_somebody_else_did_meanwhile_is_done_once(conn, add_opened):
    fail(conn, *add_opened("a", "b"))
    action = actions.begin(conn, "retry", "papers", None, {"by": "failed"}, by="ann", total=2)
    page = action_batches.next_page(conn, action, 1)
    with tracker.write(conn):
        first = action_batches.do_batch(conn, action, page)
    with tracker.write(conn):
        assert action_batches.do_batch(conn, action, page) == first
    assert first.done == 1


def test_the_same_action_is_gone_on_with_and_not_begun_again_until_it_is_finished(conn, add_opened):
    fail(conn, *add_opened("a", "b", "c"))
    cut_off = do(conn, "retry", how={"by": "failed"}, limit=1, batches=2)
    again = do(conn, "retry", how={"by": "failed"})
    assert (again.action_id, again.done, cut_off.done) == (cut_off.action_id, 3, 2)
    assert do(conn, "retry", how={"by": "failed"}).action_id != again.action_id


def test_what_fails_after_it_was_asked_is_left_alone(conn, add_opened):
    first, second = add_opened("a", "b")
    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False) as clock:
        fail(conn, first)
        action = actions.begin(conn, "retry", "papers", None, {"by": "failed"}, by="ann", total=1)
        clock.shift(1)
        fail(conn, second)
        while action.finished_at is None:
            with tracker.write(conn):
                action = action_batches.do_batch(conn, action, action_batches.next_page(conn, action, 9))
    assert action.done == 1
    assert tracker.get_stage_status(conn, second, "fetch") == "failed"


def test_a_stage_that_is_switched_off_is_not_retried(conn, add_opened):
    (item_id,) = fail(conn, *add_opened("a"))
    tracker.skip_disabled_stages(conn, "papers", ["extract", "store"])
    assert do(conn, "retry", how={"by": "failed"}).done == 0
    assert tracker.get_stage_status(conn, item_id, "fetch") == "failed"


def test_failures_are_chosen_job_by_job_and_item_by_item(conn, add_opened):
    fail(conn, *add_opened("a", "b", "c"))
    fail(conn, *add_opened("d", job_id="talks"))
    (item_id,) = add_opened("e")
    tracker.mark_stage_done(conn, item_id, "fetch", STAGES)
    fail(conn, item_id, stage="extract")
    choice, cursor, seen = Choice(None, None, {"by": "failed"}, 0), None, []
    while page := choose_page(conn, choice, cursor, 2):
        seen.append((page.job_id, page.statuses, len(page.item_ids)))
        cursor = page.cursor
    assert seen == [("papers", ["failed"], 2), ("papers", ["failed"], 2), ("talks", ["failed"], 1)]


def test_failures_at_one_stage_are_chosen_of_every_job(conn, add_opened):
    fail(conn, *add_opened("a", "b", "c"))
    fail(conn, *add_opened("d", job_id="talks"))
    (item_id,) = add_opened("e")
    tracker.mark_stage_done(conn, item_id, "fetch", STAGES)
    fail(conn, item_id, stage="extract")
    choice, cursor, seen = Choice(None, "fetch", {"by": "failed"}, 0), None, []
    while page := choose_page(conn, choice, cursor, 2):
        seen.append((page.job_id, page.stage, len(page.item_ids)))
        cursor = page.cursor
    assert seen == [("papers", "fetch", 2), ("papers", "fetch", 1), ("talks", "fetch", 1)]


def test_to_skip_what_failed_leaves_alone_what_waits_behind_it(conn, add_opened, stage_statuses):
    fail(conn, *add_opened("a"))
    assert do(conn, "skip", how={"by": "failed"}).done == 1
    assert stage_statuses("a") == ["skipped", "pending", "pending"]


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 100])
def test_an_item_of_which_stages_are_chosen_is_counted_once(conn, add_opened, limit):
    for item_id in add_opened("a", "b", "c", "d"):
        tracker.mark_done(conn, item_id)
    how = {"by": "filter", "text": "job:papers stage:* status:done"}
    assert do(conn, "reset", how=how, limit=limit).done == 4


@pytest.mark.parametrize(("limit", "pages"), [(2, 6), (4, 3), (5, 3), (7, 2), (100, 1)])
def test_a_page_leaves_an_item_that_reaches_over_its_edge_to_the_next_one(conn, add_opened, limit, pages):
    add_opened("a", "b", "c")
    choice, cursor, chosen = Choice("papers", None, {"by": "filter", "text": "stage:*"}, 0), None, []
    while page := choose_page(conn, choice, cursor, limit):
        chosen.append(page.places)
        cursor = page.cursor
    assert len(chosen) == pages
    assert [stage for places in chosen for _, stage in places] == ["extract", "fetch", "store"] * 3


def test_items_are_counted_once_though_their_stages_fill_several_pages(conn, add_opened):
    add_opened(*(f"{number:03}" for number in range(334)))
    how = {"by": "filter", "text": "job:papers stage:*"}
    choice = Choice("papers", None, how, 0)
    assert action_batches.count_total(conn, "priority", choice, None, {}, priority=1) == 334


def test_an_action_ends_after_as_many_as_it_was_told(conn, add_opened):
    add_opened("a", "b", "c", "d")
    tracker.mark_done(conn, 1)
    tracker.mark_done(conn, 2)
    tracker.mark_done(conn, 3)
    assert do(conn, "reset", "fetch", how={"by": "job", "at_most": 2}).done == 2


def test_a_skipped_stage_lets_what_needs_it_go_on(conn, busy, read_stage):
    action = do(conn, "skip", how={"by": "failed"}, reason="not worth it")
    assert action.done == 1
    row = read_stage(busy["failed"], "fetch")
    assert (row["status"], row["reason"]) == ("skipped", "not worth it")
    assert read_stage(busy["failed"], "extract")["needs_left"] == 0


def test_an_item_that_was_never_opened_is_cancelled_whole(conn, add_items, add_opened, stage_statuses):
    add_opened("known")
    (item_id,) = add_items("found")
    choice = Choice("papers", None, {"by": "items", "items": [item_id]}, 0)
    assert action_batches.count_total(conn, "cancel", choice, None, {"papers": STAGES}) == 3
    assert do(conn, "cancel", how={"by": "items", "items": [item_id]}, reason="cancelled by ann").done == 3
    assert stage_statuses("found") == ["skipped"] * 3


@pytest.fixture
def marked(conn, add_opened):
    """Give an item that is done again as a whole: its first stage is pending, the others wait."""
    (item_id,) = add_opened("a")
    tracker.mark_done(conn, item_id)
    do(conn, "reprocess")
    return item_id


@pytest.mark.parametrize(
    ("stage", "kept", "statuses"),
    [(None, None, ["skipped", "done", "done"]), ("extract", "runs", ["pending", "done", "done"])],
)
def test_a_cancel_counts_what_waits_to_be_done_again_and_leaves_it_as_it_ended(
    conn, marked, read_stage, stage_statuses, stage, kept, statuses
):
    expected = 3 if stage is None else 2
    choice = Choice("papers", stage, {"by": "items", "items": [marked]}, 0)
    assert action_batches.count_total(conn, "cancel", choice, None, {"papers": STAGES}) == expected
    cancelled = do(conn, "cancel", stage, reason="cancelled by ann")
    assert cancelled.done == expected
    assert [read_stage(marked, name)["again"] for name in STAGES] == [kept, None, None]
    assert stage_statuses() == statuses
    events = tracker.get_events(conn, "papers", limit=100)
    (whole,) = [event for event in events if event["kind"] == "cancel_stages"]
    assert json.loads(whole["detail"])["stages"] == expected
    assert action_batches.count_total(conn, "cancel", choice, None, {"papers": STAGES}) == 0


@pytest.mark.parametrize("stage", [None, "fetch", "extract", "store"])
@pytest.mark.parametrize("ended", ["done", "skipped"])
def test_an_undo_of_a_cancel_has_what_it_left_wait_to_be_done_again(conn, marked, ended, stage):
    if ended == "skipped":
        conn.execute("UPDATE item_stages SET status = 'pending', ended_at = NULL WHERE stage = 'store'")
        conn.execute("UPDATE item_stages SET status = 'skipped', ended_at = 1 WHERE stage = 'store'")
        conn.execute("UPDATE item_stages SET again = 'waits' WHERE stage = 'store'")
    before = read_rows(conn)
    cancelled = do(conn, "cancel", stage, reason="cancelled by ann")
    assert read_rows(conn) != before
    undone = undo(conn)
    assert (undone.done, undone.passed) == (cancelled.done, 0)
    assert read_rows(conn) == before
    assert conn.execute("SELECT count(*) FROM item_stages WHERE cancelled_by IS NOT NULL").fetchone()[0] == 0


def test_an_undo_of_a_cancel_lets_begin_what_waits_for_nothing_any_more(conn, marked, read_stage):
    assert claims.claim(conn, marked, "fetch", 1, worker="w")
    do(conn, "cancel", "extract")
    settle(conn, marked, "fetch", 1, Ending.finished("{}", None))
    assert [read_stage(marked, stage)["status"] for stage in STAGES] == ["done"] * 3
    assert undo(conn).done == 2
    assert [read_stage(marked, stage)["again"] for stage in STAGES] == [None, "runs", "waits"]


def test_an_undo_of_a_cancel_counts_nothing_that_it_only_let_go_on(conn, marked, read_stage):
    before = read_rows(conn)
    cancelled = do(conn, "cancel", how={"by": "places", "places": [[marked, "fetch"]]})
    assert (cancelled.done, read_stage(marked, "extract")["status"]) == (1, "pending")
    undone = undo(conn)
    assert (undone.done, undone.passed) == (1, 0)
    assert read_rows(conn) == before


def test_a_cancelled_stage_takes_along_what_needs_it_and_nothing_else(conn, opened_id, stage_statuses):
    do(conn, "cancel", "extract", reason="cancelled by ann")
    assert stage_statuses() == ["pending", "skipped", "skipped"]


ENDINGS = [
    Ending.finished('{"n": 1}', "v1"),
    Ending.failed(Failure.named("ValueError", "broken")),
    Ending.retried(Failure.named("ValueError", "broken"), 2**50),
    Ending.later("quota", 2**50),
    Ending.released("the worker was stopped"),
    Ending.expired(0),
    Ending.skipped("empty"),
]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.move.name)
def test_a_cancelled_attempt_is_skipped_however_it_ends(conn, claimed_id, read_stage, ending):
    assert not claims.is_cancelled(conn, claimed_id, "fetch", 1)
    assert do(conn, "cancel", "fetch", reason="cancelled by ann").done == 3
    assert claims.is_cancelled(conn, claimed_id, "fetch", 1)
    assert claims.renew_lease(conn, claimed_id, "fetch", 1)
    settled = settle(conn, claimed_id, "fetch", 1, ending)
    row = read_stage(claimed_id, "fetch")
    assert (settled.status, row["status"], row["reason"]) == ("skipped", "skipped", "cancelled by ann")
    assert settled.countdown_seconds is None
    assert row["retry_at"] is None
    assert tracker.get_result(conn, "papers", "a", "fetch") is None
    assert conn.execute("SELECT count(*) FROM failures").fetchone()[0] == 0
    assert tracker.get_events(conn, "papers")[0]["kind"] == "skip"


@pytest.mark.parametrize(
    "reset",
    [lambda conn: tracker.reset_stage(conn, "papers", "fetch"), lambda conn: do(conn, "reset", "fetch")],
)
def test_a_cancelled_attempt_that_was_reset_is_cancelled_no_more(conn, claimed_id, read_stage, reset):
    do(conn, "cancel", "fetch")
    reset(conn)
    assert tracker.mark_stage_in_progress(conn, claimed_id, "fetch", STAGES) == 2
    settle(conn, claimed_id, "fetch", 2, Ending.finished("{}", None))
    assert read_stage(claimed_id, "fetch")["status"] == "done"


def test_waking_makes_what_waits_for_a_time_ready_and_nothing_else(conn, busy, read_stage):
    assert do(conn, "wake").done == 1
    assert read_stage(busy["parked"], "fetch")["retry_at"] is None
    assert [row["item_id"] for row in tracker.get_items_needing_stage(conn, "papers", "fetch")] == [
        busy["parked"],
        busy["new"],
    ]


# -- undoing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "stage", "changed"), [("reset", "extract", 1), ("reopen", None, 1), ("reprocess", None, 1)]
)
def test_an_undo_cancels_again_what_was_cancelled(conn, opened_id, act, stage, changed):
    tracker.mark_stage_done(conn, opened_id, "fetch", STAGES)
    do(conn, "cancel", "extract", reason="cancelled by ann")
    before = read_rows(conn)
    assert do(conn, act, stage).done == changed
    assert conn.execute("SELECT count(*) FROM item_stages WHERE cancelled_by IS NOT NULL").fetchone()[0] == 0
    undone = undo(conn)
    assert (undone.done, undone.passed) == (changed, 0)
    assert read_rows(conn) == before


def test_an_undo_leaves_in_backfill_what_waited_there_of_a_fresh_item(conn, opened_id):
    tracker.mark_stage_done(conn, opened_id, "fetch", STAGES)
    tracker.mark_stage_done(conn, opened_id, "extract", STAGES)
    tracker.mark_stage_in_progress(conn, opened_id, "store", STAGES)
    do(conn, "reset", "store")
    before = read_rows(conn)
    do(conn, "reprocess")
    assert undo(conn).passed == 0
    assert read_rows(conn) == before


def test_an_undo_leaves_a_stage_that_is_switched_off_meanwhile_left_out(conn, opened_id, stage_statuses):
    tracker.mark_stage_done(conn, opened_id, "fetch", STAGES)
    cancelled = do(conn, "cancel", "extract")
    assert cancelled.done == 2
    tracker.skip_disabled_stages(conn, "papers", ["fetch", "store"])
    undone = undo(conn, cancelled.action_id)
    assert (undone.done, undone.passed) == (0, 2)
    assert stage_statuses("a")[1] == "skipped"


def test_an_undo_leaves_nothing_over_budget_that_has_ended(conn, add_opened):
    fail(conn, *add_opened("a"))
    do(conn, "retry", how={"by": "failed"})
    with tracker.write(conn):
        conn.execute("UPDATE item_stages SET over_budget = 1 WHERE stage = 'fetch'")
    assert undo(conn).done == 1
    assert conn.execute("SELECT status, over_budget FROM item_stages WHERE stage = 'fetch'").fetchall() == [
        ("failed", 0)
    ]


def test_an_undo_makes_no_item_fresh_again_that_is_through_meanwhile(conn, opened_id):
    tracker.mark_stage_done(conn, opened_id, "fetch", STAGES)
    reset = do(conn, "reset", "fetch")
    with tracker.write(conn):  # as when jobs.yaml has switched them off
        for stage in ("extract", "store"):
            settle(conn, opened_id, stage, None, Ending.counted_skipped("switched off"))
    assert undo(conn, reset.action_id).passed == 0
    assert tuple(conn.execute("SELECT status, fresh FROM work_items").fetchone()) == ("done", 0)


def test_an_undo_cancels_nothing_again_that_was_begun_afresh_since(conn, opened_id, read_stage):
    tracker.mark_stage_done(conn, opened_id, "fetch", STAGES)
    do(conn, "cancel", "extract")
    reprocessed = do(conn, "reprocess")
    do(conn, "reset", "store")
    assert undo(conn, reprocessed.action_id).done == 1
    cancelled = {name: read_stage(opened_id, name)["cancelled_by"] for name in STAGES}
    assert cancelled == {"fetch": None, "extract": "ann", "store": None}


@pytest.mark.parametrize(
    ("act", "stage"),
    [
        ("retry", None),
        ("skip", None),
        ("skip", "fetch"),
        ("reset", "fetch"),
        ("reset", "store"),
        ("reopen", None),
        ("cancel", None),
        ("cancel", "extract"),
        ("wake", None),
        ("priority", None),
    ],
)
def test_an_undo_puts_everything_back_as_it_was(conn, busy, act, stage):
    before = read_rows(conn)
    action = do(conn, act, stage, detail={"priority": 5} if act == "priority" else {})
    assert action.done
    assert read_rows(conn) != before
    undone = undo(conn)
    assert (undone.done, undone.passed) == (action.done, 0)
    assert read_rows(conn) == before


def test_an_undo_puts_no_stage_of_a_new_item_behind_what_is_asked_for_again(conn, add_opened, read_stage):
    (item_id,) = add_opened("a")
    do(conn, "skip", "fetch")
    undo(conn)
    assert [read_stage(item_id, stage)["backfill"] for stage in STAGES] == [0, 0, 0]


def test_an_undo_takes_back_the_message_of_what_is_to_wait_again(conn, busy, read_stage):
    due_at = read_stage(busy["parked"], "fetch")["retry_at"]
    do(conn, "wake")
    conn.execute("UPDATE item_stages SET queued_at = 1, resend_at = 2 WHERE item_id = ?", (busy["parked"],))
    undo(conn)
    row = read_stage(busy["parked"], "fetch")
    assert (row["retry_at"], row["queued_at"], row["resend_at"]) == (due_at, None, None)


def test_an_undo_of_a_skip_has_what_it_released_wait_again(conn, add_opened, read_stage):
    (item_id,) = add_opened("a")
    tracker.mark_done(conn, item_id)
    do(conn, "reprocess", how={"by": "places", "places": [[item_id, "fetch"], [item_id, "store"]]})
    before = read_rows(conn)
    assert read_stage(item_id, "store")["again"] == "waits"
    skipped = do(conn, "skip", "fetch")
    assert (skipped.done, read_stage(item_id, "store")["status"]) == (1, "pending")
    undone = undo(conn, skipped.action_id)
    assert read_rows(conn) == before
    assert (undone.done, undone.passed) == (1, 0)


def test_an_undo_puts_back_what_ran_once_a_cancelled_attempt_was_ended_for_it(
    conn, add_opened, stage_statuses
):
    (item_id,) = add_opened("a")
    tracker.mark_done(conn, item_id)
    do(conn, "reprocess", how={"by": "places", "places": [[item_id, "extract"]]})
    assert claims.claim(conn, item_id, "extract", 1, worker="w")
    do(conn, "cancel", "extract")
    again = do(conn, "reprocess", how={"by": "places", "places": [[item_id, "store"]]})
    assert (again.done, stage_statuses()) == (1, ["done", "skipped", "pending"])
    undone = undo(conn, again.action_id)
    assert (undone.done, undone.passed) == (1, 0)
    assert stage_statuses() == ["done", "skipped", "done"]


def test_an_action_remembers_nothing_that_still_waits(conn, add_opened, read_stage):
    (item_id,) = add_opened("a")
    tracker.mark_done(conn, item_id)
    do(conn, "reprocess", how={"by": "job"})
    assert read_stage(item_id, "store")["again"] == "waits"
    skipped = do(conn, "skip", "fetch")
    sql = "SELECT stage FROM action_stages WHERE action_id = ? ORDER BY stage"
    remembered = [row[0] for row in conn.execute(sql, (skipped.action_id,))]
    assert remembered == ["extract", "fetch"]


def test_an_undo_is_one_event_with_who_and_how_many(conn, busy):
    action = do(conn, "retry")
    undone = undo(conn)
    (event,) = [one for one in tracker.get_events(conn, "papers", limit=100) if one["kind"] == "undo"]
    assert event["by"] == "bob"
    assert json.loads(event["detail"]) == {
        "action": undone.action_id, "undone": action.action_id, "act": "retry", "stages": 1, "moved_on": 0,
    }  # fmt: skip


def test_an_item_in_which_anything_ran_since_stays_as_it_is(conn, add_opened, read_stage):
    ran, ran_and_waits, waits = fail(conn, *add_opened("a", "b", "c"))
    do(conn, "retry")
    for item_id in (ran, ran_and_waits):
        tracker.mark_stage_in_progress(conn, item_id, "fetch", STAGES)
    tracker.mark_stage_done(conn, ran, "fetch", STAGES)
    tracker.mark_stage_retry_later(conn, ran_and_waits, "fetch", STAGES, delay=9)
    undone = undo(conn)
    assert (undone.done, undone.passed) == (1, 2)
    statuses = [read_stage(item_id, "fetch")["status"] for item_id in (ran, ran_and_waits, waits)]
    assert statuses == ["done", "pending", "failed"]


def test_a_skip_is_not_undone_where_the_next_stage_has_begun(conn, add_opened, stage_statuses):
    first, _ = fail(conn, *add_opened("a", "b"))
    do(conn, "skip", how={"by": "failed"})
    tracker.mark_stage_in_progress(conn, first, "extract", STAGES)
    assert undo(conn).passed == 1
    assert stage_statuses("a") == ["skipped", "in_progress", "pending"]
    assert stage_statuses("b") == ["failed", "pending", "pending"]


def test_what_ran_when_it_was_reset_cannot_be_put_back(conn, claimed_id, stage_statuses):
    do(conn, "reset", "fetch")
    assert undo(conn).passed == 1
    assert stage_statuses() == ["pending"] * 3


def test_a_cancelled_attempt_that_still_runs_may_go_on_after_an_undo(conn, claimed_id, read_stage):
    do(conn, "cancel")
    assert undo(conn).done == 3
    settle(conn, claimed_id, "fetch", 1, Ending.finished("{}", None))
    assert read_stage(claimed_id, "fetch")["status"] == "done"


def test_an_action_that_is_not_finished_ends_with_its_undo_and_has_its_event(
    conn, add_opened, stage_statuses
):
    fail(conn, *add_opened("a", "b", "c"))
    cut_off = do(conn, "retry", how={"by": "failed"}, limit=1, batches=2)
    assert undo(conn).done == 2
    assert [stage_statuses(key)[0] for key in "abc"] == ["failed"] * 3
    kinds = [event["kind"] for event in tracker.get_events(conn, "papers", limit=100)]
    assert kinds.count("retry_stages") == 1
    with tracker.write(conn):
        after = action_batches.do_batch(conn, cut_off, action_batches.next_page(conn, cut_off, 9))
    assert (after.done, after.undone_by is not None) == (2, True)
    assert [stage_statuses(key)[0] for key in "abc"] == ["failed"] * 3


@pytest.mark.parametrize("act", ["retry", "reset"])
def test_an_undo_is_not_undone_and_nothing_is_undone_twice(conn, busy, act):
    action = do(conn, act, "fetch")
    undo(conn)
    with pytest.raises(NotUndoableError, match="itself an undo"):
        undoing.find_undoable(conn)
    with pytest.raises(NotUndoableError, match="already, by bob"):
        undoing.begin_undo(conn, action, "eve")


def test_an_earlier_action_is_undone_by_its_number(conn, busy, stage_statuses):
    first = do(conn, "retry")
    do(conn, "priority", detail={"priority": 5})
    assert undo(conn, first.action_id).done == 1
    assert stage_statuses("failed")[0] == "failed"


def test_nothing_to_undo_is_said(conn):
    with pytest.raises(NotUndoableError, match="nothing was done yet"):
        undoing.find_undoable(conn)


def test_what_old_actions_changed_is_forgotten_in_short_transactions(conn, add_opened):
    add_opened("a", "b", "c")
    for number in range(4):
        do(conn, "priority", detail={"priority": number + 1})
    assert action_memory.forget_old_actions(conn, kept=2, limit=2) > 0
    while action_memory.forget_old_actions(conn, kept=2, limit=2):
        pass
    remembered = conn.execute("SELECT DISTINCT action_id FROM action_stages ORDER BY 1").fetchall()
    assert remembered == [(3,), (4,)]
    with pytest.raises(NotUndoableError, match="too long ago"):
        undoing.find_undoable(conn, 1)
    assert undo(conn, 4).done == 3


def test_ages_are_told_as_of_when_it_was_asked_for_however_late_it_goes_on(conn, add_opened):
    how = {"by": "filter", "text": "status:failed age:<1h"}
    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False) as clock:
        fail(conn, *add_opened(*"abcd"))
        clock.shift(3000)
        assert do(conn, "retry", how=how, batches=1).done == 2
        clock.shift(1200)
        (left_over,) = actions.list_unfinished(conn)
        assert do(conn, "retry", how=how).action_id == left_over.action_id
    assert actions.get_action(conn, left_over.action_id).done == 4


def test_items_that_are_reopened_by_a_stage_begin_again_with_all_of_theirs(conn, busy, stage_statuses):
    do(conn, "reopen", how={"by": "filter", "text": "stage:fetch status:failed"})
    assert set(stage_statuses("failed")) == {"pending"}


def test_one_that_is_not_finished_is_remembered_and_keeps_no_other(conn, add_opened):
    add_opened("a")
    for number in range(3):
        do(conn, "priority", detail={"priority": number + 1})
    with write(conn):
        conn.execute("UPDATE actions SET finished_at = NULL WHERE action_id = 1")
    while action_memory.forget_old_actions(conn, kept=1):
        pass
    remembered = conn.execute("SELECT DISTINCT action_id FROM action_stages ORDER BY 1").fetchall()
    assert remembered == [(1,), (3,)]


def test_what_an_undo_that_is_under_way_needs_is_not_forgotten(conn, add_opened, stage_statuses):
    fail(conn, *add_opened("a", "b", "c"))
    first = do(conn, "retry", how={"by": "failed"})
    for number in range(action_memory.REMEMBERED_ACTIONS - 1):
        do(conn, "priority", detail={"priority": number + 1})
    begun = undoing.begin_undo(conn, undoing.find_undoable(conn, first.action_id), "bob")
    with tracker.write(conn):
        begun = undoing.undo_batch(conn, begun, 1)
    assert action_memory.forget_old_actions(conn) == 0
    while begun.finished_at is None:
        with tracker.write(conn):
            begun = undoing.undo_batch(conn, begun, 1)
    assert (begun.done, begun.passed) == (3, 0)
    assert [stage_statuses(key)[0] for key in "abc"] == ["failed"] * 3
    assert action_memory.forget_old_actions(conn) > 0


@pytest.mark.parametrize("limit", [0, 2])
def test_what_may_be_forgotten_at_any_time_is_not_undone_in_part(conn, add_opened, stage_statuses, limit):
    fail(conn, *add_opened("a", "b", "c"))
    first = do(conn, "retry", how={"by": "failed"})
    for number in range(action_memory.REMEMBERED_ACTIONS):
        do(conn, "priority", detail={"priority": number + 1})
    action_memory.forget_old_actions(conn, limit=limit)
    with pytest.raises(NotUndoableError, match="too long ago"):
        undo(conn, first.action_id)
    assert [stage_statuses(key)[0] for key in "abc"] == ["pending"] * 3
    assert undoing.find_undoable(conn, first.action_id + 1).done == 3


def test_an_action_is_not_undone_after_some_days_though_it_is_not_forgotten_yet(conn, add_opened):
    add_opened("a")
    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False) as clock:
        finished = do(conn, "priority", detail={"priority": 1})
        cut_off = do(conn, "cancel", batches=1)
        clock.shift(action_memory.REMEMBERED_DAYS * 86_400)
        assert undoing.find_undoable(conn, finished.action_id) == finished
        clock.shift(1)
        with pytest.raises(NotUndoableError, match="too long ago"):
            undoing.find_undoable(conn, finished.action_id)
        assert undoing.find_undoable(conn) == cut_off


def test_what_an_action_changed_is_forgotten_after_some_days(conn, add_opened):
    add_opened("a")
    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC), tick=False) as clock:
        do(conn, "priority", detail={"priority": 1})
        clock.shift(6 * 86_400)
        assert action_memory.forget_old_actions(conn) == 0
        clock.shift(2 * 86_400)
        assert action_memory.forget_old_actions(conn) == 1
