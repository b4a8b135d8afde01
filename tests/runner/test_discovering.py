"""Discover: each slot once, what was found counted, and a source that is away tried again."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.errors import NotFoundError, SourceRejectedError, SourceUnavailableError
from runner.discover import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, MAX_ATTEMPTS, discover
from runner.sweep import sweep
from tracker.discoveries import DISCOVERY_LEASE_SECONDS
from tracker.reports import find_last_discovery

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


def test_what_is_found_is_stored_counted_and_sent(shop):
    finding(shop, "a", "b")
    ended = discover(shop.runtime, "papers")
    assert (ended.found, ended.new, ended.refused) == (2, 2, 0)
    assert shop.sent == [("a", "fetch"), ("b", "fetch")]
    finding(shop, "b", "c")
    assert (discover(shop.runtime, "papers").new, shop.sent[-1]) == (1, ("c", "fetch"))
    assert [event["detail"] for event in shop.events("discover")] == [
        {"found": 2, "new": 2, "refused": {}},
        {"found": 2, "new": 1, "refused": {}},
    ]


def test_found_items_have_the_jobs_priority_unless_they_say_their_own(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), priority=3))
    shop.plugins.find = lambda: [{"key": "a"}, {"key": "b", "priority": 9}, {"key": "c", "priority": 0}]
    discover(shop.runtime, "papers")
    assert [key for key, _ in shop.sent] == ["b", "a", "c"]


def test_many_items_are_stored_in_batches(shop):
    finding(shop, *(f"k{number}" for number in range(2500)))
    assert discover(shop.runtime, "papers").new == 2500
    assert tracker.get_job_stats(shop.conn, "papers")["total"] == 2500


def test_a_job_that_does_not_exist_is_named(shop):
    with pytest.raises(NotFoundError, match="did you mean 'papers'"):
        discover(shop.runtime, "paperz")


def test_a_slot_is_discovered_once_with_two_beats(open_workshop):
    first, second = open_workshop(**DAILY), open_workshop(**DAILY)
    finding(first, "a")
    with time_machine.travel(NOON, tick=False) as clock:
        assert discover(first.runtime, "papers", scheduled=True).new == 1
        assert discover(second.runtime, "papers", scheduled=True) is None
        clock.shift(86_400)
        assert discover(second.runtime, "papers", scheduled=True).new == 0


def test_a_discovery_by_hand_takes_no_slot(open_workshop):
    shop = open_workshop(**DAILY)
    with time_machine.travel(NOON, tick=False):
        assert discover(shop.runtime, "papers") is not None
        assert discover(shop.runtime, "papers", scheduled=True) is not None
        assert discover(shop.runtime, "papers") is not None


def test_a_late_beat_cannot_take_an_older_slot(open_workshop):
    shop = open_workshop(**DAILY)
    with time_machine.travel("2026-03-02T12:00:00Z", tick=False):
        discover(shop.runtime, "papers", scheduled=True)
    with time_machine.travel(NOON, tick=False):
        assert discover(shop.runtime, "papers", scheduled=True) is None


def test_slots_missed_while_all_was_down_are_made_up_once(open_workshop):
    shop = open_workshop(**DAILY)
    with time_machine.travel(NOON, tick=False) as clock:
        discover(shop.runtime, "papers", scheduled=True)
        sweep(shop.runtime)
        assert shop.publisher.discoveries == []
        clock.shift(3 * 86_400)
        sweep(shop.runtime)
        assert shop.publisher.discoveries == [("papers", None, True)]
        discover(shop.runtime, "papers", scheduled=True)
        sweep(shop.runtime)
    assert len(shop.publisher.discoveries) == 1
    assert len(shop.events("discover")) == 2


def test_a_new_job_is_looked_at_without_waiting_for_its_first_slot(open_workshop):
    shop = open_workshop(**DAILY)
    sweep(shop.runtime)
    assert shop.publisher.discoveries == [("papers", None, True)]


def test_the_sweep_leaves_a_slot_that_has_just_come_to_beat(open_workshop):
    shop = open_workshop(**DAILY)
    with time_machine.travel("2026-03-01T00:00:05Z", tick=False) as clock:
        sweep(shop.runtime)
        assert shop.publisher.discoveries == []
        clock.shift(6)
        sweep(shop.runtime)
        assert len(shop.publisher.discoveries) == 1


def test_a_job_without_a_schedule_is_never_discovered_by_itself(shop):
    sweep(shop.runtime)
    assert shop.publisher.discoveries == []


def test_a_switched_off_job_is_not_discovered(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), schedule="@daily", enabled=False))
    tracker.wake_job(shop.conn, "papers")
    sweep(shop.runtime)
    assert shop.publisher.discoveries == []


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
    assert datetime.fromtimestamp(find_last_discovery(shop.conn, "papers").retry_at / 1000, UTC).year == 9999


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
        clock.shift(86_400)
        assert take_up(shop) == []
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(asked)]
    assert waits == [min(60 * 2**number, LONGEST_RETRY_SECONDS) for number in range(MAX_ATTEMPTS - 1)]
    assert find_last_discovery(shop.conn, "papers").outcome == "failed"


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


def test_items_stored_before_a_crash_are_known_the_next_time(shop):
    shop.add("a")
    finding(shop, "a", "b")
    assert discover(shop.runtime, "papers").new == 1


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
    assert find_last_discovery(shop.conn, "papers").outcome == "failed"


def test_a_strategy_reads_another_jobs_results(open_workshop):
    shop = open_workshop(
        papers=job(step("fetch")),
        digests={
            "discovery": {"strategy": "tracker_query", "job": "papers", "where": "results.fetch.score > `5`"},
            "stages": [step("digest")],
        },
    )
    shop.acts["fetch"] = lambda context: {"score": len(context.key)}
    shop.run("short", "much longer")
    assert discover(shop.runtime, "digests").new == 1
    data = shop.conn.execute("SELECT data FROM work_items WHERE job_id = 'digests'").fetchone()[0]
    assert '"score": 11' in data


def test_a_job_may_read_its_own_items_while_it_discovers(open_workshop):
    shop = open_workshop(
        papers={"discovery": {"strategy": "tracker_query", "job": "papers"}, "stages": [step("fetch")]}
    )
    shop.run("a")
    assert (discover(shop.runtime, "papers").found, discover(shop.runtime, "papers").new) == (1, 0)
