"""Advance: which messages count, what a stage sees of others, and what becomes of those that are gone."""

from __future__ import annotations

import pytest
from workshop import job, step

import tracker
from pipeline.lifecycle import Status
from pipeline.outcomes import RetryLater
from runner.sweep import sweep
from tracker import claims, moves
from tracker.connection import open_db, write
from tracker.endings import Ending


def snapshot(shop):
    """Give all that the tracker holds of the job, for comparing."""
    tables = ("work_items", "item_stages", "results", "events", "failures", "costs", "stage_counts")
    return {table: [tuple(row) for row in shop.conn.execute(f"SELECT * FROM {table}")] for table in tables}  # noqa: S608


def test_a_message_delivered_ten_times_runs_once(shop):
    shop.add("a")
    shop.dispatch()
    message = shop.publisher.waiting[0]
    assert [shop.deliver(message) is not None for _ in range(10)] == [True] + [False] * 9
    assert shop.plugins.seen == [("fetch", "a")]


def test_a_duplicate_of_a_message_changes_nothing(shop):
    shop.run("a")
    before = snapshot(shop)
    for message in list(shop.publisher.sent):
        assert shop.deliver(message) is None
    assert snapshot(shop) == before


def test_a_late_message_of_an_earlier_attempt_changes_nothing(shop):
    shop.acts["fetch"] = lambda context: 1 / 0 if context.attempt == 1 else {"ok": True}
    shop.add("a")
    shop.dispatch()
    early = shop.publisher.waiting[0]
    shop.take()
    before = snapshot(shop)
    assert shop.deliver(early) is None
    assert snapshot(shop) == before


def test_a_duplicate_does_not_take_the_next_attempts_message_for_its_own(shop):
    shop.add("a")
    shop.dispatch()
    message = shop.publisher.waiting[0]
    tracker.mark_stage_in_progress(shop.conn, message.item_id, "fetch", ["fetch", "extract", "store"])
    assert shop.deliver(message) is None
    assert shop.status("a", "fetch") == "in_progress"


@pytest.mark.parametrize("ids", [(999, "fetch", 1), (1, "no-such", 1), (1, "extract", 1), (1, "fetch", 7)])
def test_a_message_about_nothing_that_is_ready_changes_nothing(shop, ids):
    shop.add("a")
    shop.dispatch()
    before = snapshot(shop)
    message = shop.publisher.waiting[0].__class__(ids[0], "papers", ids[1], ids[2], "a")
    assert shop.deliver(message) is None
    assert snapshot(shop) == before


def test_a_message_that_comes_before_its_time_leaves_the_wait_as_it_is(shop):
    shop.acts["fetch"] = lambda _: RetryLater(60, "quota")
    shop.run("a")
    (message,) = shop.publisher.countdowns
    before = snapshot(shop)
    assert shop.deliver(message) is None
    assert snapshot(shop) == before


def test_a_message_that_was_refused_for_a_pause_does_not_make_the_next_be_waited_for_longer(shop):
    shop.add("a")
    shop.dispatch()
    tracker.pause_job(shop.conn, "papers", "by hand")
    shop.work()
    row = shop.row("a", "fetch")
    assert (row["queued_at"], row["sends"]) == (None, 0)


def test_who_looks_ahead_takes_no_message_back_whose_turn_has_not_come(shop):
    (item_id,) = shop.add("a")
    shop.dispatch()
    tracker.pause_job(shop.conn, "papers", "by hand")
    before = snapshot(shop)
    assert claims.claim_together(shop.conn, [(item_id, "fetch", 1)], worker="w", ahead=True) == []
    assert snapshot(shop) == before


def test_an_attempt_that_is_asked_for_twice_at_once_is_claimed_once(shop):
    (item_id,) = shop.add("a")
    shop.dispatch()
    taken = claims.claim_together(shop.conn, [(item_id, "fetch", 1)] * 2, worker="w")
    assert [one.attempt for one in taken] == [1]


def test_a_lost_lease_settles_nothing_but_its_costs_are_recorded(shop):
    def act(context):
        context.cost(0.5, "openai")
        with open_db(shop.runtime.settings.db_path) as other:  # as the sweep of another process
            moves.settle(other, shop.item_id("a"), "fetch", 1, Ending.expired(0))
        return {"late": True}

    shop.acts["fetch"] = act
    shop.run("a")
    assert shop.result("a", "fetch") is None
    assert (shop.status("a", "fetch"), shop.row("a", "fetch")["attempt"]) == ("pending", 1)
    assert tracker.get_daily_cost(shop.conn, "papers") == 0.5


def test_an_overtaken_attempt_cannot_replace_its_successors_result(shop):
    def act(context):
        if context.attempt == 1:
            with open_db(shop.runtime.settings.db_path) as other:
                moves.settle(other, shop.item_id("a"), "fetch", 1, Ending.expired(0))
            shop.dispatch()
            shop.take()  # the second attempt begins and ends meanwhile
        return {"attempt": context.attempt}

    shop.acts["fetch"] = act
    shop.run("a")
    assert shop.result("a", "fetch") == {"attempt": 2}
    assert shop.status("a") == "done"


