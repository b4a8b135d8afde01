"""A stage with `batch`: one task works on several items together, and each is tracked by itself."""

from __future__ import annotations

import pytest
import time_machine
from workshop import job, step

from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater, Skip
from runner.candidates import SHORT_LOAD_WAITS_MS
from runner.context import RunContext
from runner.dry_run import rehearse
from runner.loads import list_loads
from tracker import claims
from tracker.messages import take_back_lost_messages, wake_parked_stages
from tracker.recovery import release_lost_worker


def batch_job(**more):
    bulk = {"name": "bulk", "handler": "workshop_plugins:Together", "params": {"do": "bulk"}, "batch": 3}
    return job(step("fetch"), bulk | more)


@pytest.fixture
def shop(open_workshop):
    """Open a workshop whose second stage works on three items together."""
    return open_workshop(papers=batch_job())


@pytest.fixture
def calls(shop):
    """Give the keys of each call to the handler, oldest first, when called."""
    return lambda: [keys for stage, keys in shop.plugins.seen if stage == "bulk"]


@pytest.fixture
def clock():
    """Stop the clock; a test moves it on."""
    with time_machine.travel("2026-11-25T12:00:00+00:00", tick=False) as traveller:
        yield traveller


def keys(count):
    return [f"k{number}" for number in range(count)]


def waiting(shop, stage):
    return [message for message in shop.publisher.waiting if message.stage == stage]


def fetch_all(shop, count):
    """Bring so many items to the second stage, and give the messages that are then on the queue."""
    shop.add(*keys(count))
    shop.dispatch()
    while waiting(shop, "fetch"):
        shop.take()
    return waiting(shop, "bulk")


def states(shop):
    sql = "SELECT status, retries FROM item_stages WHERE stage = 'bulk' ORDER BY item_id"
    return [tuple(row) for row in shop.conn.execute(sql)]


def test_full_batches_go_and_the_last_is_short_when_nothing_more_is_coming(shop, calls):
    shop.run(*keys(10))
    assert [len(call) for call in calls()] == [3, 3, 3, 1]
    assert {shop.status(key) for key in keys(10)} == {"done"}
    assert shop.result("k7", "bulk") == {"key": "k7", "saw": ["fetch"]}


def test_each_item_of_a_batch_ends_in_its_own_way(shop):
    shop.acts["bulk"] = lambda _: [{"n": 1}, Skip("not this"), GiveUp("never")]
    shop.run(*keys(3))
    assert [shop.status(key, "bulk") for key in keys(3)] == ["done", "skipped", "failed"]
    ended = [event["kind"] for event in shop.events("finish", "skip", "fail") if event["stage"] == "bulk"]
    assert sorted(ended) == ["fail", "finish", "skip"]


def test_an_exception_in_the_place_of_an_outcome_fails_that_item_alone(shop, calls):
    shop.acts["bulk"] = lambda _: [{}, ValueError("bad input"), {}]
    shop.run(*keys(3))
    assert states(shop) == [("done", 0), ("pending", 1), ("done", 0)]
    assert [failure["message"] for failure in shop.failures()] == ["bad input"]
    assert len(calls()) == 1


def test_one_bad_item_that_fails_them_all_fails_alone(shop, calls):
    def refuse_k1(contexts):
        if any(context.key == "k1" for context in contexts):
            raise RuntimeError("one of them is bad")
        return [{} for _ in contexts]

    shop.acts["bulk"] = refuse_k1
    shop.run(*keys(3))
    assert calls() == [["k0", "k1", "k2"], ["k0"], ["k1"], ["k2"]]
    assert states(shop) == [("done", 0), ("pending", 1), ("done", 0)]


@pytest.mark.parametrize("ended", [[{}], {}, None, "abc"])
def test_a_handler_that_gives_no_list_of_outcomes_has_broken_its_contract(shop, ended):
    shop.acts["bulk"] = lambda _: ended if ended != [{}] else [{}, {}]
    shop.run(*keys(3))
    assert {failure["error_type"] for failure in shop.failures()} == {"HandlerContractError"}
    assert states(shop) == [("pending", 1)] * 3


