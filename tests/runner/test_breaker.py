"""The breaker: it opens after failures in a row, lets out probes, and closes when one succeeds."""

from __future__ import annotations

from itertools import cycle

import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.outcomes import GiveUp, RetryLater, Skip
from runner.breaker import note_ending
from runner.discover import discover
from runner.lost import end_overdue, give_back_crashed
from runner.pausing import pause
from runner.sweep import sweep
from tracker import pauses
from tracker.claims import LEASE_SECONDS, claim, claim_together
from tracker.clock import now_ms, to_datetime
from tracker.endings import CRASH_LIMIT, Ending, Failure
from tracker.moves import settle
from tracker.pauses import Target

PAPERS = Target.of_job("papers")
MINUTE = 60
BREAKER = {"after": 3, "pause": "15m", "max": "1h"}


@pytest.fixture
def clock():
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        yield clock


@pytest.fixture
def open_shop(open_workshop):
    """Open a workshop of two stages over a breaker; stages fail for good at once, unless told."""

    def make(retries=0, stages=("fetch", "store"), **breaker):
        made = [step(name, retries=retries) for name in stages]
        return open_workshop(papers=job(*made, breaker=BREAKER | breaker))

    return make


def fails(words="the site is down"):
    def act(context):
        raise OSError(words.format(key=context.key))

    return act


def held(shop):
    return pauses.read_pause(shop.conn, PAPERS)


def kinds(shop):
    return [
        event["kind"] for event in shop.events("breaker_opened", "breaker_probe", "breaker_closed", "unpause")
    ]


def trip(shop, stage="fetch"):
    """Fail until the breaker opens, with ten items waiting."""
    shop.acts[stage] = fails()
    shop.run(*"abcdefghij")
    assert held(shop) is not None


def batched(places, size):
    return [places[first : first + size] for first in range(0, len(places), size)]


def wait_for_probe(shop, clock, minutes):
    clock.shift(minutes * MINUTE)
    return sweep(shop.runtime)


def test_failures_in_a_row_of_one_signature_pause_the_job(open_shop, clock):
    shop = open_shop()
    trip(shop)
    pause = held(shop)
    assert (pause.cause, pause.by, pause.lifts) == ("breaker", "breaker", 0)
    assert pause.reason == "3 failures in a row: fetch: OSError: the site is down"
    assert pause.until_at - pause.since_at == 15 * MINUTE * 1000
    assert tracker.get_job_stats(shop.conn, "papers")["failed"] == 3
    (event,) = shop.events("breaker_opened")
    assert (event["detail"]["failures"], event["detail"]["stage"]) == (3, "fetch")


def test_ids_and_numbers_make_no_other_signature(open_shop):
    shop = open_shop()
    shop.acts["fetch"] = lambda context: fails(f"no answer after {ord(context.key)} s")(context)
    shop.run(*"abcde")
    assert held(shop) is not None


def test_another_signature_begins_the_row_anew(open_shop):
    shop = open_shop()
    words = iter(["one", "one", "two", "two", "one", "two"])
    shop.acts["fetch"] = lambda context: fails(next(words))(context)  # noqa: PLW0108 - another word each time
    shop.run(*"abcdef")
    assert held(shop) is None


def test_of_any_signature_all_count(open_shop):
    shop = open_shop(of="any")
    words = cycle(["one", "two", "three"])
    shop.acts["fetch"] = lambda context: fails(next(words))(context)  # noqa: PLW0108 - another word each time
    shop.run(*"abcdef")
    assert held(shop) is not None


def test_a_success_ends_the_row(open_shop):
    shop = open_shop(stages=("fetch",))
    shop.acts["fetch"] = lambda context: {} if context.key in "cf" else fails()(context)
    shop.run(*"abcdefgh")
    assert held(shop) is None


@pytest.mark.parametrize("outcome", [Skip("not wanted"), {}])
def test_a_stage_that_works_does_not_hide_one_that_does_not(open_shop, outcome):
    shop = open_shop()
    shop.acts.update(fetch=lambda _: outcome, store=fails())
    for key in "abcde":
        shop.run(key)
    assert held(shop).reason.startswith("3 failures in a row: store")


