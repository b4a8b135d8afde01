"""A stage with `batch`: one task works on several items together, and each is tracked by itself."""

from __future__ import annotations

import random

import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater, Skip
from runner.candidates import SHORT_LOAD_WAITS_MS
from runner.context import RunContext
from runner.dry_run import rehearse
from runner.loads import list_loads
from tracker import claims, moves
from tracker.dispatch import Runway, count_loads
from tracker.endings import Ending
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


# -- how many run at once -----------------------------------------------------------------------------------


class Crew:
    """Workers, each of which begins one task, and ends it when it is told to."""

    def __init__(self, shop):
        self._shop, self._hired = shop, 0
        self.queue, self.running = [], []

    def dispatch(self):
        """Send what may go, and put each task on the queue."""
        self._shop.dispatch()
        sent = self._shop.publisher.waiting
        self.queue += [load for _, load in list_loads(self._shop.spec(), list(sent))]
        sent.clear()

    def begin(self, load=None):
        """Let another worker begin a task, or the first one on the queue; how many items it got."""
        load = self.queue.pop(0) if load is None else load
        self._hired += 1
        attempts = [(one.item_id, one.stage, one.attempt) for one in load]
        taken = claims.claim_together(self._shop.conn, attempts, worker=f"w:{self._hired}")
        self.running += [taken] if taken else []
        return len(taken)

    def end(self, number=0):
        """Let one task end."""
        for one in self.running.pop(number):
            moves.settle(self._shop.conn, one.item_id, one.stage, one.attempt, Ending.finished("{}", "1"))

    @property
    def out(self):
        return len(self.queue) + len(self.running)


def open_crew(open_workshop, size, **more):
    """Open a workshop with one stage that works on so many items together, and its crew."""
    bulk = {"name": "bulk", "handler": "workshop_plugins:Together", "params": {"do": "bulk"}, "batch": size}
    limits = {name: more.pop(name) for name in ("concurrency", "rate") if name in more}
    shop = open_workshop(papers=job(bulk | limits, **more))
    return shop, Crew(shop)


@pytest.mark.parametrize("begins", [True, False])
def test_concurrency_counts_short_loads_of_items_that_come_one_by_one(open_workshop, clock, begins):
    shop, crew = open_crew(open_workshop, 10, concurrency=2)
    for key in keys(15):  # all in one millisecond
        shop.add(key)
        crew.dispatch()
        if begins and crew.queue:
            assert crew.begin() == 1
    assert crew.out == 2


def test_what_waited_for_a_short_load_to_end_goes_in_one_load(open_workshop):
    shop, crew = open_crew(open_workshop, 10, concurrency=2)
    for key in keys(15):
        shop.add(key)
        crew.dispatch()
        if crew.queue:
            crew.begin()
    crew.end()
    crew.dispatch()
    assert [len(load) for load in crew.queue] == [10]
    crew.begin()
    crew.end()
    crew.dispatch()
    assert [len(load) for load in crew.queue] == [3]


def test_full_and_short_loads_fill_a_concurrency_together(open_workshop):
    shop, crew = open_crew(open_workshop, 3, concurrency=4)
    shop.add("alone")
    crew.dispatch()
    crew.begin()
    shop.add(*keys(20))
    crew.dispatch()
    assert [len(load) for load in crew.queue] == [3, 3, 3]
    crew.begin()
    crew.dispatch()
    assert crew.out == 4
    crew.end()
    crew.dispatch()
    assert crew.out == 4


def test_the_loads_of_both_lanes_count(open_workshop):
    shop, crew = open_crew(open_workshop, 10, concurrency=3)
    shop.add("again")
    crew.dispatch()
    crew.begin()
    crew.end()
    tracker.reset_stage(shop.conn, "papers", "bulk", ["again"])
    crew.dispatch()
    crew.begin()
    shop.add("fresh")
    crew.dispatch()
    shop.add("fresher")
    crew.dispatch()
    shop.add("freshest")
    crew.dispatch()
    assert (len(crew.running), len(crew.queue)) == (1, 2)


