"""Each cause is seen from a tracker that the real functions brought to that state."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from string import ascii_lowercase

import pytest
import time_machine
from workshop import job, step

import runner
import tracker
from pipeline.errors import NotFoundError
from pipeline.outcomes import GiveUp, RetryLater, Skip
from runner.causes import CAUSES
from runner.explain import explain_item, explain_job, find_job, read_job
from runner.places import JobOnFile
from runner.sweep import sweep
from tracker import hosts, pauses
from tracker.claims import claim
from tracker.clock import now_ms
from tracker.connection import write
from tracker.discoveries import begin_discovery, fail_discovery
from tracker.host_waits import wait_for_host
from tracker.notes import SWEPT_AT, set_note
from tracker.pauses import Target
from tracker.workers import WorkerWord, note_beat, note_worker

NOON = "2026-11-25T12:00:00Z"
NAMES = [cause.name for cause in CAUSES]


@pytest.fixture(autouse=True)
def clock():
    """Stop the clock; a test moves it on."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def house(open_workshop):
    """Open a workshop over some jobs, in a house where a worker lives and the sweep comes by."""

    def build(*, queues=("celery",), **jobs):
        shop = open_workshop(**jobs)
        live(shop, *queues)
        return shop

    return build


def live(shop, *queues, name="w3@here", pid=7, processes=(8, 9), **more):
    word = WorkerWord("here", pid, name, list(processes), list(queues), "v", False, False, now_ms(), now_ms())
    note_worker(shop.conn, replace(word, **more))
    set_note(shop.conn, SWEPT_AT, str(now_ms()))


def on_file(shop, name="papers"):
    shop.look_again()
    return find_job(shop.runtime.jobs, name)


def why(shop, key="a"):
    """Explain an item of `papers`; its cause."""
    return explain_item(shop.conn, on_file(shop), "papers", key).cause


def why_job(shop):
    return explain_job(shop.conn, on_file(shop), "papers")


def parts(shop):
    return [(part.stage, part.state, part.count, part.cause.cause) for part in why_job(shop).parts]


ONE = {"papers": job(step("fetch"))}
TWO = {"papers": job(step("fetch"), step("store"))}


def test_claimed_by_whom_for_how_long_and_how_far(house, clock):
    shop = house(**ONE)
    (item_id,) = shop.add("a")
    shop.dispatch()
    assert claim(shop.conn, item_id, "fetch", 1, worker="here:8")
    tracker.progress.tell_progress(shop.conn, item_id, "fetch", 1, done=3, total=10, note="pages")
    clock.shift(20)
    told = why(shop)
    assert told.cause == "claimed"
    assert told.words == "claimed by w3@here (process 8) for 20 s, 3 of 10 done (pages)"
    assert why_job(shop).cause.words == told.words.replace(", 3 of 10 done (pages)", "")
    assert why_job(shop).moves


def test_a_claim_whose_worker_does_not_renew_it(house, clock):
    shop = house(**ONE)
    (item_id,) = shop.add("a")
    shop.dispatch()
    claim(shop.conn, item_id, "fetch", 1, worker="elsewhere:8")
    clock.shift(90)
    assert why(shop).cause == "worker_silent"
    assert why(shop).words == "claimed by elsewhere:8, whose lease ran out 1 m ago"
    assert not why_job(shop).moves


def test_an_item_that_is_through_is_at_no_stage(house):
    shop = house(**TWO)
    shop.run("a")
    assert explain_item(shop.conn, on_file(shop), "papers", "a").stage is None


def test_an_item_that_is_through_has_nothing_left_to_do(house):
    shop = house(**TWO)
    shop.run("a")
    assert why(shop).cause == "done"
    assert why(shop).words == "nothing left to do"


def test_an_item_that_is_through_but_for_a_stage_that_is_not_applied_yet(house):
    shop = house(**ONE)
    shop.run("a")
    shop.edit(**TWO)
    assert why(shop).cause == "not_applied"
    assert why(shop).words == "done, but for store, which jobs.yaml has and the tracker has not yet"