def test_a_failure_that_is_tried_again_counts(open_shop):
    shop = open_shop(retries=5)
    shop.acts["fetch"] = fails()
    shop.run(*"abc")
    assert held(shop) is not None
    assert shop.status("a") == "pending"


def test_a_handler_that_gives_up_counts(open_shop):
    shop = open_shop()
    shop.acts["fetch"] = lambda _: GiveUp("no such page")
    shop.run(*"abc")
    assert held(shop) is not None


def test_retry_later_says_nothing(open_shop):
    shop = open_shop()
    outcomes = iter([None, None, RetryLater(3600), RetryLater(3600), None])
    shop.acts["fetch"] = lambda context: next(outcomes) or fails()(context)
    shop.run(*"abcd")
    assert held(shop) is None
    shop.run("e")
    assert held(shop) is not None


def test_a_job_without_a_breaker_is_never_paused(shop):
    shop.acts["fetch"] = fails()
    shop.run(*(f"k{n}" for n in range(30)))
    assert held(shop) is None


def test_a_success_of_a_job_whose_row_is_empty_writes_nothing_for_the_breaker(open_workshop):
    plain, guarded = (open_workshop(papers=job(step("fetch"), **more)) for more in ({}, {"breaker": BREAKER}))

    def count_writes(shop, key):
        shop.add(key)
        shop.dispatch()
        before = shop.conn.total_changes()
        shop.work()
        return shop.conn.total_changes() - before

    count_writes(plain, "first")
    assert count_writes(guarded, "b") == count_writes(plain, "a")


# -- probes -----------------------------------------------------------------------------------------------


def test_when_the_time_is_up_one_probe_goes_through_and_its_success_lifts_the_pause(open_shop, clock):
    shop = open_shop()
    trip(shop)
    assert wait_for_probe(shop, clock, 14).unpaused == 0
    shop.acts["fetch"] = lambda _: {}
    swept = wait_for_probe(shop, clock, 1)
    assert (swept.unpaused, swept.sent, held(shop).probes_left) == (1, 1, 1)
    shop.take()
    assert held(shop) is None
    assert kinds(shop) == ["breaker_opened", "breaker_probe", "breaker_closed"]
    shop.work()
    assert tracker.get_job_stats(shop.conn, "papers")["done"] == 7
    assert tracker.get_retry_info(shop.conn, "papers")["auto_unpauses"] == 0


def test_while_a_probe_is_on_its_way_no_other_is_sent(open_shop, clock):
    shop = open_shop()
    trip(shop)
    assert wait_for_probe(shop, clock, 15).sent == 1
    assert (shop.dispatch(), sweep(shop.runtime).sent) == (0, 0)


