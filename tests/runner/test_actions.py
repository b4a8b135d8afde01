"""Orders: what somebody asks of many stages, from the counting to the sending."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from workshop import job, step

import tracker
from pipeline.errors import NotFoundError
from pipeline.outcomes import GiveUp
from pipeline.search_words import read_search
from runner import actions, operate, working_off
from runner.actions import Order
from runner.choices import EVERY_FAILURE, EVERY_ITEM, choose_filter, choose_keys
from runner.explain import explain_item, find_job
from runner.leases import LeaseKeeper
from runner.reprocess import make_wish, quote, reprocess
from runner.sweep import sweep
from tests.waiting import wait_until
from tracker import claims
from tracker.action_batches import do_batch, next_page
from tracker.actions import begin, get_action, list_actions
from tracker.search import search


@pytest.fixture
def failed(shop):
    """Have three items whose first stage failed."""
    shop.acts["fetch"] = lambda _: GiveUp("no")
    shop.run("a", "b", "c")
    shop.acts.clear()
    shop.publisher.sent.clear()
    return shop


def retry(by="ann", how=EVERY_FAILURE, job_id="papers"):
    return Order("retry", job_id, by, how=how)


def test_an_order_is_counted_before_it_is_done_and_counting_changes_nothing(failed):
    before = failed.events()
    assert actions.count(failed.runtime, retry()) == 3
    assert actions.count(failed.runtime, retry(how=choose_keys(failed.runtime, "papers", ["a"]))) == 1
    assert actions.count(failed.runtime, retry(job_id=None)) == 3
    assert failed.events() == before


def test_what_became_ready_is_sent(failed):
    done = actions.carry_out(failed.runtime, retry())
    assert (done.items, done.total, done.sent, done.by, done.earlier) == (3, 3, 3, "ann", None)
    failed.work()
    assert failed.status("a") == "done"


def test_the_second_of_two_sees_what_the_first_did(failed):
    counted = actions.count(failed.runtime, retry("bob"))
    actions.carry_out(failed.runtime, retry("ann"))
    done = actions.carry_out(failed.runtime, retry("bob"), total=counted)
    assert (done.items, done.total, done.by) == (0, 3, "bob")
    assert (done.earlier.by, done.earlier.done) == ("ann", 3)
    assert actions.carry_out(failed.runtime, retry("eve")).earlier.by == "ann"


def test_who_orders_what_somebody_else_has_begun_goes_on_with_that(failed):
    action = begin(failed.conn, "retry", "papers", None, EVERY_FAILURE, by="ann", total=3)
    with tracker.write(failed.conn):
        do_batch(failed.conn, action, next_page(failed.conn, action, 1))
    done = actions.carry_out(failed.runtime, retry("bob"))
    assert (done.action, done.by, done.items, done.total) == (action.action_id, "ann", 3, 3)


def test_whoever_watches_is_told_after_each_batch(failed, monkeypatch):
    monkeypatch.setattr(working_off, "FIRST_BATCH", 1)
    told = []
    actions.carry_out(failed.runtime, retry(), watch=lambda action: told.append(action.done))
    assert told[0] == 1
    assert told[-1] == 3


def test_a_batch_is_as_large_as_the_time_that_it_may_take(failed, monkeypatch):
    sizes = []

    def take_a_tenth_of_a_millisecond_each(_conn, action, limit):
        sizes.append(limit)
        return replace(action, finished_at=1 if len(sizes) == 5 else None), limit * 0.0001

    monkeypatch.setattr(working_off, "_work_once", take_a_tenth_of_a_millisecond_each)
    action = begin(failed.conn, "retry", "papers", None, EVERY_FAILURE, by="ann", total=3)
    working_off.work_off(failed.conn, action)
    assert sizes == [working_off.FIRST_BATCH, *[int(working_off.BATCH_SECONDS / 0.0001)] * 4]


def test_the_sweep_finishes_what_a_killed_process_left_over_and_sends_it(failed, monkeypatch):
    action = begin(failed.conn, "retry", "papers", None, EVERY_FAILURE, by="ann", total=3)
    with tracker.write(failed.conn):
        do_batch(failed.conn, action, next_page(failed.conn, action, 1))
    assert sweep(failed.runtime).acted == 0  # somebody may be at it
    failed.conn.execute("UPDATE actions SET worked_at = worked_at - ?", (working_off.QUIET_MS + 1,))
    swept = sweep(failed.runtime)
    assert (swept.acted, get_action(failed.conn, action.action_id).done) == (2, 3)
    assert len({key for key, _ in failed.sent}) == 3
    (event,) = failed.events("retry_stages")
    assert event["by"] == "ann"


def test_the_sweep_finishes_an_undo_too(failed):
    done = actions.carry_out(failed.runtime, retry())
    undo = tracker.undoing.begin_undo(failed.conn, get_action(failed.conn, done.action), "bob")
    failed.conn.execute("UPDATE actions SET worked_at = 0")
    assert sweep(failed.runtime).acted == 3
    assert get_action(failed.conn, undo.action_id).finished_at is not None
    assert failed.status("a") == "failed"


def test_an_undo_that_was_cut_off_is_gone_on_with(failed):
    done = actions.carry_out(failed.runtime, retry())
    action = get_action(failed.conn, done.action)
    undo = tracker.undoing.begin_undo(failed.conn, action, "bob")
    with tracker.write(failed.conn):
        tracker.undoing.undo_batch(failed.conn, undo, 1)
    found = actions.find_undoable(failed.runtime)
    assert found.action_id == action.action_id
    undone = actions.undo(failed.runtime, found, "bob")
    assert (undone.action, undone.items, undone.total) == (undo.action_id, 3, 3)


def test_a_stage_filter_acts_on_the_stages_that_it_selects(open_workshop):
    shop = open_workshop(
        papers=job(step("fetch"), step("left", needs=["fetch"]), step("right", needs=["fetch"]))
    )
    shop.acts["left"] = shop.acts["right"] = lambda _: GiveUp("no")
    shop.run("a")
    how = choose_filter(shop.runtime, "stage:left", job_id="papers", only_failed=True)
    assert actions.carry_out(shop.runtime, retry(how=how)).items == 1
    assert (shop.status("a", "left"), shop.status("a", "right")) == ("pending", "failed")


def test_a_filter_over_every_job_acts_on_each(open_workshop):
    shop = open_workshop(papers=job(step("fetch")), talks=job(step("fetch")))
    shop.acts["fetch"] = lambda _: GiveUp("no")
    shop.add("a", "b")
    shop.add("c", job_id="talks")
    for name in ("papers", "talks"):
        shop.dispatch(name)
    shop.work()
    how = choose_filter(shop.runtime, "status:failed -key:b", job_id=None, only_failed=True)
    assert actions.count(shop.runtime, retry(how=how, job_id=None)) == 2
    assert actions.carry_out(shop.runtime, retry(how=how, job_id=None)).items == 2
    assert shop.status("b") == "failed"


def test_a_skip_of_a_stage_by_a_filter_on_items_is_for_those_too_that_were_never_opened(shop):
    shop.run("a")
    shop.add("b", "c")
    how = choose_filter(shop.runtime, "key:b", job_id="papers", stage="extract")
    skip = Order("skip", "papers", "ann", "extract", how)
    assert actions.count(shop.runtime, skip) == 1
    assert actions.carry_out(shop.runtime, skip).items == 1
    assert [shop.status("b", stage) for stage in ("fetch", "extract", "store")] == [
        "pending",
        "skipped",
        "pending",
    ]


def test_a_filter_on_what_a_stage_has_too_is_asked_of_the_stage_that_is_named(shop):
    shop.acts["extract"] = lambda _: GiveUp("no")
    shop.run("a")
    how = choose_filter(shop.runtime, "status:failed", job_id="papers", stage="store")
    assert actions.count(shop.runtime, Order("skip", "papers", "ann", "store", how)) == 0


def test_a_reset_by_a_filter_on_stages_resets_the_stage_that_is_named(shop):
    shop.run("a")
    how = choose_filter(shop.runtime, "stage:store status:done", job_id="papers")
    actions.carry_out(shop.runtime, Order("reset", "papers", "ann", "extract", how))
    assert [shop.status("a", stage) for stage in ("fetch", "extract", "store")] == [
        "done",
        "pending",
        "pending",
    ]


def test_a_reset_of_what_was_cancelled_and_still_runs_is_counted_as_it_is_done(open_workshop):
    shop = open_workshop(papers=job(step("fetch")))
    shop.add("a")
    shop.dispatch()
    claims.claim(shop.conn, *shop.publisher.waiting[0].attempt_key, worker="elsewhere")
    actions.carry_out(shop.runtime, Order("cancel", "papers", "ann", "fetch", EVERY_ITEM))
    reset = Order("reset", "papers", "ann", "fetch", choose_keys(shop.runtime, "papers", ["a"]))
    assert actions.count(shop.runtime, reset) == 1
    assert actions.carry_out(shop.runtime, reset).items == 1


def test_what_waits_to_be_done_again_is_not_marked_twice(shop):
    shop.run("a")
    wish = make_wish(shop.runtime, "papers", filter_text="stage:*")
    assert reprocess(shop.runtime, wish, "ann").items == 3
    assert quote(shop.runtime, wish).is_empty
    again = reprocess(shop.runtime, wish, "bob")
    assert (again.items, again.earlier.by) == (0, "ann")


def test_items_that_have_the_priority_already_are_not_counted(shop):
    shop.add("a", priority=3)
    shop.add("b", "c")
    how = choose_keys(shop.runtime, "papers", ["a", "b"])
    order = Order("priority", "papers", "ann", how=how, detail={"priority": 3})
    assert (actions.count(shop.runtime, order), actions.carry_out(shop.runtime, order).items) == (1, 1)
    assert (actions.count(shop.runtime, order), actions.carry_out(shop.runtime, order).items) == (0, 0)


def test_an_item_that_is_under_way_is_not_reopened(shop):
    shop.run("a")
    shop.add("b")
    order = Order("reopen", "papers", "ann", how=EVERY_ITEM)
    assert actions.count(shop.runtime, order) == 1
    assert actions.carry_out(shop.runtime, order).items == 1
    shop.work()
    assert [stage for stage, key in shop.plugins.seen if key == "a"] == ["fetch", "extract", "store"] * 2


def test_a_handler_that_asks_is_told_that_it_was_cancelled_at_the_next_renewal(shop, settings):
    """The lease keeper's round is short here."""
    keeper = LeaseKeeper(str(settings.db_path), every_seconds=0.05)
    shop.runtime._keeper = (os.getpid(), keeper)
    told = []

    def wait_until_told(context):
        order = Order("cancel", "papers", "ann", how=EVERY_ITEM, reason="cancelled by ann")
        actions.carry_out(shop.runtime, order, total=1)
        wait_until(context.cancelled)
        told.append(context.stage)
        return {"text": "too late"}

    shop.acts["fetch"] = wait_until_told
    shop.run("a")
    assert told == ["fetch"]
    assert (shop.row("a", "fetch")["reason"], shop.result("a", "fetch")) == ("cancelled by ann", None)
    assert [shop.status("a", stage) for stage in ("fetch", "extract", "store")] == ["skipped"] * 3