def test_an_item_of_which_a_stage_was_skipped_says_which_and_why(house):
    shop = house(**ONE)
    shop.acts["fetch"] = lambda _: Skip("too short")
    shop.run("a")
    assert why(shop).words == "nothing left to do: fetch was skipped, too short"


def test_a_failure_says_what_and_how_to_retry(house):
    shop = house(**TWO)

    def refuse(context):
        raise ValueError(f"no page {context.key}")

    shop.acts["fetch"] = refuse
    shop.edit(papers=job(step("fetch", retries=0), step("store")))
    shop.run("1", "2")
    told = why(shop, "1")
    assert told.cause == "failed"
    assert told.words == "failed: ValueError: no page 1; 2 are alike"
    assert "`celeriac retry papers --key 1`" in told.do
    assert ("fetch", "failed", 2, "failed") in parts(shop)
    assert why_job(shop).cause.cause == "failed"


def test_what_a_handler_gave_up_says_why(house):
    shop = house(**ONE)
    shop.acts["fetch"] = lambda _: GiveUp("it is withdrawn")
    shop.run("a")
    assert why(shop).words.startswith("failed: ")
    assert "it is withdrawn" in why(shop).words


def test_a_stage_waits_for_the_stage_that_it_needs_and_says_what_that_is(house):
    shop = house(**TWO)
    shop.add("a")
    shop.dispatch()
    explained = explain_item(shop.conn, on_file(shop), "papers", "a")
    assert [(one.stage, one.cause.cause) for one in explained.stages] == [
        ("fetch", "sent"),
        ("store", "waits_for_stage"),
    ]
    assert explained.stages[1].cause.words == "waits for fetch, which is pending"
    assert explained.stage == "fetch"


def test_a_stage_says_what_it_failed_with_however_many_failures_another_has(house):
    shop = house(papers=job(step("fetch", retries=0), step("store", retries=0)))

    def refuse(context):
        raise ValueError(f"no page {context.key}")

    shop.acts["store"] = refuse
    shop.run("seldom")
    shop.acts["fetch"] = refuse
    shop.run(*(f"{letter * 3} {number}" for letter in ascii_lowercase for number in (2, 3)))
    told = {part.stage: part.cause.words for part in why_job(shop).parts if part.state == "failed"}
    assert told["store"] == "failed: ValueError: no page seldom"
    assert told["fetch"].endswith("; 2 are alike")
    assert [why(shop, key).words for key in ("aaa 3", "zzz 2")] == [
        "failed: ValueError: no page aaa 3; 2 are alike",
        "failed: ValueError: no page zzz 2; 2 are alike",
    ]


def test_a_stage_behind_one_that_failed_follows_only_when_that_is_retried(house):
    shop = house(papers=job(step("fetch", retries=0), step("text"), step("store")))
    shop.acts["fetch"] = lambda context: GiveUp("it is withdrawn") if context.key == "a" else RetryLater(3600)
    shop.run("a", "b")
    explained = explain_item(shop.conn, on_file(shop), "papers", "a")
    retry = "`celeriac retry papers --key a`: it follows when fetch is done"
    assert [one.cause.do for one in explained.stages[1:]] == [retry, retry]
    explained = explain_item(shop.conn, on_file(shop), "papers", "b")
    assert [one.cause.do for one in explained.stages[1:]] == ["nothing: it follows"] * 2
    blocked = [part for part in why_job(shop).parts if part.state == "blocked"]
    assert {part.cause.do for part in blocked} == {
        "nothing: it follows; where a stage before it failed, `celeriac retry papers`"
    }


def test_an_item_above_the_cap_waits_for_approval(open_workshop, clock):
    shop = open_workshop(papers=job(step("fetch"), first_run_max=1))
    shop.plugins.find = lambda: [{"key": "a"}, {"key": "b"}]
    runner_discover(shop)
    clock.shift(60)
    assert why(shop, "b").cause == "held"
    assert why(shop, "b").do == "`celeriac approve papers`"
    assert (None, "held", 1, "held") in parts(shop)


