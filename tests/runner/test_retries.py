"""Unexpected failures: tried again by the stage's policy, then failed with all that is known."""

from __future__ import annotations

from datetime import UTC, datetime

import time_machine
from workshop import job, step

from pipeline.errors import SourceRejectedError
from pipeline.outcomes import GiveUp
from runner.judge import LONGEST_BACKOFF_SECONDS, backoff_seconds


def run_out(shop):
    """Deliver countdowns until none is left, each when its time has come."""
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        while shop.publisher.countdowns:
            message = shop.publisher.countdowns.pop()
            clock.shift(message.countdown_seconds)
            shop.deliver(message)


def test_an_exception_is_tried_again_until_its_retries_are_used_up(open_workshop):
    shop = open_workshop(papers=job(step("fetch", retries=2, backoff=10)))
    shop.acts["fetch"] = lambda _: 1 / 0
    shop.run("a")
    run_out(shop)
    row = shop.row("a", "fetch")
    assert (row["status"], row["attempt"], row["retries"]) == ("failed", 3, 2)
    assert [failure["attempt"] for failure in shop.failures()] == [1, 2, 3]


def test_a_failure_has_its_traceback_and_a_signature_that_groups_it(open_workshop):
    shop = open_workshop(papers=job(step("fetch", retries=0)))

    def act(context):
        raise ValueError(f"no page {len(context.key)} at https://example.org/{context.key}")

    shop.acts["fetch"] = act
    shop.run("a", "bcd")
    first, second = shop.failures()
    assert first["error_type"] == "ValueError"
    assert "test_retries.py" in first["traceback"]
    assert first["signature"] == second["signature"] == "ValueError: no page <n> at <url>"


def test_a_failure_has_the_version_of_its_handler_and_the_host_that_was_asked(open_workshop):
    shop = open_workshop(papers=job(step("fetch", retries=0)))

    def act(context):
        if context.key == "a":
            return GiveUp("not today")
        error = SourceRejectedError("it is gone")
        error.host = "cdn.example.org"
        raise error

    shop.acts["fetch"] = act
    shop.run("a", "b")
    assert [(one["handler_version"], one["host"]) for one in shop.failures()] == [
        ("1", None),
        ("1", "cdn.example.org"),
    ]


def test_a_stage_that_succeeds_in_the_end_is_done(open_workshop):
    shop = open_workshop(papers=job(step("fetch", backoff=1)))
    shop.acts["fetch"] = lambda context: 1 / 0 if context.attempt < 3 else {"tries": context.attempt}
    shop.run("a")
    run_out(shop)
    assert (shop.status("a"), shop.result("a", "fetch")) == ("done", {"tries": 3})


def test_retries_are_spread_over_ever_longer_waits_within_bounds():
    for retries in range(40):
        expected = min(30 * 2.0**retries, LONGEST_BACKOFF_SECONDS)
        waits = [backoff_seconds(30, retries) for _ in range(50)]
        assert expected / 2 <= min(waits) < max(waits) <= expected * 1.5


def test_a_backoff_is_finite_after_any_number_of_retries():
    assert backoff_seconds(30, 10**6) <= LONGEST_BACKOFF_SECONDS * 1.5


def test_a_backoff_of_more_than_an_hour_is_waited_for_and_not_doubled():
    day = 86_400
    assert all(day * 0.5 <= backoff_seconds(day, retries) <= day * 1.5 for retries in (0, 1, 10**6))


def test_a_long_backoff_is_parked(open_workshop):
    shop = open_workshop(papers=job(step("fetch", backoff="1h")))
    shop.acts["fetch"] = lambda _: 1 / 0
    shop.run("a")
    assert shop.publisher.countdowns == []
    assert shop.row("a", "fetch")["retry_at"] is not None


def test_a_stage_past_its_timeout_is_tried_again_and_says_where_it_was(open_workshop):
    class TimeIsUp(Exception):  # noqa: N818 - as Celery's SoftTimeLimitExceeded
        pass

    def act(context):
        raise TimeIsUp

    shop = open_workshop(timeout_error=TimeIsUp, papers=job(step("fetch", timeout="1m30s")))
    shop.acts["fetch"] = act
    shop.run("a")
    (failure,) = shop.failures()
    assert (failure["error_type"], failure["message"]) == ("StageTimeout", "exceeded its timeout of 1 m 30 s")
    assert "raise TimeIsUp" in failure["traceback"]
    assert shop.row("a", "fetch")["retries"] == 1
