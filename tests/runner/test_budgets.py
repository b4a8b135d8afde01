"""Budgets: what a stage is expected to cost is set aside before it is sent, and what would go beyond waits."""

from __future__ import annotations

import itertools
import os
import signal

import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.outcomes import RetryLater
from runner.actions import Order, carry_out, find_undoable, undo
from runner.budget_review import review_budgets
from runner.budgets import FIRST_ATTEMPTS
from runner.choices import choose_keys
from runner.context import RunContext
from runner.sweep import sweep
from tracker import moves
from tracker.budgets import describe, find_day, list_budget_reports
from tracker.clock import now_ms
from tracker.endings import Ending
from tracker.holds import find_reached, list_holds
from tracker.retention import forget_costs
from tracker.spending import read_stage_costs

NOON = "2026-03-28T12:00:00Z"


@pytest.fixture
def clock():
    """Stop the clock; a test moves it on."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def pay(usd):
    def act(context):
        context.cost(usd, "openai")
        return {"ok": True}

    return act


def reserved(shop):
    return [tuple(row) for row in shop.conn.execute("SELECT item_id, stage, attempt, usd FROM reservations")]


def spent(shop, job_id="papers"):
    return tracker.get_daily_cost(shop.conn, job_id)


def open_shop(open_workshop, *, usd=1.0, stages=(), **budget):
    shop = open_workshop(
        papers=job(step("fetch"), step("model"), *stages, budget=budget or {"usd_per_day": 1})
    )
    shop.acts["model"] = pay(usd)
    return shop


def learn(shop):
    """Let the tracker know what `model` costs, as if an item had been through before today."""
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        shop.run("known")


def work(shop, *, limit=1000):
    """Dispatch and work until nothing can be sent; how many attempts that took."""
    for taken in range(limit):
        if not shop.publisher.waiting and not shop.dispatch():
            return taken
        shop.take()
    raise AssertionError("it never ends")


def test_a_day_spends_no_more_than_its_budget_and_the_next_day_goes_on(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.3, usd_per_day=1)
    learn(shop)
    shop.add(*(f"k{n}" for n in range(8)))
    work(shop)
    assert spent(shop) == pytest.approx(0.9)
    assert tracker.stage_stats(shop.conn, "papers")["fetch"]["done"] == 9  # what costs nothing goes on
    clock.shift(86_400)
    sweep(shop.runtime)
    work(shop)
    assert spent(shop) == pytest.approx(0.9)
    assert tracker.stage_stats(shop.conn, "papers")["model"]["done"] == 7


def test_what_is_expected_is_set_aside_with_the_stamp_and_given_back_with_the_ending(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.3, usd_per_day=1)
    learn(shop)
    a, *_ = shop.add("a", "b")
    shop.dispatch()
    while shop.publisher.waiting[0].stage == "fetch":
        shop.take()
    assert reserved(shop) == [(a, "model", 1, pytest.approx(0.3)), (a + 1, "model", 1, pytest.approx(0.3))]
    shop.take()
    assert [row[0] for row in reserved(shop)] == [a + 1]
    shop.work()
    assert reserved(shop) == []


def test_what_an_attempt_spends_is_taken_off_what_was_set_aside_for_it(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.3, usd_per_day=1)
    learn(shop)
    seen = []

    def act(context):
        for usd in (0.1, 0.1, 0.5):
            context.cost(usd, "openai")
            seen.append(reserved(shop)[0][3])
        return {}

    shop.acts["model"] = act
    shop.run("a")
    assert seen == [pytest.approx(0.2), pytest.approx(0.1), 0.0]


ENDINGS = {
    "finished": lambda: Ending.finished("{}", "1"),
    "skipped": lambda: Ending.skipped("no"),
    "gave up": lambda: Ending.gave_up("no"),
    "later": lambda: Ending.later("quota", 10**15),
    "released": lambda: Ending.released("stopping"),
    "expired": lambda: Ending.expired(0),
    "poison": lambda: Ending.expired(2),
}


@pytest.mark.parametrize("how", sorted(ENDINGS))
def test_however_an_attempt_ends_nothing_stays_set_aside(open_workshop, clock, how):
    shop = open_shop(open_workshop, usd=0.3, usd_per_day=1)
    learn(shop)
    a, *_ = shop.add("a")
    shop.dispatch()
    shop.take()
    assert tracker.claims.claim(shop.conn, a, "model", 1, worker="w")
    assert len(reserved(shop)) == 1
    moves.settle(shop.conn, a, "model", 1, ENDINGS[how]())
    assert reserved(shop) == []


@pytest.mark.parametrize("act", ["lost", "vanished", "away", "reset", "switched off", "deleted", "skipped"])
def test_whatever_takes_a_message_back_gives_back_what_was_set_aside(open_workshop, clock, act):
    shop = open_shop(open_workshop, usd=0.3, usd_per_day=1)
    learn(shop)
    a, *_ = shop.add("a")
    shop.dispatch()
    if act == "away":
        shop.publisher.is_away = True
    shop.deliver(shop.publisher.waiting.popleft())
    if act == "away":
        assert reserved(shop) == []
        return
    assert len(reserved(shop)) == 1
    clock.shift(100)
    if act == "lost":
        tracker.messages.take_back_lost_messages(shop.conn)
    elif act == "vanished":
        tracker.messages.take_back_vanished_messages(shop.conn)
    elif act == "reset":
        tracker.reset_stage(shop.conn, "papers", "fetch", ["a"])
    elif act == "switched off":
        tracker.skip_disabled_stages(shop.conn, "papers", ["fetch"])
    elif act == "skipped":
        tracker.mark_skipped(shop.conn, a)
    else:
        shop.conn.execute("DELETE FROM work_items WHERE item_id = ?", (a,))
    assert reserved(shop) == []


def test_a_process_that_is_killed_leaves_nothing_set_aside_for_longer_than_its_lease(open_workshop):
    shop = open_shop(open_workshop, usd=0.3, usd_per_day=1)
    learn(shop)
    shop.acts["model"] = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    shop.add("a")
    shop.dispatch()
    shop.take()
    if (child := os.fork()) == 0:
        try:
            shop.take()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(reserved(shop)) == 1
    shop.publisher.waiting.clear()
    with time_machine.travel(tracker.clock.now_ms() / 1000 + 31, tick=False):
        tracker.reclaim_stuck_stages(shop.conn)
        assert reserved(shop) == []


def test_the_sweep_gives_back_what_somebody_set_aside_by_hand(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.3, usd_per_day=1)
    learn(shop)
    shop.add("a")
    shop.dispatch()
    shop.take()
    (set_aside,) = reserved(shop)
    shop.conn.execute(
        "INSERT INTO reservations (item_id, stage, attempt, job_id, usd) VALUES (?, 'model', 9, 'papers', 5.0)",
        (shop.item_id("known"),),
    )
    sweep(shop.runtime)
    assert reserved(shop) == [set_aside]


def test_a_message_that_comes_after_its_stamp_was_taken_back_counts_from_its_claim(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.3, usd_per_day=1)
    learn(shop)
    review_budgets(shop.runtime)
    shop.add("a")
    shop.dispatch()
    shop.take()
    clock.shift(100)
    tracker.messages.take_back_lost_messages(shop.conn)
    seen = []
    shop.acts["model"] = lambda _: seen.extend(reserved(shop)) or {}
    shop.take()
    assert [(row[2], row[3]) for row in seen] == [(1, pytest.approx(0.3))]
    assert reserved(shop) == []


def test_a_stage_that_never_ran_goes_on_a_few_at_a_time_until_its_cost_is_known(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.3, usd_per_day=1.0)
    shop.add(*(f"k{n}" for n in range(30)))
    shop.dispatch()
    assert len(shop.publisher.waiting) == FIRST_ATTEMPTS
    work(shop)
    assert spent(shop) <= 1.0 + 0.3 * FIRST_ATTEMPTS
    assert tracker.stage_stats(shop.conn, "papers")["fetch"]["done"] == 30


def test_no_more_are_out_than_there_are_costs_to_estimate_by(open_workshop, clock):
    shop = open_workshop(papers=job(step("fetch"), budget={"usd_per_day": 1.0}))
    costs = itertools.chain([0.001], itertools.repeat(0.05))
    shop.acts["fetch"] = lambda context: context.cost(next(costs), "openai") or {}
    shop.add(*(f"k{n}" for n in range(100)))
    for known in range(30):
        shop.dispatch()
        assert len(shop.publisher.waiting) <= max(FIRST_ATTEMPTS, known)
        if shop.publisher.waiting:
            shop.take()
    work(shop)
    assert 0.9 <= spent(shop) <= 1.0 + 2 * 0.05  # not a runway of sixty


def test_a_stage_that_has_run_and_costs_nothing_is_not_bounded(open_workshop, clock):
    shop = open_workshop(papers=job(step("fetch"), budget={"usd_per_day": 1}))
    shop.add(*(f"k{n}" for n in range(60)))
    shop.dispatch()
    for _ in range(FIRST_ATTEMPTS):
        shop.take()
    shop.dispatch()
    assert len(shop.publisher.waiting) > FIRST_ATTEMPTS


def test_what_nobody_knows_the_price_of_goes_on_and_makes_no_average(open_workshop, clock):
    shop = open_shop(open_workshop, usd=None, usd_per_day=1)
    shop.run(*(f"k{n}" for n in range(12)))
    work(shop)
    assert read_stage_costs(shop.conn, "papers")["model"].usd is None
    assert read_stage_costs(shop.conn, "papers")["model"].unknown == 12
    assert describe(shop.conn, "papers") is None
    review_budgets(shop.runtime)
    assert describe(shop.conn, "papers").unknown_costs_today == 12


def test_one_price_that_nobody_knows_keeps_its_attempt_out_of_the_average(open_workshop):
    shop = open_shop(open_workshop)

    def act(context):
        context.cost(0.25, "openai")
        if context.key == "b":
            context.cost(None, "elsewhere")
            context.cost(0.25, "openai")
        return {}

    shop.acts["model"] = act
    shop.run("a", "b")
    known = read_stage_costs(shop.conn, "papers")["model"]
    assert (known.usd, known.unknown) == (0.25, 1)
    assert spent(shop) == 0.75  # it is spent all the same


def test_a_total_is_never_lifted_by_a_day(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.5, usd_total=1.2)
    learn(shop)
    shop.add("a", "b", "c")
    work(shop)
    clock.shift(7 * 86_400)
    sweep(shop.runtime)
    work(shop)
    assert shop.conn.execute("SELECT sum(usd) FROM costs").fetchone()[0] == 1.0
    assert [event["detail"]["cap"] for event in shop.events("budget_reached")] == ["usd_total"]
    assert describe(shop.conn, "papers").words == (
        "budget of $1.20 in all reached: 2 waiting, about $1.00, until jobs.yaml allows more"
    )


def test_a_budget_for_everything_bounds_all_jobs_together(open_workshop, clock):
    jobs = {name: job(step("model")) for name in ("one", "two")}
    shop = open_workshop(**jobs)
    shop.acts["model"] = pay(0.4)
    for name in jobs:
        with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
            shop.add(name, job_id=name)
            shop.dispatch(name)
            shop.work()
    limited(shop, jobs, usd_per_day=1.0)
    for name in jobs:
        shop.add("a", "b", "c", job_id=name)
    for _ in range(4):
        for name in jobs:
            shop.dispatch(name)
        shop.work()
    assert spent(shop, "one") + spent(shop, "two") == pytest.approx(0.8)
    reached = [
        event for event in tracker.get_events(shop.conn, limit=500) if event["kind"] == "budget_reached"
    ]
    assert [event["job_id"] for event in reached] == [None]
    sweep(shop.runtime)
    assert describe(shop.conn, "two").job is None
    assert describe(shop.conn, "two").waiting == 4


def limited(shop, jobs, **budget):
    import json

    shop.runtime.settings.jobs.write_text(json.dumps({"version": 1, "budget": budget, "jobs": jobs}))
    shop.look_again()


def test_reached_and_lifted_are_said_once_across_the_change_of_the_clocks(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.4, usd_per_day=1, timezone="Europe/Berlin")
    learn(shop)
    clock.move_to("2026-03-28T21:00:00Z")  # 22:00 in Berlin
    shop.add(*(f"k{n}" for n in range(20)))
    said = []
    for _ in range(60):
        sweep(shop.runtime)
        shop.work()
        said.append((len(shop.events("budget_reached")), len(shop.events("budget_lifted"))))
        clock.shift(1800)
    # reached before 23:00Z; midnight in Berlin is 23:00Z, and the next, an hour early by UTC, 22:00Z
    assert said[0] == (1, 0)
    assert said[3] == (1, 0)
    assert said[4] == (2, 1)
    assert said[49] == (2, 1)
    assert said[50] == (3, 2)
    lifted = shop.events("budget_lifted")
    assert [event["detail"]["reason"] for event in lifted] == ["a new day", "a new day"]
    first = shop.events("budget_reached")[0]
    assert first["detail"]["until_at"] == lifted[0]["at"] == 1_774_738_800_000
    assert first["by"] == "budget"


def test_how_a_budget_stands_is_said_in_words(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.4, usd_per_day=1, timezone="Europe/Berlin")
    learn(shop)
    sweep(shop.runtime)
    assert describe(shop.conn, "papers").words == "budget: $0.00 of $1.00 today"
    shop.add(*(f"k{n}" for n in range(314)))
    work(shop, limit=5000)
    report = describe(shop.conn, "papers")
    assert (
        report.words
        == "budget of $1.00 a day reached: 312 waiting, about $124.80, resumes 00:00 Europe/Berlin"
    )
    assert (report.reached, report.reserved_usd) == ("usd_per_day", 0.0)
    assert [one.job for one in list_budget_reports(shop.conn)] == ["papers"]


def test_a_stage_dearer_than_the_whole_budget_waits_and_is_said_to(open_workshop, clock):
    shop = open_shop(open_workshop, usd=2.0, usd_per_day=1)
    learn(shop)
    shop.add("a")
    work(shop)
    assert shop.status("a", "model") == "pending"
    assert [event["detail"]["expected_usd"] for event in shop.events("budget_reached")] == [2.0]


def test_a_budget_that_is_spent_is_not_reached_while_nothing_waits_for_it(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.5, usd_per_day=1)
    learn(shop)
    shop.add("a", "b")
    work(shop)
    sweep(shop.runtime)
    assert spent(shop) == 1.0
    assert shop.events("budget_reached") == []


def test_what_two_stages_of_one_refill_cost_is_set_aside_together(open_workshop, clock):
    stages = step("fetch"), step("model", needs=["fetch"]), step("draw", needs=["fetch"])
    shop = open_workshop(papers=job(*stages, budget={"usd_per_day": 1}))
    shop.acts["model"] = shop.acts["draw"] = pay(0.6)
    learn(shop)
    shop.add("a")
    work(shop)
    assert spent(shop) == pytest.approx(0.6)


def test_a_budget_of_another_time_zone_is_held_until_the_end_of_the_day_there(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.5, usd_per_day=1)
    learn(shop)
    shop.add("a", "b", "c")
    work(shop)
    shop.edit(papers=job(step("fetch"), step("model"), budget={"usd_per_day": 1, "timezone": "Asia/Tokyo"}))
    sweep(shop.runtime)
    assert [event["detail"]["reason"] for event in shop.events("budget_lifted")] == [
        "jobs.yaml has another budget"
    ]
    (hold,) = list_holds(shop.conn)
    assert hold.until_at == find_day("Asia/Tokyo")[1]


def test_a_raised_budget_goes_on_at_once(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.5, usd_per_day=1)
    learn(shop)
    shop.add("a", "b", "c")
    work(shop)
    shop.edit(papers=job(step("fetch"), step("model"), budget={"usd_per_day": 10}))
    sweep(shop.runtime)
    shop.work()
    assert shop.status("c") == "done"
    assert [event["detail"]["reason"] for event in shop.events("budget_lifted")] == [
        "jobs.yaml has another budget"
    ]


def test_a_held_stage_does_not_hold_up_the_others_of_its_job(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.9, usd_per_day=1, stages=[step("store", needs=["fetch"])])
    learn(shop)
    shop.add(*(f"k{n}" for n in range(50)))
    work(shop)
    stats = tracker.stage_stats(shop.conn, "papers")
    assert (stats["fetch"]["done"], stats["store"]["done"], stats["model"]["done"]) == (51, 51, 2)


def test_a_wait_of_a_stage_under_a_budget_is_parked_where_it_is_counted(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.3, usd_per_day=1)
    learn(shop)
    shop.acts["model"] = lambda _: RetryLater(delay=20, reason="quota")
    shop.run("a")
    assert shop.publisher.countdowns == []
    row = shop.row("a", "model")
    assert (row["queued_at"], reserved(shop)) == (None, [])
    assert row["retry_at"] is not None


def test_a_batch_is_as_large_as_can_be_paid_for(open_workshop, clock):
    bulk = {"name": "bulk", "handler": "workshop_plugins:Together", "params": {"do": "bulk"}, "batch": 10}
    shop = open_workshop(papers=job(bulk, budget={"usd_per_day": 1}))
    shop.acts["bulk"] = lambda all_of_them: [one.cost(0.3, "openai") or {} for one in all_of_them]
    learn(shop)
    shop.add(*(f"k{n}" for n in range(10)))
    work(shop)
    assert spent(shop) == pytest.approx(0.9)


# -- an item ------------------------------------------------------------------------------------------------


def test_an_item_that_has_spent_its_share_is_passed_over_and_says_so(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.3, stages=[step("again"), step("store")], usd_per_item=0.5)
    shop.acts["again"] = lambda context: context.cost(0.3, "openai") or {}
    shop.acts["model"] = lambda context: context.cost(0.3 if context.key != "cheap" else 0.1, "openai") or {}
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        shop.run("a")
        shop.work()
    assert shop.status("a") == "done"  # nobody knew what the second costs
    shop.add("b", "cheap", "c")
    work(shop)
    assert (shop.status("b", "again"), shop.status("c", "again")) == ("pending", "pending")
    assert shop.status("cheap") == "done"
    assert shop.row("b", "again")["over_budget"] == 1
    over = shop.events("over_budget")
    assert [(event["key"], event["stage"]) for event in over] == [("b", "again"), ("c", "again")]
    assert over[0]["detail"]["spent_usd"] == pytest.approx(0.3)
    assert [(event["stage"], event["detail"]["cap"]) for event in shop.events("budget_reached")] == [
        ("again", "usd_per_item")
    ]
    sweep(shop.runtime)
    assert describe(shop.conn, "papers").words == "budget: $0.5000 an item; 2 over $0.5000 an item"


def test_an_item_that_has_spent_its_share_is_passed_over_still_when_its_costs_are_forgotten(
    open_workshop, clock
):
    stages = step("model"), step("again")
    shop = open_workshop(papers=job(*stages, budget={"usd_per_item": 0.5}))
    shop.acts.update(model=pay(0.3), again=pay(0.3))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        shop.run("a")
    shop.add("b")
    work(shop)
    assert forget_costs(shop.conn, now_ms() + 1) == 3
    shop.edit(papers=job(*stages, budget={"usd_per_item": 0.55}))
    sweep(shop.runtime)
    work(shop)
    assert (shop.status("b", "again"), describe_marks(shop)) == ("pending", 1)


def test_items_over_budget_go_on_when_an_item_may_spend_more(open_workshop, clock):
    stages = step("model"), step("again")
    shop = open_workshop(papers=job(*stages, budget={"usd_per_item": 0.5}))
    shop.acts.update(model=pay(0.3), again=pay(0.3))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        shop.run("a")
    shop.add("b", "c")
    work(shop)
    assert describe_marks(shop) == 2
    shop.edit(papers=job(*stages, budget={"usd_per_item": 0.6}))
    sweep(shop.runtime)
    shop.work()
    assert (shop.status("b"), shop.status("c"), describe_marks(shop)) == ("done", "done", 0)
    assert [event["detail"]["cap"] for event in shop.events("budget_lifted")] == ["usd_per_item"]


def skip_and_back(shop):
    carry_out(
        shop.runtime, Order("skip", "papers", "ann", "again", choose_keys(shop.runtime, "papers", ["b"]))
    )
    yield
    undo(shop.runtime, find_undoable(shop.runtime), "ann")


def cancel_and_reset(shop):
    how = choose_keys(shop.runtime, "papers", ["b"])
    carry_out(shop.runtime, Order("cancel", "papers", "ann", "again", how))
    yield
    carry_out(shop.runtime, Order("reset", "papers", "ann", "again", how))


def claim_and_release(shop):
    attempt = tracker.mark_stage_in_progress(shop.conn, shop.item_id("b"), "again", ["model", "again"])
    yield
    moves.settle(shop.conn, shop.item_id("b"), "again", attempt, Ending.released("by hand"))


@pytest.mark.parametrize("meanwhile", [skip_and_back, cancel_and_reset, claim_and_release])
def test_an_item_over_budget_goes_on_though_it_did_not_wait_when_an_item_might_spend_more(
    open_workshop, clock, meanwhile
):
    stages = step("model"), step("again")
    shop = open_workshop(papers=job(*stages, budget={"usd_per_item": 0.5}))
    shop.acts.update(model=pay(0.3), again=pay(0.3))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        shop.run("a")
    shop.add("b")
    work(shop)
    assert describe_marks(shop) == 1
    doing = meanwhile(shop)
    next(doing)
    shop.edit(papers=job(*stages))
    sweep(shop.runtime)
    next(doing, None)
    work(shop)
    assert (shop.status("b"), describe_marks(shop)) == ("done", 0)


def test_items_over_budget_are_looked_at_again_when_their_stage_costs_less(open_workshop, clock):
    shop = open_workshop(papers=job(step("model"), step("again"), budget={"usd_per_item": 0.5}))
    shop.acts.update(model=pay(0.3), again=pay(3.0))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        shop.run("a")
    shop.add("b")
    work(shop)
    assert describe_marks(shop) == 1
    for n in range(60):
        tracker.log_cost(shop.conn, "papers", 0.01, "openai", item_id=1, stage="again", attempt=100 + n)
    sweep(shop.runtime)
    shop.work()
    assert (shop.status("b"), describe_marks(shop)) == ("done", 0)


def open_marked(open_workshop, again_usd=0.3):
    """Open a workshop where `b` is over budget for its second stage."""
    shop = open_workshop(papers=job(step("model"), step("again"), budget={"usd_per_item": 0.5}))
    shop.acts.update(model=pay(0.3), again=pay(again_usd))
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        shop.run("a")
    shop.add("b")
    work(shop)
    assert describe_marks(shop) == 1
    return shop


def test_items_over_budget_are_not_looked_at_again_for_a_cost_that_is_but_a_little_less(open_workshop, clock):
    shop = open_marked(open_workshop, again_usd=3.0)
    tracker.log_cost(shop.conn, "papers", 2.4, "openai", item_id=1, stage="again", attempt=100)
    assert read_stage_costs(shop.conn, "papers")["again"].usd == pytest.approx(2.7)
    sweep(shop.runtime)
    assert (describe_marks(shop), shop.events("budget_lifted")) == (1, [])


def test_an_item_over_budget_that_is_claimed_by_hand_is_over_budget_no_more(open_workshop, clock):
    shop = open_marked(open_workshop)
    tracker.mark_stage_in_progress(shop.conn, shop.item_id("b"), "again", ["model", "again"])
    assert describe_marks(shop) == 0


def test_an_item_over_budget_does_not_hold_its_job(open_workshop, clock):
    shop = open_marked(open_workshop)
    assert [hold.stage for hold in list_holds(shop.conn)] == ["again"]
    assert find_reached(shop.conn, "papers") is None


def test_of_a_few_items_too_those_over_budget_do_not_hold_up_the_others(open_workshop, clock):
    shop = open_marked(open_workshop)
    shop.acts["model"] = pay(0.1)
    shop.add("c")
    shop.runtime.run = RunContext(active_items=frozenset({shop.item_id("b"), shop.item_id("c")}))
    work(shop)
    assert (shop.status("b"), shop.status("c")) == ("pending", "done")


def describe_marks(shop):
    return shop.conn.execute("SELECT count(*) FROM item_stages WHERE over_budget = 1").fetchone()[0]


def count_steps(conn, act):
    steps = []
    conn.set_progress_handler(lambda: bool(steps.append(1)), 10)
    try:
        act()
    finally:
        conn.set_progress_handler(None)
    return len(steps)


def test_dispatch_at_the_cap_costs_the_same_whatever_waits(open_workshop, clock):
    shop = open_shop(open_workshop, usd=0.9, usd_per_day=1)
    learn(shop)
    steps = []
    for first, last in ((0, 200), (200, 2000)):
        shop.add(*(f"k{n}" for n in range(first, last)))
        work(shop, limit=5000)
        review_budgets(shop.runtime)
        steps.append(count_steps(shop.conn, lambda: (shop.dispatch(), describe(shop.conn, "papers"))))
    assert describe(shop.conn, "papers").waiting == 1999
    assert steps[1] <= 1.2 * steps[0]


def test_what_waits_for_a_budget_is_counted_where_items_begin_when_the_stage_before_is_off(
    open_workshop, clock
):
    shop = open_workshop(
        papers=job(step("fetch", enabled=False), step("model", needs=["fetch"]), budget={"usd_per_day": 1})
    )
    shop.acts["model"] = pay(0.6)
    learn(shop)
    shop.add("a", "b", "c", "d")
    work(shop)
    review_budgets(shop.runtime)
    assert describe(shop.conn, "papers").waiting == 3