def runner_discover(shop):
    from runner.discover import discover

    discover(shop.runtime, "papers")


def test_a_job_that_jobs_yaml_does_not_have(house):
    shop = house(**ONE)
    shop.add("a")
    shop.edit(others=job(step("fetch")))
    assert why(shop).cause == "not_in_jobs_file"
    assert why_job(shop).cause.cause == "not_in_jobs_file"


def test_a_job_that_is_switched_off(house):
    shop = house(**ONE)
    shop.add("a")
    shop.edit(papers=job(step("fetch"), enabled=False))
    assert why(shop).cause == "switched_off"


def test_a_job_that_cannot_run_here(house):
    shop = house(**ONE)
    shop.add("a")
    lacking = step("fetch")
    lacking["params"]["do"] = "${NO_SUCH_VARIABLE_HERE}"
    shop.edit(papers=job(lacking))
    assert why(shop).cause == "cannot_run_here"
    assert "NO_SUCH_VARIABLE_HERE" in why(shop).words


def test_a_stage_that_is_switched_off_and_does_not_know_it_yet(house):
    shop = house(**TWO)
    shop.add("a")
    shop.dispatch()
    shop.edit(papers=job(step("fetch", enabled=False), step("store")))
    assert why(shop).cause == "stage_off"


@pytest.mark.parametrize(
    ("target", "words", "do"),
    [
        (Target.everything(), "everything is paused by ada until", "celeriac unpause --all"),
        (Target.of_job("papers"), "the job is paused by ada until", "celeriac unpause papers"),
        (
            Target.of_stage("papers", "fetch"),
            "the stage fetch is paused by ada",
            "unpause papers --stage fetch",
        ),
    ],
)
def test_a_pause_says_by_whom_until_when_and_why(house, target, words, do):
    shop = house(**ONE)
    shop.add("a")
    shop.dispatch()
    pauses.pause(shop.conn, target, "cost limit", until=now_ms() + 7_200_000, by="ada")
    told = why(shop)
    assert told.cause == "paused"
    assert told.words.startswith(words)
    assert told.words.endswith("until 2026-11-25 14:00:00 UTC (in 2 h): cost limit")
    assert do in told.do
    assert not why_job(shop).moves


def test_a_pause_of_another_stage_or_job_holds_nothing_here(house):
    shop = house(**TWO)
    shop.add("a")
    shop.dispatch()
    pauses.pause(shop.conn, Target.of_stage("papers", "store"), "later", by="ada")
    pauses.pause(shop.conn, Target.of_job("hn"), "later", by="ada")
    pauses.pause(shop.conn, Target.of_host("example.org"), "later", by="ada")
    assert why(shop).cause == "sent"


def test_a_paused_host_holds_the_items_that_lie_there(house):
    shop = house(**ONE)
    shop.add("a", data={"url": "https://www.example.org/a"})
    pauses.pause(shop.conn, Target.of_host("example.org"), "asked to", by="ada")
    assert why(shop).words == "the host example.org is paused by ada: asked to"


def test_a_stage_that_came_back_from_a_paused_host_waits_for_that(house):
    shop = house(**ONE)
    pauses.pause(shop.conn, Target.of_host("example.org"), "asked to", until=now_ms() + 60_000, by="ada")
    shop.acts["fetch"] = lambda _: RetryLater(delay=7200, reason="example.org is paused", host="example.org")
    shop.run("a")
    assert why(shop).cause == "paused"
    assert why(shop).words.startswith("the host example.org is paused by ada until 2026-11-25 12:01:00")


def test_a_pause_that_ends_before_a_stage_is_due_is_not_what_it_waits_for(house):
    shop = house(**ONE)
    shop.acts["fetch"] = lambda _: RetryLater(delay=7200, reason="quota")
    shop.run("a")
    pauses.pause(shop.conn, Target.of_job("papers"), "lunch", until=now_ms() + 60_000, by="ada")
    assert why(shop).cause == "retry_at"
    pauses.pause(shop.conn, Target.of_job("papers"), "holidays", by="ada")
    assert why(shop).cause == "paused"


