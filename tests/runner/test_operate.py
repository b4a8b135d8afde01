"""What people do: each act is recorded with who did it, and what it makes ready is sent at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from workshop import job, step

import tracker
from pipeline.errors import NotFoundError
from pipeline.outcomes import GiveUp
from runner import actions, operate, pausing
from runner.actions import Order
from runner.choices import EVERY_FAILURE, EVERY_ITEM, choose_keys
from runner.sweep import sweep
from tracker.held import count_held
from tracker.pauses import Target

PAPERS = Target.of_job("papers")


def failed(shop, *keys):
    """Fail the first stage of some items."""
    shop.acts["fetch"] = lambda _: GiveUp("no")
    shop.run(*keys)
    shop.acts.clear()
    shop.publisher.sent.clear()
    return shop


def retry(runtime, job_id, by, stage=None, keys=None):
    """Try failed stages again: all of a job, of one stage, or of some items."""
    how = EVERY_FAILURE if keys is None else choose_keys(runtime, job_id, keys)
    return actions.carry_out(runtime, Order("retry", job_id, by, stage, how))


def reset(runtime, job_id, stage, keys, by):
    """Do a stage again, and all that needs it, for some items or for all."""
    how = EVERY_ITEM if keys is None else choose_keys(runtime, job_id, keys)
    return actions.carry_out(runtime, Order("reset", job_id, by, stage, how, detail={"stage": stage}))


def only_event(shop, kind):
    (event,) = shop.events(kind)
    return event


def test_enqueued_items_are_stored_and_sent(shop):
    acted = operate.enqueue(shop.runtime, "papers", [{"key": "a", "data": {"n": 1}}, {"key": "b"}], "me")
    assert (acted.act, acted.job, acted.items, acted.sent) == ("enqueue", "papers", 2, 2)
    assert operate.enqueue(shop.runtime, "papers", [{"key": "a"}], "me").items == 0
    assert [event["by"] for event in shop.events("enqueue")] == ["me", "me"]


HOLD = """
INSERT INTO held_items (job_id, key, data, priority, version, source, held_at)
VALUES ('papers', :key, '{"n": 1}', 5, 'v', '', 0)
"""


def test_an_item_that_waits_for_approval_and_is_enqueued_comes_in_as_it_was_found(shop):
    with tracker.write(shop.conn):
        shop.conn.executemany(HOLD, [{"key": key} for key in "abcd"])
    assert (
        operate.enqueue(shop.runtime, "papers", [{"key": "a"}, {"key": "b", "data": {"n": 2}}], "me").items
        == 2
    )
    operate.enqueue_at(shop.runtime, "papers", "c", "store", "me", data={"m": 3})
    items = shop.conn.execute("SELECT key, data, priority FROM work_items ORDER BY key").fetchall()
    assert [(key, json.loads(data), priority) for key, data, priority in items] == [
        ("a", {"n": 1}, 5),
        ("b", {"n": 2}, 0),
        ("c", {"n": 1, "m": 3}, 5),
    ]
    assert count_held(shop.conn, "papers") == 1


def test_an_item_that_waits_for_approval_and_is_enqueued_has_the_priority_that_is_asked_for(shop):
    with tracker.write(shop.conn):
        shop.conn.executemany(HOLD, [{"key": key} for key in "abc"])
    operate.enqueue(shop.runtime, "papers", [{"key": "a", "priority": 9}, {"key": "b", "priority": 0}], "me")
    found = shop.conn.execute("SELECT key, data, priority FROM work_items ORDER BY key").fetchall()
    assert [tuple(row) for row in found] == [("a", '{"n": 1}', 9), ("b", '{"n": 1}', 0)]


def test_an_item_that_waited_for_approval_and_was_let_start_in_the_middle_waits_again_after_an_undo(shop):
    with tracker.write(shop.conn):
        shop.conn.executemany(HOLD, [{"key": key} for key in "ab"])
    shop.publisher.is_away = True
    operate.enqueue_at(shop.runtime, "papers", "a", "store", "me", data={"m": 3})
    assert actions.undo(shop.runtime, actions.find_undoable(shop.runtime), "me").items == 1
    held = "SELECT key, data, priority, version, source, held_at FROM held_items WHERE key = 'a'"
    assert tuple(shop.conn.execute(held).fetchone()) == ("a", '{"n": 1}', 5, "v", "", 0)
    assert count_held(shop.conn, "papers") == 2
    assert shop.conn.execute("SELECT key FROM work_items").fetchall() == []


def test_what_is_said_of_an_item_that_waits_for_approval_goes_before_what_was_found_of_it(shop):
    with tracker.write(shop.conn):
        shop.conn.executemany(HOLD, [{"key": key} for key in "ab"])
    operate.enqueue(shop.runtime, "papers", [{"key": "a", "data": {"n": 2}}], "me")
    operate.enqueue_at(shop.runtime, "papers", "b", "store", "me", data={"n": 2, "m": 3})
    found = shop.conn.execute("SELECT data FROM work_items ORDER BY key").fetchall()
    assert [json.loads(data) for (data,) in found] == [{"n": 2}, {"n": 2, "m": 3}]


def test_a_known_item_that_waited_for_approval_too_stays_known_after_an_undo(shop):
    shop.add("a")
    with tracker.write(shop.conn):
        shop.conn.execute(HOLD, {"key": "a"})
    shop.publisher.is_away = True
    operate.enqueue_at(shop.runtime, "papers", "a", "store", "me")
    actions.undo(shop.runtime, actions.find_undoable(shop.runtime), "me")
    assert shop.status("a", "fetch") == "pending"


def test_enqueued_items_have_the_jobs_priority_unless_they_say_their_own(open_workshop):
    shop = open_workshop(papers=job(step("fetch"), step("store"), priority=4))
    operate.enqueue(shop.runtime, "papers", [{"key": "a"}, {"key": "b", "priority": 9}], "me")
    operate.enqueue_at(shop.runtime, "papers", "c", "store", "me")
    priorities = dict(shop.conn.execute("SELECT key, priority FROM work_items").fetchall())
    assert priorities == {"a": 4, "b": 9, "c": 4}


def test_an_item_may_start_in_the_middle_with_the_results_given(shop):
    acted = operate.enqueue_at(
        shop.runtime, "papers", "a", "extract", "me", data={"n": 1}, results={"fetch": {"text": "given"}}
    )
    assert acted.sent == 1
    shop.work()
    assert [stage for stage, _ in shop.plugins.seen] == ["extract", "store"]
    assert shop.result("a", "extract")["saw"] == ["fetch"]
    assert only_event(shop, "inject")["by"] == "me"


def test_pausing_holds_a_job_back_until_it_is_lifted(shop):
    until = datetime.now(UTC) + timedelta(hours=1)
    pausing.pause(shop.runtime, PAPERS, "the site is down", until, "me")
    assert operate.enqueue(shop.runtime, "papers", [{"key": "a"}], "me").sent == 0
    assert tracker.get_pause_reason(shop.conn, "papers") == "the site is down"
    assert pausing.unpause(shop.runtime, PAPERS, "me").sent == 1
    assert (only_event(shop, "pause")["by"], only_event(shop, "unpause")["by"]) == ("me", "me")


def test_unpausing_a_job_that_is_not_paused_is_no_event(shop):
    pausing.unpause(shop.runtime, PAPERS, "me")
    assert shop.events("unpause") == []


def test_retrying_sends_the_failed_stages_again(shop):
    failed(shop, "a", "b")
    acted = retry(shop.runtime, "papers", "me")
    assert (acted.items, acted.sent) == (2, 2)
    shop.work()
    assert (shop.status("a"), shop.status("b")) == ("done", "done")
    assert {event["by"] for event in shop.events("retry_failed")} == {"me"}


def test_retrying_some_items_leaves_the_others(shop):
    failed(shop, "a", "b")
    assert retry(shop.runtime, "papers", "me", keys=["b"]).items == 1
    assert (shop.status("a"), shop.status("b")) == ("failed", "pending")
    assert retry(shop.runtime, "papers", "me", stage="extract").items == 0


def test_resetting_does_a_stage_again_and_all_that_needs_it(shop):
    shop.run("a", "b")
    shop.plugins.seen.clear()
    assert reset(shop.runtime, "papers", "extract", ["a"], "me").items == 1
    shop.work()
    assert shop.plugins.seen == [("extract", "a"), ("store", "a")]
    assert only_event(shop, "reset_stage")["by"] == "me"


def test_a_priority_counts_for_what_waits(shop):
    shop.add("a", "b")
    operate.prioritise(shop.runtime, "papers", "b", 5, "me")
    shop.dispatch()
    assert shop.sent[0] == ("b", "fetch")
    assert only_event(shop, "update_item_priority")["by"] == "me"


def test_waking_a_job_sends_what_is_ready_and_has_it_discovered(shop):
    shop.add("a")
    assert operate.wake(shop.runtime, "papers", "me").sent == 1
    sweep(shop.runtime)
    assert shop.publisher.discoveries == [("papers", None, False)]
    assert only_event(shop, "wake")["by"] == "me"


ACTS = {
    "enqueue": lambda runtime, name: operate.enqueue(runtime, name, [{"key": "a"}], "me"),
    "enqueue_at": lambda runtime, name: operate.enqueue_at(runtime, name, "new", "store", "me"),
    "pause": lambda runtime, name: pausing.pause(runtime, Target.of_job(name), "why", None, "me"),
    "unpause": lambda runtime, name: pausing.unpause(runtime, Target.of_job(name), "me"),
    "retry": lambda runtime, name: retry(runtime, name, "me"),
    "reset": lambda runtime, name: reset(runtime, name, "fetch", None, "me"),
    "prioritise": lambda runtime, name: operate.prioritise(runtime, name, "a", 1, "me"),
    "wake": lambda runtime, name: operate.wake(runtime, name, "me"),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_job_that_does_not_exist_is_named_and_nothing_is_written(shop, act):
    with pytest.raises(NotFoundError, match="did you mean 'papers'"):
        ACTS[act](shop.runtime, "paper")
    assert shop.conn.execute("SELECT count(*) FROM events").fetchone()[0] == 0


@pytest.mark.parametrize("act", ACTS)
def test_every_act_works_while_the_broker_is_away(shop, act):
    shop.run("a")
    shop.publisher.is_away = True
    assert ACTS[act](shop.runtime, "papers").sent == 0


@pytest.mark.parametrize("act", ACTS)
def test_every_act_says_what_it_did(shop, act):
    shop.run("a")
    acted = ACTS[act](shop.runtime, "papers")
    assert acted.job == "papers"
    assert acted.act


@pytest.mark.parametrize(
    "act",
    [
        lambda runtime: operate.enqueue_at(runtime, "papers", "a", "stor", "me"),
        lambda runtime: retry(runtime, "papers", "me", stage="stor"),
        lambda runtime: retry(runtime, "papers", "me", keys=["zz"]),
        lambda runtime: reset(runtime, "papers", "stor", None, "me"),
        lambda runtime: reset(runtime, "papers", "fetch", ["a", "zz"], "me"),
        lambda runtime: operate.prioritise(runtime, "papers", "zz", 1, "me"),
    ],
)
def test_a_stage_or_item_that_does_not_exist_is_named_and_nothing_is_done(shop, act):
    failed(shop, "a")
    before = len(shop.events())
    with pytest.raises(NotFoundError):
        act(shop.runtime)
    assert (len(shop.events()), shop.status("a")) == (before, "failed")
