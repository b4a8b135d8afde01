"""One pass over a job: discover, work until nothing is due, and come to an end."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from workshop import job, step

import tracker
from pipeline.errors import NotFoundError, SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater
from runner import single_pass
from runner.context import RunContext
from runner.single_pass import finish_pass, prepare_pass, work_until_nothing_is_due
from tracker.claims import claim
from tracker.clock import now_ms
from tracker.dispatch import take_back_stamps
from tracker.workers import WorkerWord, note_worker


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Let the pass look again at once."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


def found(shop, *keys):
    shop.plugins.find = lambda: [{"key": key} for key in keys]


def pass_over(shop, run=None, *, cold=True, looks=500):
    """Make a pass with one worker in the same process; what it came to."""
    prepare_pass(shop.runtime, "papers", run or RunContext(), cold=cold)
    for number, _ in enumerate(work_until_nothing_is_due(shop.runtime, "papers", shop.work)):
        assert number < looks, "the pass does not end"
    return finish_pass(shop.runtime, "papers")


def test_a_pass_discovers_and_works_until_all_is_done(shop):
    found(shop, "a", "b", "c")
    finished = pass_over(shop)
    assert finished.all_done
    assert finished.statuses["done"] == 3


def test_a_pass_over_nothing_ends(shop):
    assert pass_over(shop).all_done


def test_a_pass_takes_up_what_earlier_ones_left(shop):
    shop.add("left over")
    found(shop, "a")
    assert pass_over(shop).statuses["done"] == 2


def test_nothing_is_sent_before_the_items_are_chosen(shop):
    found(shop, "a", "b")
    prepare_pass(shop.runtime, "papers", RunContext(limit=1), cold=True)
    assert shop.sent == []


def test_a_limited_pass_takes_up_so_many_and_leaves_the_rest(shop):
    found(shop, "a", "b", "c")
    finished = pass_over(shop, RunContext(limit=2))
    assert finished.statuses["done"] == 2
    assert shop.status("c") == "pending"


def test_a_limit_of_nothing_takes_up_nothing(shop):
    found(shop, "a")
    pass_over(shop, RunContext(limit=0))
    assert shop.sent == []


def test_a_limited_pass_takes_the_highest_priority(shop):
    shop.plugins.find = lambda: [{"key": "a"}, {"key": "b", "priority": 5}]
    pass_over(shop, RunContext(limit=1))
    assert shop.status("b") == "done"


def test_a_pass_over_one_item_keeps_to_it_and_does_not_discover_what_it_knows(shop):
    shop.add("a", "b")
    shop.plugins.find = pytest.fail
    assert pass_over(shop, RunContext(test_item="b")).statuses["done"] == 1
    assert shop.status("a") == "pending"


def test_a_pass_over_an_item_that_is_not_known_yet_discovers_first(shop):
    found(shop, "a", "b")
    pass_over(shop, RunContext(test_item="b"))
    assert {key for key, _ in shop.sent} == {"b"}


def test_an_item_that_does_not_exist_is_named_with_the_nearest(shop):
    found(shop, "paper-1")
    with pytest.raises(NotFoundError, match="did you mean 'paper-1'"):
        pass_over(shop, RunContext(test_item="paper-"))


def test_a_stage_or_job_that_does_not_exist_is_named_before_anything_is_done(shop):
    shop.plugins.find = pytest.fail
    with pytest.raises(NotFoundError, match="fetch"):
        pass_over(shop, RunContext(test_stage="fetsh"))
    with pytest.raises(NotFoundError):
        prepare_pass(shop.runtime, "paper", RunContext(), cold=True)


def test_a_pass_over_the_first_stage_stops_there(shop):
    found(shop, "a", "b")
    pass_over(shop, RunContext(test_stage="fetch"))
    assert sorted(shop.sent) == [("a", "fetch"), ("b", "fetch")]


def test_a_pass_over_a_later_stage_does_those_that_are_ready_for_it(shop):
    shop.add("ready", "not yet")
    shop.dispatch()
    shop.take()
    shop.publisher.waiting.clear()
    take_back_stamps(shop.conn, [one.attempt_key for one in shop.publisher.sent])
    found(shop)
    pass_over(shop, RunContext(test_stage="extract"))
    assert (shop.status("ready", "extract"), shop.status("ready", "store")) == ("done", "pending")


def test_a_pass_over_a_later_stage_of_an_item_that_has_not_begun_ends(shop):
    shop.add("a")
    finished = pass_over(shop, RunContext(test_item="a", test_stage="store"))
    assert not finished.all_done
    assert shop.sent == []


def test_a_pass_over_another_first_stage_does_it(open_workshop):
    shop = open_workshop(papers=job(step("text", needs=[]), step("images", needs=[])))
    found(shop, "a")
    pass_over(shop, RunContext(test_stage="images"))
    assert shop.sent == [("a", "images")]


def test_a_pass_over_a_job_with_no_stage_switched_on_ends(open_workshop):
    shop = open_workshop(papers=job(step("fetch", enabled=False)))
    found(shop, "a")
    pass_over(shop)
    assert shop.sent == []


def test_a_pass_over_a_paused_job_ends(shop):
    found(shop, "a")
    tracker.pause_job(shop.conn, "papers", "by hand")
    assert not pass_over(shop).all_done
    assert shop.status("a") == "pending"


def test_a_pass_waits_for_a_pause_that_lifts_itself_soon(shop):
    found(shop, "a")
    tracker.pause_job(shop.conn, "papers", "errors", until=datetime.now(UTC) + timedelta(seconds=0.5))
    assert pass_over(shop, looks=100_000).all_done


def test_a_pass_waits_for_a_retry_that_is_due_soon(shop):
    found(shop, "a")
    shop.acts["fetch"] = lambda context: RetryLater(0.3) if context.attempt == 1 else {"ok": True}
    prepare_pass(shop.runtime, "papers", RunContext(), cold=True)
    for _ in work_until_nothing_is_due(shop.runtime, "papers", shop.work):
        shop.publisher.waiting.extend(shop.publisher.countdowns)
        shop.publisher.countdowns.clear()
    assert finish_pass(shop.runtime, "papers").all_done


@pytest.fixture
def far_shop(open_workshop, monkeypatch):
    """A job with a stage far away, whose workers a pass waits for only shortly."""
    monkeypatch.setattr(single_pass, "WAIT_SECONDS", 0.2)
    shop = open_workshop(papers=job(step("fetch"), step("model", queue="gpu", remote=True)))
    found(shop, "a", "b")
    return shop


def work_beside_the_file(shop):
    """Work off what waits, up to what is far away."""
    waiting = shop.publisher.waiting
    while waiting and waiting[0].stage != "model":
        shop.take()


def test_a_pass_ends_where_no_worker_serves_a_queue_and_says_so(far_shop):
    prepare_pass(far_shop.runtime, "papers", RunContext(), cold=True)
    for _ in work_until_nothing_is_due(far_shop.runtime, "papers", lambda: work_beside_the_file(far_shop)):
        pass
    assert (far_shop.status("a", "fetch"), far_shop.status("a", "model")) == ("done", "pending")
    assert finish_pass(far_shop.runtime, "papers").unserved == ["gpu"]


def test_a_pass_waits_for_a_worker_far_away_that_serves_the_queue(far_shop):
    now = now_ms()
    note_worker(far_shop.conn, WorkerWord("there", 7, "far@there", [8], ["gpu"], "1", True, False, now, now))
    prepare_pass(far_shop.runtime, "papers", RunContext(), cold=True)
    began = time.monotonic()
    for _ in work_until_nothing_is_due(far_shop.runtime, "papers", lambda: work_beside_the_file(far_shop)):
        if time.monotonic() - began > 1:  # five times as long as for one that is not there
            far_shop.work()
    finished = finish_pass(far_shop.runtime, "papers")
    assert (finished.all_done, finished.unserved) == (True, [])


def test_a_pass_leaves_a_later_retry_to_the_next_and_says_when_it_is_due(shop):
    found(shop, "a")
    at = datetime.now(UTC) + timedelta(hours=2)
    shop.acts["fetch"] = lambda _: RetryLater(at=at)
    finished = pass_over(shop)
    assert not finished.all_done
    assert abs(finished.next_due_at - at.timestamp() * 1000) < 1000


def test_a_cold_pass_gives_back_the_claims_of_dead_workers(shop):
    shop.add("a")
    shop.dispatch()
    shop.publisher.waiting.clear()
    claim(shop.conn, shop.item_id("a"), "fetch", 1, worker="gone")
    assert pass_over(shop).all_done


@pytest.mark.parametrize(("run", "cold"), [(RunContext(no_reset=True), True), (RunContext(), False)])
def test_claims_are_left_to_their_leases_if_asked_or_if_others_may_be_running(shop, run, cold):
    shop.add("a")
    shop.dispatch()
    claim(shop.conn, shop.item_id("a"), "fetch", 1, worker="busy")
    prepare_pass(shop.runtime, "papers", run, cold=cold)
    assert shop.status("a", "fetch") == "in_progress"


def test_a_pass_goes_on_with_what_it_has_when_the_source_is_away(shop):
    def away():
        raise SourceUnavailableError("down")

    shop.add("a")
    shop.plugins.find = away
    ready = prepare_pass(shop.runtime, "papers", RunContext(), cold=True)
    assert ready.discovered.retry_at is not None
    for _ in work_until_nothing_is_due(shop.runtime, "papers", shop.work):
        pass
    assert shop.status("a") == "done"


def test_a_pass_that_only_discovers_sends_nothing(shop):
    found(shop, "a")
    ready = prepare_pass(shop.runtime, "papers", RunContext(discover_only=True), cold=True)
    assert ready.discovered.new == 1
    assert shop.sent == []


def test_a_failed_item_is_not_done(shop):
    found(shop, "a")
    shop.acts["fetch"] = lambda _: GiveUp("no")
    finished = pass_over(shop)
    assert (finished.statuses["failed"], finished.all_done) == (1, False)


@pytest.mark.parametrize("budget", [{"usd_total": 1.0}, {"usd_per_item": 0.7}])
def test_a_pass_whose_budget_is_reached_does_what_costs_nothing_and_ends(open_workshop, budget):
    shop = open_workshop(papers=job(step("fetch"), step("model"), step("again"), budget=budget))
    shop.acts["model"] = shop.acts["again"] = lambda context: context.cost(0.4, "openai") or {}
    found(shop, *(f"k{number}" for number in range(12)))
    finished = pass_over(shop)
    assert not finished.all_done
    assert tracker.stage_stats(shop.conn, "papers")["fetch"]["done"] == 12