def test_a_breaker_is_open_and_then_probes(house, clock):
    shop = house(
        papers=job(step("fetch", retries=0), breaker={"after": 2, "of": "any", "pause": "15m", "max": "12h"})
    )

    def fail(context):
        raise ValueError("the site is down")

    shop.acts["fetch"] = fail
    shop.run("1", "2")
    shop.add("a")
    assert why(shop).cause == "breaker_open"
    assert "2 failures in a row" in why(shop).words
    clock.shift(901)
    sweep(shop.runtime)
    live(shop, "celery")
    assert why(shop).cause == "breaker_probing"


def pay(usd):
    def act(context):
        context.cost(usd, "openai")
        return {}

    return act


def test_a_budget_that_is_reached_says_what_waits_and_when_it_resumes(house):
    shop = house(papers=job(step("fetch"), step("model"), budget={"usd_per_day": 1}))
    shop.acts["model"] = pay(0.6)
    shop.run("0")
    shop.run("1")
    shop.run("a", "b", "c")
    while shop.dispatch():
        shop.work()
    told = why(shop, "c")
    assert told.cause == "over_budget"
    assert re.search(
        r"the budget of \$1.00 a day is reached: \d waiting, about \$\d.\d+, resumes 2026-11-26", told.words
    )
    assert why_job(shop).cause.cause == "over_budget"
    assert not why_job(shop).moves


def test_what_waits_for_a_budget_counts_items_that_begin_behind_a_stage_that_is_off(house):
    shop = house(papers=job(step("fetch", enabled=False), step("model"), budget={"usd_per_day": 1}))
    shop.acts["model"] = pay(0.9)
    shop.run("0")
    shop.run("a", "b")
    assert "2 waiting, about $1.80" in why(shop, "a").words


def test_what_others_may_spend_is_set_aside_for_them(house):
    shop = house(papers=job(step("model"), budget={"usd_per_day": 1}))
    shop.acts["model"] = pay(0.3)
    shop.run("0")
    shop.add("a", "b", "c")
    assert shop.dispatch() == 2
    told = why(shop, "c")
    assert told.cause == "budget_set_aside"
    assert (
        told.words == "what the budget leaves is set aside for those that are out: model costs about $0.3000"
    )
    shop.acts["model"] = pay(0.1)
    shop.work()
    assert shop.sent[-1] == ("c", "model")
    assert why(shop, "c").cause == "done"


def test_nothing_is_said_to_be_set_aside_where_a_budget_leaves_just_enough(house):
    shop = house(papers=job(step("model"), budget={"usd_per_day": 0.3}))
    shop.acts["model"] = pay(0.1)
    with time_machine.travel("2026-11-01T12:00:00Z", tick=False):
        shop.run("0")
    shop.add("a", "b")
    assert shop.dispatch() == 2
    shop.add("c")  # 0.3 less 0.2 is a little less than 0.1, for a computer
    assert why(shop, "c").cause != "budget_set_aside"
    assert shop.dispatch() == 1


def test_nothing_is_said_to_be_set_aside_where_all_that_a_budget_lacks_was_spent(house):
    shop = house(papers=job(step("model"), budget={"usd_per_day": 1}))
    shop.acts["model"] = pay(0.6)
    shop.run("0")
    shop.add("a")
    assert why(shop).cause == "ready"
    assert shop.dispatch() == 0
    assert why(shop).cause == "over_budget"


def test_an_item_that_would_spend_more_than_one_may(house):
    shop = house(papers=job(step("fetch"), step("model"), step("again"), budget={"usd_per_item": 1}))
    shop.acts["model"] = shop.acts["again"] = pay(0.4)
    shop.run("0")
    shop.acts["model"] = pay(0.9)
    shop.run("a")
    while shop.dispatch():
        shop.work()
    assert why(shop).cause == "item_over_budget"
    assert ("again", "ready", 1, "item_over_budget") in parts(shop)


