"""Advance: every way in which a handler may end."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import structlog
import time_machine
from workshop import job, step

import tracker
from pipeline.outcomes import GiveUp, RetryLater, RetryLaterError, Skip
from runner.sweep import sweep


def test_a_result_is_kept_with_the_version_that_made_it(shop):
    shop.acts["fetch"] = lambda _: {"text": "žluťoučký", "pages": [1, 2.5, None]}
    shop.run("a")
    assert shop.result("a", "fetch") == {"text": "žluťoučký", "pages": [1, 2.5, None]}
    assert tracker.get_handler_version(shop.conn, "papers", "a", "fetch") == "1"


def test_a_skipped_stage_lets_what_needs_it_go_on_without_its_result(shop):
    shop.acts["extract"] = lambda _: Skip("nothing to extract")
    shop.run("a")
    assert shop.row("a", "extract")["reason"] == "nothing to extract"
    assert shop.result("a", "store") == {"key": "a", "saw": []}
    assert shop.status("a") == "done"


def test_skipping_the_rest_finishes_the_item(shop):
    shop.acts["fetch"] = lambda _: Skip("an advertisement", rest=True)
    shop.run("a")
    assert [shop.status("a", stage) for stage in ("fetch", "extract", "store")] == ["skipped"] * 3
    assert shop.sent == [("a", "fetch")]


def test_a_short_wait_is_a_countdown_and_uses_no_retry(shop):
    shop.acts["fetch"] = lambda _: RetryLater(60, "busy")
    shop.run("a")
    (message,) = shop.publisher.countdowns
    assert (message.stage, message.attempt) == ("fetch", 2)
    assert 50 < message.countdown_seconds <= 60
    assert shop.row("a", "fetch")["retries"] == 0


def test_a_countdown_that_is_over_runs_the_next_attempt(shop):
    shop.acts["fetch"] = lambda context: RetryLater(60) if context.attempt == 1 else {"ok": True}
    shop.run("a")
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61), tick=False):
        shop.deliver(shop.publisher.countdowns[0])
        shop.work()
    assert shop.status("a") == "done"


def test_a_countdown_that_comes_too_early_waits_on(shop):
    shop.acts["fetch"] = lambda _: RetryLater(60)
    shop.run("a")
    assert shop.deliver(shop.publisher.countdowns[0]) is None
    assert shop.row("a", "fetch")["retry_at"] is not None
    assert len(shop.plugins.seen) == 1


def test_a_countdown_that_could_not_be_published_waits_in_the_tracker(shop):
    shop.acts["fetch"] = lambda _: RetryLater(60)
    shop.add("a")
    shop.dispatch()
    shop.publisher.is_away = True
    shop.take()
    shop.publisher.is_away = False
    row = shop.row("a", "fetch")
    assert (row["queued_at"], row["retry_at"] is not None) == (None, True)
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61), tick=False):
        assert sweep(shop.runtime).woken == 1
        assert len(shop.publisher.waiting) == 1


def test_a_long_wait_is_parked_and_costs_the_broker_nothing(shop):
    at = datetime.now(UTC) + timedelta(days=7)
    shop.acts["fetch"] = lambda _: RetryLater(at=at, reason="next week")
    shop.run("a")
    assert shop.publisher.countdowns == []
    row = shop.row("a", "fetch")
    assert (row["status"], row["queued_at"], row["reason"]) == ("pending", None, "next week")
    assert abs(row["retry_at"] - at.timestamp() * 1000) < 1000


def test_a_parked_stage_is_woken_when_its_time_has_come_and_not_before(shop):
    shop.acts["fetch"] = lambda context: RetryLater(3600) if context.attempt == 1 else {"ok": True}
    shop.run("a")
    sweep(shop.runtime)
    assert not shop.publisher.waiting
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=3601), tick=False):
        sweep(shop.runtime)
        shop.work()
    assert shop.status("a") == "done"


@pytest.mark.parametrize("delay", [1e18, 1e300, float("inf"), timedelta.max])
def test_a_wait_beyond_all_time_is_parked_and_can_still_be_shown(shop, delay):
    shop.acts["fetch"] = lambda _: RetryLater(delay, "never")
    shop.run("a")
    (shown,) = shop.conn.execute("SELECT retry FROM v_stages WHERE stage = 'fetch'").fetchone()
    assert shown.startswith("9999-12-31")


def test_the_older_words_for_a_wait_mean_the_same(shop):
    def act(context):
        raise RetryLaterError("quota used up, retry in 2m")

    shop.acts["fetch"] = act
    shop.run("a")
    assert 100 < shop.publisher.countdowns[0].countdown_seconds <= 120
    assert shop.row("a", "fetch")["retries"] == 0


def test_giving_up_fails_at_once_whatever_retries_are_left(shop):
    shop.acts["fetch"] = lambda _: GiveUp("404: the page is gone")
    shop.run("a")
    assert (shop.status("a"), shop.row("a", "fetch")["attempt"]) == ("failed", 1)
    assert shop.failures()[0]["message"] == "404: the page is gone"


def test_a_reason_may_be_the_error_that_it_comes_from(shop):
    shop.acts["fetch"] = lambda _: GiveUp(KeyError("title"))
    shop.acts["extract"] = lambda _: Skip(ValueError("no text"))
    shop.run("a")
    assert shop.row("a", "fetch")["reason"] == "'title'"
    shop.acts["fetch"] = lambda _: {"ok": True}
    tracker.retry_failed(shop.conn, "papers")
    shop.dispatch()
    shop.work()
    assert shop.row("a", "extract")["reason"] == "no text"


def test_what_an_attempt_spent_is_recorded_with_it(shop):
    def act(context):
        context.cost(0.25, "openai", input_tokens=812)
        context.cost(None, "unpriced")
        return {"ok": True}

    shop.acts["fetch"] = act
    shop.run("a")
    rows = shop.conn.execute("SELECT key, stage, attempt, usd, provider, units FROM v_costs").fetchall()
    assert [tuple(row) for row in rows] == [
        ("a", "fetch", 1, 0.25, "openai", json.dumps({"input_tokens": 812})),
        ("a", "fetch", 1, None, "unpriced", "{}"),
    ]


def test_what_a_failed_attempt_spent_is_recorded_too(open_workshop):
    shop = open_workshop(papers=job(step("fetch", retries=0)))
    shop.acts["fetch"] = lambda context: context.cost(1.5, "openai") or 1 / 0
    shop.run("a")
    assert tracker.get_daily_cost(shop.conn, "papers") == 1.5


def test_what_became_of_a_stage_is_logged_when_nobody_waits_for_its_turn_any_more(shop):
    was_writing = []

    def note(_logger, _name, line):
        was_writing.append((line["event"], shop.conn.in_transaction))
        return line

    with structlog.testing.capture_logs(processors=[note]):
        shop.run("a")
    assert was_writing == [(f"papers.{stage} finish", False) for stage in ("fetch", "extract", "store")]


def test_a_success_forgets_how_often_pauses_lifted_themselves(shop):
    tracker.pause_job(shop.conn, "papers", "too many errors")
    tracker.increment_auto_unpause(shop.conn, "papers")
    shop.run("a")
    assert tracker.get_retry_info(shop.conn, "papers")["pause_factor"] == 1


def test_a_handler_is_told_what_it_may_know(open_workshop):
    shop = open_workshop(papers=job(step("fetch", timeout=60)))
    told = []
    shop.acts["fetch"] = lambda context: told.append(context) or {}
    before = time.time()
    shop.run("a", data={"url": "https://example.org"})
    (context,) = told
    assert (context.job, context.key, context.attempt) == ("papers", "a", 1)
    assert context.data == {"url": "https://example.org"}
    assert 59 < context.deadline.timestamp() - before < 200
    assert not context.cancelled()
    assert context.http is shop.runtime.http
