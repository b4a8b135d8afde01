"""Dispatch: what is sent, in which order, and how much of it."""

from __future__ import annotations

import pytest
from workshop import job, step

import tracker
from runner.context import RunContext
from runner.dispatch import dispatch_job
from runner.pace import LONGEST, SHORTEST, Pace
from runner.runtime import Runtime
from tracker.backlog import read_backlog
from tracker.moves import RESEND_AFTER_MS


def test_every_item_goes_through_every_stage(shop):
    shop.run(*(f"k{number}" for number in range(30)))
    assert {shop.status(f"k{number}") for number in range(30)} == {"done"}
    assert shop.result("k7", "store") == {"key": "k7", "saw": ["extract"]}
    assert len(shop.sent) == 90


def test_the_runway_stays_short_however_many_items_wait(shop):
    shop.add(*(f"k{number}" for number in range(1000)))
    sent = shop.dispatch()
    assert 0 < sent <= LONGEST + LONGEST // 4
    assert shop.dispatch() == 0
    assert len(shop.publisher.waiting) == sent


def test_the_runway_never_runs_dry_while_items_wait(shop):
    shop.add(*(f"k{number}" for number in range(200)))
    shop.runtime.pace.note("papers", "celery", 1.0)  # slow stages: the shortest runway
    assert shop.dispatch() == 2 * SHORTEST
    while read_backlog(shop.conn, "papers").unopened:
        shop.take()
        assert shop.publisher.waiting
    shop.work()
    assert tracker.get_job_stats(shop.conn, "papers")["done"] == 200


@pytest.mark.parametrize(("seconds", "batch"), [(10.0, SHORTEST), (0.1, 10), (1e-9, LONGEST)])
def test_a_runway_holds_about_a_second_of_work(seconds, batch):
    pace = Pace()
    pace.note("papers", "celery", seconds)
    low, high = pace.marks("papers", "celery", 0)
    assert high - low == batch
    assert low >= SHORTEST


def test_the_low_mark_stays_above_twice_what_runs():
    assert Pace().marks("papers", "celery", 100)[0] > 200


def test_higher_priority_goes_first_and_older_items_among_equals(shop):
    shop.add("old", "older", priority=1)
    shop.add("urgent", priority=9)
    shop.add("late", priority=-5)
    shop.dispatch()
    assert [key for key, _ in shop.sent] == ["urgent", "old", "older", "late"]


def test_priority_counts_across_opened_and_unopened_items(shop):
    shop.add("opened", priority=1)
    shop.dispatch()
    shop.publisher.is_away = True  # fetch ends, and what is ready then has to wait
    shop.take()
    shop.publisher.is_away = False
    shop.add("more urgent", priority=2)
    shop.add("less urgent", priority=0)
    shop.dispatch()
    assert shop.sent[1:] == [("more urgent", "fetch"), ("opened", "extract"), ("less urgent", "fetch")]


def test_a_stage_far_on_goes_before_a_new_item_of_equal_priority(shop):
    shop.add("begun")
    shop.dispatch()
    shop.add("new")
    shop.publisher.is_away = True
    shop.take()
    shop.publisher.is_away = False
    shop.dispatch()
    assert shop.sent[1:] == [("begun", "extract"), ("new", "fetch")]


def test_a_changed_priority_counts_at_once(shop):
    shop.add("a", "b")
    tracker.update_item_priority(shop.conn, "papers", "b", 5)
    shop.dispatch()
    assert [key for key, _ in shop.sent] == ["b", "a"]


def test_a_paused_job_sends_nothing(shop):
    shop.add("a")
    tracker.pause_job(shop.conn, "papers", "the site is down")
    assert shop.dispatch() == 0
    assert shop.sent == []


def test_a_message_that_was_lost_a_hundred_times_is_waited_for_an_hour_and_no_longer(shop):
    shop.add("a", "b")
    shop.dispatch()
    shop.conn.execute(
        "UPDATE item_stages SET queued_at = NULL, resend_at = NULL, sends = 100 WHERE queued_at > 0"
    )
    shop.publisher.waiting.clear()
    assert shop.dispatch() == 2
    row = shop.row("a", "fetch")
    assert row["resend_at"] - row["queued_at"] == 3_600_000


def test_messages_on_the_runway_of_a_paused_job_are_refused_and_come_back(shop):
    shop.add("a", "b")
    shop.dispatch()
    tracker.pause_job(shop.conn, "papers", "the site is down")
    assert shop.work() == [None, None]
    assert shop.plugins.seen == []
    tracker.unpause_job(shop.conn, "papers")
    assert shop.dispatch() == 2
    shop.work()
    assert (shop.status("a"), shop.row("a", "fetch")["attempt"]) == ("done", 1)


def test_a_stage_that_runs_when_its_job_is_paused_ends_as_it_would_and_sends_nothing(shop):
    shop.acts["fetch"] = lambda _: tracker.pause_job(shop.conn, "papers", "enough") or {"ok": True}
    shop.run("a")
    assert shop.status("a", "fetch") == "done"
    assert shop.sent == [("a", "fetch")]