def test_a_result_that_is_not_json_fails_its_item_alone(shop):
    shop.acts["bulk"] = lambda _: [{}, {"score": float("nan")}, {}]
    shop.run(*keys(3))
    assert states(shop) == [("done", 0), ("pending", 1), ("done", 0)]
    assert "result.score" in shop.failures()[0]["message"]


def test_a_source_that_is_away_makes_them_all_come_back_later_and_uses_no_retry(shop, calls):
    def away(_):
        raise SourceUnavailableError("slow down", retry_after_seconds=600)

    shop.acts["bulk"] = away
    shop.run(*keys(3))
    assert states(shop) == [("pending", 0)] * 3
    assert len(calls()) == 1


def test_a_time_out_is_the_failure_of_all_and_nothing_is_tried_again_in_the_same_task(shop, calls):
    def overrun(_):
        raise TimeoutError("still running")

    shop.acts["bulk"] = overrun
    shop.run(*keys(3))
    assert states(shop) == [("pending", 1)] * 3
    assert len(calls()) == 1


def test_items_that_come_back_later_make_a_batch_again(shop, calls, clock):
    shop.acts["bulk"] = lambda contexts: [RetryLater(5, "soon") for _ in contexts]
    shop.run(*keys(3))
    assert not shop.publisher.countdowns
    del shop.acts["bulk"]
    clock.shift(6)
    assert wake_parked_stages(shop.conn) == 3
    shop.dispatch()
    shop.work()
    assert calls() == [["k0", "k1", "k2"]] * 2


def test_a_short_batch_waits_while_more_is_coming_but_not_for_ever(shop, clock):
    shop.add(*keys(2))
    shop.dispatch()
    shop.take()
    shop.dispatch()
    assert not waiting(shop, "bulk")  # k1 is on its way
    clock.shift(SHORT_LOAD_WAITS_MS / 1000 + 1)
    shop.dispatch()
    assert [message.key for message in waiting(shop, "bulk")] == ["k0"]


def test_one_under_which_a_worker_died_goes_alone(shop, clock):
    first, *_ = fetch_all(shop, 4)
    shop.publisher.waiting.clear()
    assert claims.claim(shop.conn, first.item_id, "bulk", 1, worker="w1")
    release_lost_worker(shop.conn, first.item_id, "bulk", 1, "killed by signal 9")
    clock.shift(86_400)
    take_back_lost_messages(shop.conn)
    shop.dispatch()
    loads = [[message.key for message in load] for _, load in list_loads(shop.spec(), shop.publisher.waiting)]
    assert sorted(loads) == [["k0"], ["k1", "k2", "k3"]]


def test_a_duplicate_message_of_a_batch_claims_nothing(shop, calls):
    load = fetch_all(shop, 3)
    assert len(shop.deliver_together(load)) == 3
    assert shop.deliver_together(load) == []
    assert len(calls()) == 1


def test_a_worker_that_is_stopped_gives_all_of_a_batch_back(shop):
    def stop(_):
        raise KeyboardInterrupt

    shop.acts["bulk"] = stop
    load = fetch_all(shop, 3)
    with pytest.raises(KeyboardInterrupt):
        shop.deliver_together(load)
    assert states(shop) == [("pending", 0)] * 3


def test_concurrency_counts_batches(open_workshop):
    shop = open_workshop(papers=batch_job(concurrency=2))
    assert len(fetch_all(shop, 12)) == 6
    shop.take()
    assert len(waiting(shop, "bulk")) == 6


def test_a_stage_that_is_rehearsed_alone_is_a_batch_of_one(shop):
    shop.plugins.find = lambda: [{"key": "a"}]
    given = list(rehearse(shop.runtime, "papers", RunContext(mode="dry_run", limit=1)))
    assert [(one.stage, one.ending) for one in given] == [("fetch", "done"), ("bulk", "done")]
