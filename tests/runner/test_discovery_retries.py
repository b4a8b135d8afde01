"""A discovery that failed or died is taken up again, and given up in the end."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.errors import SourceRejectedError, SourceUnavailableError
from runner.discover import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, MAX_ATTEMPTS, discover
from runner.sweep import sweep
from tracker.discoveries import DISCOVERY_LEASE_SECONDS
from tracker.runs import find_last_run

DAILY = {"papers": job(step("fetch"), schedule="@daily")}
NOON = "2026-03-01T12:00:00Z"


def finding(shop, *keys):
    shop.plugins.find = lambda: [{"key": key} for key in keys]


def failing(shop, error):
    """Let the source fail; what each call of it met is counted."""
    asked = []

    def find():
        asked.append(datetime.now(UTC))
        raise error

    shop.plugins.find = find
    return asked


def test_a_source_that_is_away_is_tried_again_and_says_when(shop):
    failing(shop, SourceUnavailableError("no answer from feeds.example.org"))
    with time_machine.travel(NOON, tick=False):
        ended = discover(shop.runtime, "papers")
        now = datetime.now(UTC).timestamp()
    assert ended.error == "source unavailable: no answer from feeds.example.org"
    assert ended.retry_at == (now + FIRST_RETRY_SECONDS) * 1000
    assert tracker.get_job_error(shop.conn, "papers") == ended.error
    assert shop.events("discover_failed")[0]["detail"]["retry_at"] == ended.retry_at


def test_a_source_may_ask_for_a_longer_wait(shop):
    failing(shop, SourceUnavailableError("429", retry_after_seconds=7200))
    with time_machine.travel(NOON, tick=False):
        assert discover(shop.runtime, "papers").retry_at == (datetime.now(UTC).timestamp() + 7200) * 1000


def test_an_absurd_wish_of_a_source_is_bounded_by_the_calendar(shop):
    failing(shop, SourceUnavailableError("429", retry_after_seconds=1e30))
    discover(shop.runtime, "papers")
    assert datetime.fromtimestamp(find_last_run(shop.conn, "papers").retry_at / 1000, UTC).year == 9999


def take_up(shop):
    """Sweep, and do the discoveries that it sent, as a worker would."""
    sweep(shop.runtime)
    sent, shop.publisher.discoveries = shop.publisher.discoveries, []
    return [discover(shop.runtime, name, run_id=run_id, scheduled=by_slot) for name, run_id, by_slot in sent]


def test_the_sweep_tries_a_source_again_with_growing_patience_and_then_gives_up(shop):
    asked = failing(shop, SourceUnavailableError("down"))
    with time_machine.travel(NOON, tick=False) as clock:
        retry_at = discover(shop.runtime, "papers").retry_at
        while retry_at is not None:
            assert take_up(shop) == []
            clock.move_to(datetime.fromtimestamp(retry_at / 1000, UTC))
            (ended,) = take_up(shop)
            retry_at = ended.retry_at
        assert ended.error == "source unavailable: down"
        clock.shift(86_400)
        assert take_up(shop) == []
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(asked)]
    assert waits == [min(60 * 2**number, LONGEST_RETRY_SECONDS) for number in range(MAX_ATTEMPTS - 1)]
    assert find_last_run(shop.conn, "papers").outcome == "failed"


def test_a_source_that_is_back_clears_the_jobs_error(shop):
    with time_machine.travel(NOON, tick=False) as clock:
        failing(shop, SourceUnavailableError("down"))
        discover(shop.runtime, "papers")
        clock.shift(61)
        finding(shop, "a")
        (ended,) = take_up(shop)
    assert (ended.new, ended.error) == (1, None)
    assert tracker.get_job_error(shop.conn, "papers") is None


def test_two_workers_that_are_sent_the_same_run_do_it_once(shop):
    with time_machine.travel(NOON, tick=False) as clock:
        failing(shop, SourceUnavailableError("down"))
        discover(shop.runtime, "papers")
        clock.shift(61)
        asked = failing(shop, SourceUnavailableError("down"))
        sweep(shop.runtime)
        sweep(shop.runtime)
        for name, run_id, _ in shop.publisher.discoveries:
            discover(shop.runtime, name, run_id=run_id)
    assert len(shop.publisher.discoveries) == 2
    assert len(asked) == 1


def test_a_newer_run_does_the_work_of_one_that_waits(open_workshop):
    shop = open_workshop(**DAILY)
    with time_machine.travel(NOON, tick=False) as clock:
        failing(shop, SourceUnavailableError("down"))
        discover(shop.runtime, "papers", scheduled=True)
        finding(shop, "a")
        discover(shop.runtime, "papers")
        clock.shift(3600)
        assert take_up(shop) == []


def test_a_source_that_refuses_is_not_asked_again(shop):
    failing(shop, SourceRejectedError("403: members only"))
    ended = discover(shop.runtime, "papers")
    assert (ended.error, ended.retry_at) == ("403: members only", None)


def crashing(shop):
    """Let the worker die in the middle of a discovery."""
    failing(shop, KeyboardInterrupt())


def test_a_discovery_whose_worker_died_is_taken_up_again(open_workshop):
    shop = open_workshop(**DAILY)
    with time_machine.travel(NOON, tick=False) as clock:
        crashing(shop)
        with pytest.raises(KeyboardInterrupt):
            discover(shop.runtime, "papers", scheduled=True)
        assert take_up(shop) == []
        clock.shift(DISCOVERY_LEASE_SECONDS + 1)
        finding(shop, "a")
        (ended,) = take_up(shop)
        assert ended.new == 1
        assert take_up(shop) == []


def test_a_discovery_that_kills_its_worker_again_and_again_is_given_up(shop):
    crashing(shop)
    with time_machine.travel(NOON, tick=False) as clock:
        with pytest.raises(KeyboardInterrupt):
            discover(shop.runtime, "papers")
        for _ in range(MAX_ATTEMPTS - 1):
            clock.shift(DISCOVERY_LEASE_SECONDS + 1)
            with pytest.raises(KeyboardInterrupt):
                take_up(shop)
            shop.publisher.discoveries.clear()
        clock.shift(DISCOVERY_LEASE_SECONDS + 1)
        (ended,) = take_up(shop)
        assert "its worker died" in ended.error
        clock.shift(86_400)
        assert take_up(shop) == []
    assert find_last_run(shop.conn, "papers").outcome == "failed"