def test_a_retry_says_when_and_why(house):
    shop = house(**ONE)
    shop.acts["fetch"] = lambda _: RetryLater(delay=7200, reason="quota of the day used up")
    shop.run("a")
    assert why(shop).cause == "retry_at"
    assert why(shop).words == "waits until 2026-11-25 14:00:00 UTC (in 2 h): quota of the day used up"
    assert why(shop).do == "wait, or `celeriac wake papers a`"
    assert why_job(shop).cause.words == why(shop).words


def test_a_host_that_asked_to_slow_down(house):
    shop = house(**ONE)
    shop.acts["fetch"] = lambda _: RetryLater(delay=3600, reason="example.org is asked again in 1 h")
    shop.run("a", data={"url": "https://example.org/a"})
    hosts.slow_host(shop.conn, "example.org", 3600, "429 Too Many Requests", 0, "here")
    assert why(shop).cause == "host_limit"
    assert "example.org is not asked until 2026-11-25 13:00:00" in why(shop).words
    assert "429" in why(shop).words


def test_no_worker_serves_the_queue_of_the_stage(house, clock):
    shop = house(papers=job(step("fetch", queue="slow")))
    shop.add("a")
    shop.dispatch()
    assert why(shop).cause == "no_worker"
    assert why(shop).words == "no worker serves the queue slow"
    assert why(shop).do == "`celeriac worker --queues slow`"
    live(shop, "slow")
    assert why(shop).cause == "sent"
    clock.shift(70)
    assert why(shop).words == "no worker serves the queue slow; the last was seen 1 m 10 s ago"
    live(shop, "slow", scoped=True)
    assert why(shop).cause == "no_worker", "a worker of one run serves nobody else"


def test_what_was_sent_and_not_claimed_is_lost_after_a_while(house, clock):
    shop = house(**ONE)
    shop.add("a")
    shop.dispatch()
    clock.shift(10)
    assert why(shop).cause == "sent"
    assert why(shop).words == "sent 10 s ago, and claimed when a worker is free; sent again in 50 s"
    clock.shift(55)
    live(shop, "celery")
    assert why(shop).cause == "message_lost"


def test_as_many_are_out_as_may_be_at_once(house):
    shop = house(papers=job(step("fetch", concurrency=1)))
    shop.add("first", "a")
    shop.dispatch()
    assert why(shop).cause == "concurrency"
    assert why(shop).words == "1 of fetch may run at once, and 1 are out"


def test_a_short_load_is_one_of_as_many_as_may_be_at_once(house, clock):
    together = {
        "name": "fetch",
        "handler": "workshop_plugins:Together",
        "params": {"do": "fetch"},
        "batch": 5,
    }
    shop = house(papers=job(together | {"concurrency": 2}))
    for key in ("first", "second", "a"):
        shop.add(key)
        shop.dispatch()
    assert why(shop).words == "2 of fetch may run at once, and 2 are out"
    claim(shop.conn, shop.item_id("first"), "fetch", 1, worker="here:8")
    assert why(shop).words == "2 of fetch may run at once, and 2 are out"


def test_a_rate_lets_the_next_go_later(house):
    shop = house(papers=job(step("fetch", rate="1/m")))
    shop.add("first", "a")
    shop.dispatch()
    shop.work()
    assert why(shop).cause == "rate"
    assert "1/m" in why(shop).words


def test_under_a_budget_a_stage_that_never_ran_goes_a_few_at_a_time(house):
    shop = house(papers=job(step("fetch"), budget={"usd_per_day": 5}))
    shop.add("1", "2", "3", "4", "a")
    shop.dispatch()
    assert why(shop).cause == "first_attempts"
    assert why(shop).words == "4 of fetch are out, and it is not known yet what one costs"


def test_what_is_asked_for_again_waits_for_what_is_fresh(house):
    shop = house(**ONE)
    shop.run("a")
    tracker.reset_stage(shop.conn, "papers", "fetch", ["a"])
    shop.add("fresh")
    send_only(shop, "fresh")
    assert why(shop).cause == "backfill"
    assert "leave it 25%" in why(shop).words