def test_a_load_of_which_a_part_is_left_is_one(open_workshop):
    shop, crew = open_crew(open_workshop, 3, concurrency=2)
    shop.add(*keys(8))
    crew.dispatch()
    for key in ("k1", "k3", "k4"):
        tracker.mark_skipped(shop.conn, shop.item_id(key))
    crew.dispatch()
    assert crew.out == 2  # three of six are left, in two loads
    assert (crew.begin(), crew.begin()) == (2, 1)
    crew.dispatch()
    assert crew.out == 2
    crew.end()
    crew.dispatch()
    assert [[one.key for one in load] for load in crew.queue] == [["k6", "k7"]]


def test_messages_taken_for_lost_that_come_after_all_are_counted_as_they_run(open_workshop, clock):
    shop, crew = open_crew(open_workshop, 3, concurrency=3)
    for key in keys(3):
        shop.add(key)
        crew.dispatch()
    late, crew.queue = crew.queue, []
    clock.shift(86_400)
    assert take_back_lost_messages(shop.conn) == 3
    crew.dispatch()
    (again,) = crew.queue
    assert len(again) == 3
    assert [crew.begin(load) for load in late] == [1, 1, 1]
    assert crew.begin() == 0  # its three run already
    shop.add("more")
    crew.dispatch()
    assert crew.out == 3


def test_loads_that_one_process_runs_at_once_are_told_apart(open_workshop, clock):
    shop, counted = open_workshop(papers=batch_job(concurrency=2)), []

    def act(contexts):
        if shop.publisher.waiting:
            shop.take()  # as a pool of threads does
        else:
            counted.append(count_loads(shop.conn, "papers", "bulk"))
        return [{} for _ in contexts]

    fetch_all(shop, 6)
    shop.acts["bulk"] = act
    shop.take()
    assert counted == [Runway(queued=0, running=2)]


def test_a_concurrency_is_kept_and_used_whatever_comes_and_goes(open_workshop):
    shop, crew = open_crew(open_workshop, 5, concurrency=4)
    chance, added = random.Random(11), 0
    for _ in range(300):
        act = chance.choice(["come", "come", "begin", "end", "sweep"])
        if act == "come":
            count = chance.choice([1, 1, 2, 7])
            shop.add(*(f"k{added + number}" for number in range(count)))
            added += count
        elif act == "begin" and crew.queue:
            crew.begin(crew.queue.pop(chance.randrange(len(crew.queue))))
        elif act == "end" and crew.running:
            crew.end(chance.randrange(len(crew.running)))
        crew.dispatch()
        waits = (
            added
            - tracker.stage_stats(shop.conn, "papers")["bulk"]["done"]
            - sum(len(load) for load in crew.queue + crew.running)
            if added
            else 0
        )
        assert crew.out <= 4
        assert crew.out == 4 or not waits
    assert added > 100


def test_short_loads_make_a_runway_no_longer_than_full_ones(open_workshop):
    shop, crew = open_crew(open_workshop, 100)
    shop.runtime.pace.note("papers", "celery", 10.0)
    low, high = shop.runtime.pace.marks("papers", "celery", 0)
    for key in keys(3 * high):
        shop.add(key)
        crew.dispatch()
    assert len(crew.queue) == low


def test_of_a_stage_with_known_costs_short_loads_are_as_many_as_they_tell(open_workshop):
    shop, crew = open_crew(open_workshop, 10, budget={"usd_per_day": 1000})
    shop.acts["bulk"] = lambda contexts: [one.cost(0.01, "openai") or {} for one in contexts]
    for first in (0, 10):
        shop.run(*(f"known{first + number}" for number in range(10)))
    for key in keys(15):
        shop.add(key)
        crew.dispatch()
        if crew.queue:
            crew.begin()
    assert crew.out == 2  # twenty costs are known: two loads of ten


def test_a_stage_that_is_rehearsed_alone_is_a_batch_of_one(shop):
    shop.plugins.find = lambda: [{"key": "a"}]
    given = list(rehearse(shop.runtime, "papers", RunContext(mode="dry_run", limit=1)))
    assert [(one.stage, one.ending) for one in given] == [("fetch", "done"), ("bulk", "done")]