def test_an_item_that_is_done_again_is_cancelled_whole_and_back(shop):
    shop.run("a")
    reprocess = Order("reprocess", "papers", "ann", how=EVERY_ITEM)
    assert actions.carry_out(shop.runtime, reprocess, total=3).items == 3
    how = choose_keys(shop.runtime, "papers", ["a"])
    cancel = Order("cancel", "papers", "ann", how=how, reason="cancelled by ann")
    assert actions.count(shop.runtime, cancel) == 3
    assert actions.carry_out(shop.runtime, cancel).items == 3
    shop.plugins.seen.clear()
    shop.work()
    assert shop.plugins.seen == []
    assert [shop.status("a", stage) for stage in ("fetch", "extract", "store")] == ["skipped", "done", "done"]
    assert shop.result("a", "extract") is not None
    explained = explain_item(shop.conn, find_job(shop.runtime.jobs, "papers"), "papers", "a")
    assert [one.cause.cause for one in explained.stages] == ["done"] * 3
    assert explained.cause.words == "nothing left to do: fetch was skipped, cancelled by ann"
    undone = actions.undo(shop.runtime, actions.find_undoable(shop.runtime), "bob")
    assert (undone.items, undone.passed, undone.sent) == (3, 0, 1)
    shop.work()
    assert [stage for stage, _ in shop.plugins.seen] == ["fetch", "extract", "store"]