def send_only(shop, key):
    """Stamp one item only, as when the runway is full."""
    from tracker.dispatch import Candidate, stamp
    from tracker.plan import open_items

    with write(shop.conn):
        item_id = shop.item_id(key)
        open_items(shop.conn, "papers", [item_id], shop.runtime.plan(shop.spec()))
        stamp(shop.conn, [Candidate(0, 0, item_id, "fetch")])


def test_a_full_runway_says_how_many_are_sent_before(house):
    shop = house(**ONE)
    shop.add(*(f"k{number:03}" for number in range(400)))
    shop.add("a")
    shop.dispatch()
    assert why(shop).cause == "runway_full"
    assert re.fullmatch(
        r"\d+ of papers are sent before it: it follows when they are claimed", why(shop).words
    )


def test_a_short_load_waits_for_more(house):
    together = {
        "name": "fetch",
        "handler": "workshop_plugins:Together",
        "params": {"do": "fetch"},
        "batch": 5,
    }
    shop = house(papers=job(together))
    shop.add("a")
    assert why(shop).cause == "load_not_full"


def test_without_a_sweep_nothing_is_sent(house, clock):
    shop = house(**ONE)
    shop.add("a")
    assert why(shop).cause == "ready"
    set_note(shop.conn, SWEPT_AT, str(now_ms() - 600_000))
    assert why(shop).cause == "no_sweep"
    assert why(shop).words == "ready, but nobody has swept since 10 m"


def test_a_sweep_that_waits_for_a_process_is_told_from_none(house, clock):
    shop = house(papers=job(step("fetch", concurrency=1)), others=job(step("fetch")))
    (item_id,) = shop.add("a", job_id="others")
    shop.dispatch("others")
    claim(shop.conn, item_id, "fetch", 1, worker="here:8")
    shop.add("b")
    set_note(shop.conn, SWEPT_AT, str(now_ms() - 600_000))
    assert why(shop, "b").cause == "no_sweep"
    note_beat(shop.conn)
    told = why(shop, "b")
    assert told.cause == "sweep_waits"
    assert told.words == (
        "ready, but nobody has swept since 10 m: what runs takes long, and the sweep waits for a process"
    )
    clock.shift(50)  # the lease ran out
    assert why(shop, "b").cause == "no_sweep"


def test_what_nothing_holds_goes_with_the_next_sweep(house):
    shop = house(**ONE)
    shop.add("a")
    assert why(shop).words == "ready: the next sweep sends it, within 5 s"
    assert parts(shop) == [("fetch", "ready", 1, "ready")]
    assert why_job(shop).moves


def test_items_that_are_being_brought_to_other_stages(house):
    shop = house(**ONE)
    shop.add("a")
    sql = "INSERT INTO plan_changes (job_id, began_at, until_id, items) VALUES ('papers', 0, 9, 9)"
    shop.conn.execute(sql)
    assert why(shop).cause == "stages_changing"


def test_a_job_that_is_through_says_when_it_looks_again(house):
    shop = house(papers=job(step("fetch"), schedule="every 1h"))
    shop.run("a")
    told = why_job(shop).cause
    assert told.cause == "next_look"
    assert told.words == "every item is through; looks for more 2026-11-25 13:00:00 UTC (in 1 h): every 1 h"
    begin = begin_discovery(shop.conn, "papers")
    assert why_job(shop).cause.cause == "looking"
    fail_discovery(shop.conn, begin, "the site is away", now_ms() + 60_000)
    assert why_job(shop).cause.cause == "look_failed"
    assert (
        why_job(shop).cause.words
        == "the last look failed: the site is away; again 2026-11-25 12:01:00 UTC (in 1 m)"
    )


def test_a_job_that_was_asked_to_look_waits_for_the_next_sweep(house, clock):
    shop = house(papers=job(step("fetch"), schedule="every 1h"))
    fail_discovery(shop.conn, begin_discovery(shop.conn, "papers"), "the site is away", None)
    tracker.wake_job(shop.conn, "papers", by="ada")
    clock.shift(2)
    told = why_job(shop)
    assert (told.cause.cause, told.moves) == ("woken", True)
    assert told.cause.words == "was asked 2 s ago to look for items: the next sweep sends it, within 5 s"
    clock.shift(600)
    told = why_job(shop)
    assert (told.cause.cause, told.moves) == ("no_sweep", False)
    assert told.cause.words == "was asked to look for items, but nobody has swept since 10 m 2 s"
    begin_discovery(shop.conn, "papers")
    assert why_job(shop).cause.cause == "looking"