def test_a_stage_that_was_reset_meanwhile_is_done_again(shop):
    def act(context):
        if context.attempt == 1:
            with open_db(shop.runtime.settings.db_path) as other:
                tracker.reset_stage(other, "papers", "fetch")
        return {"attempt": context.attempt}

    shop.acts["fetch"] = act
    shop.run("a")
    shop.dispatch()
    shop.work()
    assert shop.result("a", "fetch") == {"attempt": 2}


def test_a_stage_sees_the_results_of_what_it_needs_directly_and_no_others(open_workshop):
    shop = open_workshop(
        papers=job(step("fetch"), step("text"), step("images", needs=["fetch"]), step("join", needs=["text"]))
    )
    shop.run("a")
    assert shop.result("a", "text")["saw"] == ["fetch"]
    assert shop.result("a", "images")["saw"] == ["fetch"]
    assert shop.result("a", "join")["saw"] == ["text"]


def test_results_are_read_when_they_are_first_looked_at(shop):
    asked = []
    shop.acts["extract"] = lambda context: asked.append(context.results) or {"ok": True}
    shop.run("a")
    (results,) = asked
    assert results._known is None
    assert dict(results) == {"fetch": {"key": "a", "saw": []}}
    tracker.store_result(shop.conn, "papers", "a", "fetch", {"changed": True})
    assert len(results) == 1
    assert results["fetch"] == {"key": "a", "saw": []}


def test_branches_run_on_their_own_and_join(open_workshop):
    shop = open_workshop(
        papers=job(
            step("fetch"),
            step("text"),
            step("images", needs=["fetch"]),
            step("join", needs=["text", "images"]),
        )
    )
    shop.run("a")
    order = [stage for stage, _ in shop.plugins.seen]
    assert order[0] == "fetch"
    assert order[-1] == "join"
    assert shop.result("a", "join")["saw"] == ["images", "text"]


def test_a_branch_that_fails_leaves_the_other_one_alone(open_workshop):
    shop = open_workshop(
        papers=job(
            step("fetch"),
            step("text", retries=0),
            step("images", needs=["fetch"]),
            step("join", needs=["text", "images"]),
        )
    )
    shop.acts["text"] = lambda _: 1 / 0
    shop.run("a")
    assert (shop.status("a", "images"), shop.status("a", "join")) == ("done", "pending")
    assert shop.status("a") == "failed"


def test_a_switched_off_stage_in_the_middle_is_skipped_and_the_next_goes_on(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), step("extract", enabled=False), step("store")))
    shop.run("a")
    assert shop.row("a", "extract")["reason"] == "switched off in jobs.yaml"
    assert shop.result("a", "store")["saw"] == []


def test_stages_may_stand_in_any_order(open_workshop):
    shop = open_workshop(papers=job(step("store", needs=["fetch"]), step("fetch", needs=[])))
    shop.run("a")
    assert [stage for stage, _ in shop.plugins.seen] == ["fetch", "store"]


def test_a_claim_of_a_job_that_this_worker_does_not_know_is_released_unharmed(shop):
    shop.add("a")
    shop.dispatch()
    shop.edit(other=job(step("fetch")))
    assert shop.take().status is Status.PENDING
    row = shop.row("a", "fetch")
    assert (row["status"], row["retries"], row["crashes"]) == ("pending", 0, 0)
    assert shop.plugins.seen == []
    shop.edit(papers=job(step("fetch")))
    sweep(shop.runtime)
    shop.work()
    assert shop.status("a", "fetch") == "done"


def test_a_claim_of_a_stage_that_jobs_yaml_no_longer_has_is_released_unharmed(shop):
    shop.add("a")
    shop.dispatch()
    shop.edit(papers=job(step("extract"), step("store")))
    shop.take()
    assert shop.row("a", "fetch")["retries"] == 0
    sweep(shop.runtime)
    shop.work()
    assert (shop.status("a", "fetch"), shop.status("a")) == ("skipped", "done")


def test_a_handler_is_made_once_for_each_version_of_jobs_yaml(shop):
    shop.add("a", "b")
    shop.dispatch()
    shop.work()
    first = shop.runtime.prepare(shop.spec(), "fetch")
    assert shop.runtime.prepare(shop.spec(), "fetch") is first
    shop.edit(papers=job(step("fetch", timeout=5), step("extract"), step("store")))
    assert shop.runtime.prepare(shop.spec(), "fetch").spec.timeout == 5


def test_a_settled_stage_and_what_it_sets_off_are_one_transaction(shop):
    def act(context):
        with write(shop.conn):  # make what follows fail: the counters' table is gone for a moment
            shop.conn.execute("ALTER TABLE events RENAME TO away")
        return {"ok": True}

    shop.acts["fetch"] = act
    shop.add("a")
    shop.dispatch()
    with pytest.raises(Exception, match="events"):
        shop.take()
    shop.conn.execute("ALTER TABLE away RENAME TO events")
    assert (shop.status("a", "fetch"), shop.result("a", "fetch")) == ("in_progress", None)