@pytest.mark.parametrize(
    "how",
    [
        lambda runtime: choose_keys(runtime, "papers", ["zz"]),
        lambda runtime: choose_filter(runtime, "job:paper", job_id=None),
        lambda runtime: choose_filter(runtime, "stage:fetsh", job_id="papers"),
        lambda runtime: choose_filter(runtime, None, job_id="papers", group="nobody"),
    ],
)
def test_names_that_mean_nothing_are_refused(failed, how):
    with pytest.raises(NotFoundError):
        how(failed.runtime)


def test_an_action_is_the_same_after_it_was_written_and_read(failed):
    done = actions.carry_out(failed.runtime, retry())
    (listed,) = list_actions(failed.conn, 5)
    assert json.dumps(listed.how) == json.dumps(EVERY_FAILURE)
    assert (listed.action_id, listed.done, listed.undone_by) == (done.action, 3, None)


@pytest.mark.parametrize("known", [["a"], []])
def test_an_item_that_was_let_start_in_the_middle_is_taken_back(shop, known):
    shop.add(*known)
    shop.publisher.is_away = True
    operate.enqueue_at(shop.runtime, "papers", "a", "extract", "ann", results={"fetch": {"text": "given"}})
    undone = actions.undo(shop.runtime, actions.find_undoable(shop.runtime), "bob")
    assert (undone.items, undone.passed, undone.counts) == (1, 0, "items")
    assert shop.conn.execute("SELECT key FROM work_items").fetchall() == [(key,) for key in known]
    assert shop.conn.execute("SELECT count(*) FROM results").fetchone()[0] == 0
    assert [shop.status(key, "fetch") for key in known] == ["pending"] * len(known)


def test_an_item_that_comes_after_one_that_was_taken_back_has_nothing_of_it(shop):
    shop.publisher.is_away = True
    operate.enqueue_at(shop.runtime, "papers", "a", "extract", "ann", data={"title": "zebra"})
    taken_back = shop.item_id("a")
    sweep(shop.runtime)
    actions.undo(shop.runtime, actions.find_undoable(shop.runtime), "bob")
    (added,) = shop.add("b", data={"title": "lion"})
    sweep(shop.runtime)
    assert added > taken_back
    found = {
        word: [one.key for one in search(shop.conn, read_search(word), 20)] for word in ("zebra", "lion")
    }
    assert found == {"zebra": [], "lion": ["b"]}
    assert tracker.get_events(shop.conn, item_id=added) == []


def test_an_item_that_was_let_start_in_the_middle_and_has_begun_stays(shop):
    operate.enqueue_at(shop.runtime, "papers", "a", "extract", "ann")
    shop.work()
    assert actions.undo(shop.runtime, actions.find_undoable(shop.runtime), "bob").passed == 1
    assert shop.status("a") == "done"