def test_a_look_that_met_a_paused_host_waits_for_that_and_did_not_fail(house):
    shop = house(papers=job(step("fetch"), schedule="every 1h"))
    pauses.pause(shop.conn, Target.of_host("example.org"), "asked to", by="ada")
    begin = begin_discovery(shop.conn, "papers")
    wait_for_host(shop.conn, begin, "example.org", "host example.org is paused", now_ms() + 60_000)
    told = why_job(shop).cause
    assert (told.cause, told.do) == ("look_waits", "`celeriac unpause --host example.org`, or wait")
    assert told.words == (
        "its look for items waits for the host example.org, which is paused by ada: asked to; "
        "again 2026-11-25 12:01:00 UTC (in 1 m)"
    )
    pauses.lift(shop.conn, Target.of_host("example.org"), "ada")
    assert why_job(shop).cause.cause == "look_failed"


def test_the_parked_stages_of_a_job_name_the_paused_host_that_they_wait_for(house):
    shop = house(**ONE)
    pauses.pause(shop.conn, Target.of_host("example.org"), "asked to", until=now_ms() + 60_000, by="ada")
    shop.acts["fetch"] = lambda _: RetryLater(delay=7200, reason="example.org is paused", host="example.org")
    shop.run("a")
    assert why_job(shop).cause.do == "`celeriac unpause --host example.org`"


def test_a_job_without_a_schedule_looks_when_asked(house):
    shop = house(**ONE)
    told = why_job(shop).cause
    assert (told.cause, told.words) == ("no_schedule", "no item yet; looks for more only when asked")
    assert told.do == "`celeriac wake papers` looks now"


def test_a_job_of_what_is_piped_in_is_not_sent_to_the_workers_who_have_no_pipe(house):
    shop = house(papers={"discovery": {"strategy": "stdin_lines"}, "stages": [step("fetch")]})
    told = why_job(shop).cause
    assert (told.cause, told.do) == ("no_schedule", "`… | celeriac discover papers` looks now")


def test_a_job_whose_jobs_yaml_is_refused_looks_as_the_last_good_one_says(house):
    shop = house(**ONE)
    told = explain_job(shop.conn, JobOnFile("unknown"), "papers").cause
    assert told.words == "no item yet; looks for more as the last good jobs.yaml says"


def test_a_job_tells_its_parts_with_counts_the_furthest_stage_first(house):
    shop = house(**TWO)
    shop.acts["fetch"] = lambda context: RetryLater(delay=7200, reason="quota") if context.key == "2" else {}
    shop.add("1", "2", "3")
    shop.dispatch()
    shop.take()
    shop.take()
    assert parts(shop) == [
        ("store", "sent", 1, "sent"),
        ("store", "blocked", 2, "waits_for_stage"),
        ("fetch", "sent", 1, "sent"),
        ("fetch", "parked", 1, "retry_at"),
    ]


@pytest.mark.parametrize(("errors", "said"), [
    (["no page"] * 3, "most of them failed: ValueError: no page; 3 are alike"),
    (["no page", "no page", "no title"], "most of them failed: ValueError: no page; 2 are alike"),
    (["no page", "no page", "no title", "no text"], "some of them failed: ValueError: no page; 2 are alike"),
    (["no page", "no title", "no text"], "some of them failed: ValueError: no "),
])  # fmt: skip
def test_most_of_the_failed_are_said_to_have_failed_so_only_where_more_than_half_have(house, errors, said):
    shop = house(papers=job(step("fetch", retries=0)))
    keys = {f"{number}": error for number, error in enumerate(errors)}

    def refuse(context):
        raise ValueError(keys[context.key])

    shop.acts["fetch"] = refuse
    shop.run(*keys)
    (part,) = explain_job(shop.conn, on_file(shop), "papers").parts
    assert part.cause.words.startswith(said)