def test_a_probe_that_fails_doubles_the_pause_up_to_the_longest(open_shop, clock):
    shop, minutes = open_shop(), []
    trip(shop)
    for wait in (15, 30, 60, 60):
        assert wait_for_probe(shop, clock, wait).sent == 1
        shop.work()
        minutes.append((held(shop).until_at // 1000 - int(held(shop).since_at // 1000)) // MINUTE)
    assert minutes == [15 + 30, 45 + 60, 105 + 60, 165 + 60]
    assert (held(shop).lifts, held(shop).reason) == (
        4,
        "7 failures in a row: fetch: OSError: the site is down",
    )
    assert kinds(shop) == ["breaker_opened", *["breaker_probe", "breaker_opened"] * 4]


def test_after_a_success_the_next_pause_is_short_again(open_shop, clock):
    shop = open_shop()
    trip(shop)
    wait_for_probe(shop, clock, 15)
    shop.work()
    shop.acts["fetch"] = lambda _: {}
    wait_for_probe(shop, clock, 30)
    shop.work()
    shop.acts["fetch"] = fails()
    shop.run(*"uvwxyz")
    assert (held(shop).until_at - held(shop).since_at) // 1000 == 15 * MINUTE


@pytest.mark.parametrize("at_once", [1, 100])
@pytest.mark.parametrize("probes", [1, 2, 4])
def test_no_more_than_the_probes_go_through_however_many_messages_there_are(
    open_shop, clock, probes, at_once
):
    shop = open_shop(probe=probes)
    shop.add(*"abcdefghij")
    shop.dispatch()
    stale = list(shop.publisher.waiting)
    trip(shop)
    wait_for_probe(shop, clock, 15)
    waiting = [
        one for one in [*shop.publisher.waiting, *stale] if shop.status(one.key, one.stage) == "pending"
    ]
    assert len(waiting) > probes
    claimed = [
        taken
        for some in batched([(one.item_id, one.stage, one.attempt) for one in waiting], at_once)
        for taken in claim_together(shop.conn, some, worker="w")
    ]
    assert len(claimed) == probes
    assert held(shop).probes_left == 0
    assert shop.dispatch() == 0


def test_a_probe_goes_on_through_its_stages_to_the_one_that_failed(open_shop, clock):
    shop = open_shop()
    shop.acts["store"] = fails()
    shop.run(*"abc")
    shop.add(*"de")
    shop.acts["store"] = lambda _: {}
    assert wait_for_probe(shop, clock, 15).sent == 1
    shop.take()
    assert (shop.status("d", "fetch"), held(shop) is None) == ("done", False)
    assert shop.sent[-1] == ("d", "store")
    shop.take()
    assert held(shop) is None
    shop.work()
    assert [shop.status(key) for key in "de"] == ["done", "done"]


def test_a_probe_that_says_nothing_lets_another_out(open_shop, clock):
    shop = open_shop()
    trip(shop)
    shop.acts["fetch"] = lambda _: RetryLater(86_400)
    wait_for_probe(shop, clock, 15)
    first = shop.publisher.waiting[0].key
    shop.take()
    shop.acts["fetch"] = lambda _: {}
    assert len(shop.publisher.waiting) == 1
    assert shop.publisher.waiting[0].key != first
    shop.take()
    assert held(shop) is None


def test_a_probe_whose_worker_died_lets_another_out(open_shop, clock):
    shop = open_shop()
    trip(shop)
    wait_for_probe(shop, clock, 15)
    lost = shop.publisher.waiting.popleft()
    assert claim(shop.conn, lost.item_id, lost.stage, lost.attempt, worker="gone")
    assert sweep(shop.runtime).sent == 0
    clock.shift(LEASE_SECONDS + 1)
    assert sweep(shop.runtime).sent == 1


@pytest.mark.parametrize(
    "ending", [Ending.finished("{}", "1"), Ending.failed(Failure.named("OSError", "the site is down"))]
)
def test_an_attempt_that_began_before_the_breaker_opened_says_nothing_to_it(open_shop, clock, ending):
    shop = open_shop()
    shop.add("old")
    shop.dispatch()
    old = shop.publisher.waiting.popleft()
    assert claim(shop.conn, old.item_id, old.stage, old.attempt, worker="slow", lease_seconds=9000)
    trip(shop)
    wait_for_probe(shop, clock, 15)
    with tracker.write(shop.conn):
        note_ending(shop.conn, shop.spec(), settle(shop.conn, old.item_id, "fetch", 1, ending), ending)
    assert held(shop).is_probing


def test_a_probe_that_is_left_out_by_its_handler_is_a_success(open_shop, clock):
    shop = open_shop(stages=("fetch",))
    trip(shop)
    wait_for_probe(shop, clock, 15)
    shop.work()
    shop.acts["fetch"] = lambda _: Skip("not wanted")
    wait_for_probe(shop, clock, 30)
    shop.work()
    assert held(shop) is None
    assert tracker.get_retry_info(shop.conn, "papers")["auto_unpauses"] == 0


# -- people, and jobs.yaml --------------------------------------------------------------------------------


def test_a_persons_pause_is_not_overwritten_by_a_breaker(open_shop):
    shop = open_shop()
    shop.acts["fetch"] = fails()
    shop.add(*"abcdef")
    shop.dispatch()
    claimed = [shop.publisher.waiting.popleft() for _ in range(4)]
    for one in claimed:
        assert claim(shop.conn, one.item_id, one.stage, one.attempt, worker=shop.runtime.worker)
    tracker.pause_job(shop.conn, "papers", "lunch", by="ann")
    for one in claimed:
        end_overdue(shop.runtime, one.item_id, one.stage, one.attempt)
    assert (held(shop).reason, held(shop).by) == ("lunch", "ann")
    assert kinds(shop) == []


def test_who_lifts_a_breakers_pause_closes_it(open_shop, clock):
    shop = open_shop()
    trip(shop)
    tracker.unpause_job(shop.conn, "papers", by="ann")
    shop.acts["fetch"] = lambda context: {} if context.key > "e" else fails()(context)
    shop.dispatch()
    shop.work()
    assert held(shop) is None
    assert kinds(shop) == ["breaker_opened", "unpause"]


def test_stages_that_were_killed_for_taking_too_long_open_it_too(open_shop):
    shop = open_shop()
    shop.add(*"abcd")
    shop.dispatch()
    for _ in range(3):
        one = shop.publisher.waiting.popleft()
        assert claim(shop.conn, one.item_id, one.stage, one.attempt, worker=shop.runtime.worker)
        end_overdue(shop.runtime, one.item_id, one.stage, one.attempt)
    assert "StageTimeout" in held(shop).reason


def test_a_breaker_that_jobs_yaml_no_longer_has_leaves_nothing_paused(open_shop, clock):
    shop = open_shop()
    trip(shop)
    wait_for_probe(shop, clock, 15)
    shop.edit(papers=job(step("fetch"), step("store")))
    sweep(shop.runtime)
    assert held(shop) is None


@pytest.mark.parametrize("left", [[], [step("store", enabled=False)]], ids=["gone", "switched off"])
def test_when_the_stage_that_failed_is_gone_or_off_any_probe_closes_the_breaker(open_shop, clock, left):
    shop = open_shop()
    shop.acts["store"] = fails()
    shop.run(*"abc")
    shop.add("d")
    shop.edit(papers=job(step("fetch"), *left, breaker=BREAKER))
    wait_for_probe(shop, clock, 15)
    shop.work()
    assert held(shop) is None


def test_stages_that_kill_their_workers_until_they_are_poison_open_it_too(open_shop):
    shop = open_shop(after=2)
    shop.add(*"ab")
    for _ in range(2 * CRASH_LIMIT):
        shop.dispatch()
        one = shop.publisher.waiting.popleft()
        assert claim(shop.conn, one.item_id, one.stage, one.attempt, worker=shop.runtime.worker)
        give_back_crashed(shop.runtime, one.item_id, one.stage, one.attempt, "killed by signal 9")
        shop.dispatch()
    assert "WorkerDied: poison" in held(shop).reason


def test_a_job_without_anything_left_to_try_looks_for_more_once_its_breaker_lets_out_probes(
    open_workshop, clock
):
    shop = open_workshop(papers=job(step("fetch", retries=0), breaker=BREAKER, schedule={"every": "1m"}))
    shop.acts["fetch"] = fails()
    shop.plugins.find = lambda: [{"key": "new"}]
    shop.run(*"abc")
    assert "paused by breaker" in discover(shop.runtime, "papers", scheduled=True).skipped
    clock.shift(15 * MINUTE)
    shop.acts["fetch"] = lambda _: {}
    assert sweep(shop.runtime).discoveries > 0
    assert discover(shop.runtime, "papers", scheduled=True).new == 1
    shop.work()
    assert held(shop) is None


def test_an_attempt_that_is_skipped_however_it_ends_says_nothing(open_shop):
    shop = open_shop(after=1, retries=1)
    shop.add("a")
    shop.dispatch()

    def switch_off_and_fail(context):
        tracker.skip_disabled_stages(shop.conn, "papers", ["store"])
        fails()(context)

    shop.acts["fetch"] = switch_off_and_fail
    shop.work()
    assert shop.status("a", "fetch") == "skipped"
    assert held(shop) is None


def test_a_pause_that_somebody_made_for_a_time_ends_in_a_job_with_a_breaker_too(open_shop, clock):
    shop = open_shop()
    pause(shop.runtime, PAPERS, "why", to_datetime(now_ms() + 60 * MINUTE * 1000), "ann")
    clock.shift(60 * MINUTE)
    assert sweep(shop.runtime).unpaused == 1
    assert held(shop) is None