def test_what_could_not_be_published_waits_unstamped_and_loses_nothing(shop):
    shop.add("a", "b")
    shop.publisher.is_away = True
    assert shop.dispatch() == 0
    assert [shop.row(key, "fetch")["queued_at"] for key in "ab"] == [None, None]
    assert tracker.stage_stats(shop.conn, "papers")["fetch"]["queued"] == 0
    shop.publisher.is_away = False
    assert shop.dispatch() == 2
    shop.work()
    assert (shop.status("a"), shop.status("b")) == ("done", "done")


def test_a_result_is_kept_when_what_follows_cannot_be_published(shop):
    shop.add("a")
    shop.dispatch()
    shop.publisher.is_away = True
    shop.take()
    assert shop.result("a", "fetch") is not None
    assert shop.row("a", "extract")["queued_at"] is None


def test_a_job_with_stages_on_two_queues_keeps_a_runway_on_each(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), step("extract", queue="slow"), step("store")))
    shop.run("a", "b")
    assert (shop.status("a"), shop.status("b")) == ("done", "done")
    assert sorted(shop.sent) == [(key, stage) for key in "ab" for stage in ("extract", "fetch", "store")]


def test_a_full_runway_on_one_queue_does_not_hold_up_the_other(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), step("extract", queue="slow")))
    shop.add(*(f"k{number}" for number in range(400)))
    shop.dispatch()
    assert shop.dispatch() == 0
    shop.take()
    assert "extract" in {stage for _, stage in shop.sent}


def test_two_first_stages_are_both_sent(open_workshop):
    shop = open_workshop(
        papers=job(
            step("text", needs=[]),
            step("images", needs=[], queue="gpu"),
            step("join", needs=["text", "images"]),
        )
    )
    shop.run("a")
    assert sorted(shop.plugins.seen) == [("images", "a"), ("join", "a"), ("text", "a")]
    assert shop.result("a", "join")["saw"] == ["images", "text"]


def test_a_first_stage_at_its_limit_does_not_hold_up_another_first_stage(open_workshop):
    shop = open_workshop(papers=job(step("slow", needs=[], concurrency=1), step("quick", needs=[])))
    shop.add("a", "b", "c")
    shop.dispatch()
    shop.dispatch()
    assert sorted(shop.sent) == [("a", "quick"), ("a", "slow"), ("b", "quick"), ("c", "quick")]


def test_a_run_that_keeps_to_some_items_sends_only_these(open_workshop):
    shop = open_workshop()
    ids = shop.add("a", "b", "c")
    shop.runtime.run = RunContext(active_items=frozenset({ids[1]}))
    shop.dispatch()
    shop.work()
    assert {key for key, _ in shop.sent} == {"b"}
    assert (shop.status("a"), shop.status("b")) == ("pending", "done")


def test_a_run_that_keeps_to_no_items_sends_nothing(open_workshop):
    shop = open_workshop(run=RunContext(active_items=frozenset()))
    shop.add("a")
    assert shop.dispatch() == 0


def test_a_run_that_keeps_to_a_stage_sends_only_that(open_workshop):
    shop = open_workshop(run=RunContext(test_stage="fetch"))
    shop.run("a")
    assert shop.sent == [("a", "fetch")]
    assert shop.status("a", "extract") == "pending"


def test_a_stage_is_sent_once_however_many_processes_dispatch(open_workshop):
    first, second = open_workshop(), open_workshop()
    first.add(*(f"k{number}" for number in range(10)))
    first.dispatch()
    second.dispatch()
    assert sorted(first.sent + second.sent) == sorted({(f"k{number}", "fetch") for number in range(10)})


def test_a_switched_off_stage_is_never_sent(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), step("extract", enabled=False), step("store")))
    shop.run("a")
    assert shop.sent == [("a", "fetch"), ("a", "store")]
    assert (shop.status("a"), shop.status("a", "extract")) == ("done", "skipped")


def test_nothing_is_sent_of_a_job_without_work(shop):
    before = shop.conn.execute("PRAGMA data_version").fetchone()[0], shop.conn.total_changes()
    assert dispatch_job(shop.runtime, shop.spec()) == 0
    assert (shop.conn.execute("PRAGMA data_version").fetchone()[0], shop.conn.total_changes()) == before


def test_a_process_that_has_nobody_to_publish_to_writes_nothing(shop):
    shop.add("a")
    alone = Runtime(shop.runtime.settings, publisher=None)
    before = alone.tracker.total_changes()
    assert dispatch_job(alone, shop.spec()) == 0
    assert alone.tracker.total_changes() == before
    assert shop.dispatch() == 1


def test_only_what_was_lost_makes_the_next_message_be_waited_for_longer(open_workshop):
    shop = open_workshop(papers=job(step("fetch")))
    shop.add("a")
    shop.publisher.is_away = True
    for _ in range(9):
        shop.dispatch()
    shop.publisher.is_away = False
    shop.dispatch()
    first = shop.row("a", "fetch")
    assert (first["sends"], first["resend_at"] - first["queued_at"]) == (1, RESEND_AFTER_MS)
    tracker.pause_job(shop.conn, "papers", "a fire drill")
    shop.work()  # it arrives, and is refused
    tracker.unpause_job(shop.conn, "papers")
    shop.dispatch()
    again = shop.row("a", "fetch")
    assert (again["sends"], again["resend_at"] - again["queued_at"]) == (1, RESEND_AFTER_MS)