def test_what_holds_several_alike_is_not_said_of_the_first_of_them(house):
    shop = house(papers=job(step("fetch", queue="slow")))
    shop.add("1", "2")
    shop.dispatch()
    words = [part.cause.words for part in explain_job(shop.conn, on_file(shop), "papers").parts]
    assert words == ["no worker serves the queue slow"]


@pytest.mark.parametrize(
    ("key", "typed"),
    [("a b", "'a b'"), ("-3", "-- -3"), ("a\x1bb", "$'a\\x1bb'")],
)
def test_a_command_to_type_names_its_key_as_a_shell_takes_it(house, key, typed):
    shop = house(papers=job(step("fetch")))
    shop.acts["fetch"] = lambda _: RetryLater(delay=7200)
    shop.run(key)
    assert why(shop, key).do == f"wait, or `celeriac wake papers {typed}`"


def test_of_branches_the_one_that_moves_is_told(house):
    shop = house(papers=job(step("fetch"), step("left", retries=0), step("right", needs=["fetch"])))

    def fail(context):
        raise ValueError("broken")

    shop.acts["left"] = fail
    shop.run("a")
    assert why(shop).cause == "failed"
    tracker.reset_stage(shop.conn, "papers", "right", ["a"])
    shop.dispatch()
    explained = explain_item(shop.conn, on_file(shop), "papers", "a")
    assert (explained.stage, explained.cause.cause) == ("right", "sent")
    assert {one.stage: one.cause.cause for one in explained.stages} == {
        "fetch": "done", "left": "failed", "right": "sent",
    }  # fmt: skip


def test_a_key_that_does_not_exist_is_named_with_its_nearest(house):
    shop = house(**ONE)
    shop.add("paper-1")
    with pytest.raises(NotFoundError, match="did you mean 'paper-1'"):
        why(shop, "paper-2")


def test_a_jobs_yaml_that_is_refused_leaves_what_the_tracker_knows(house):
    shop = house(**ONE)
    shop.add("a")
    shop.dispatch()
    shop.runtime.settings.jobs.write_text("jobs: [")
    file, refusal = read_job(shop.runtime.settings.jobs, "papers")
    assert (file, bool(refusal)) == (JobOnFile("unknown"), True)
    assert explain_item(shop.conn, file, "papers", "a").cause.cause == "sent"


def test_one_statement_reads_all_of_an_item(house):
    shop = house(**TWO)
    shop.run("a")
    file, statements = on_file(shop), []
    shop.conn.exec_trace = lambda _, sql, __: statements.append(sql) or True
    explain_item(shop.conn, file, "papers", "a")
    explain_job(shop.conn, file, "papers")
    shop.conn.exec_trace = None
    assert len(statements) == 2


def test_explanations_change_nothing(house):
    shop = house(**TWO)
    shop.add("a")
    before = shop.conn.total_changes()
    why(shop)
    why_job(shop)
    assert shop.conn.total_changes() == before


def read_page():
    page = (Path(runner.__file__).parent.parent / "docs" / "explain.md").read_text()
    return re.findall(r"^\| \d+ \| `(\w+)` \| (.*?) \| (.*?) \|$", page, flags=re.MULTILINE)


def test_the_page_has_the_table_of_causes_in_its_order():
    assert read_page() == [(cause.name, _as_cell(cause.words), _as_cell(cause.do)) for cause in CAUSES]


def _as_cell(text):
    return re.sub(r"\{(\w+)\}", r"*\1*", text)


def test_every_cause_has_a_name_of_its_own_and_a_test_of_its_own():
    assert len(set(NAMES)) == len(NAMES)
    tests = Path(__file__).read_text()
    assert [name for name in NAMES if f'"{name}"' not in tests] == []


def test_a_cause_survives_json(house):
    from dataclasses import asdict

    shop = house(**ONE)
    shop.add("a")
    assert json.loads(json.dumps(asdict(why(shop))))["cause"] == "ready"
