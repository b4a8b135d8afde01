"""Remote stages: run with nothing but the message, recorded by a worker beside the file."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.outcomes import GiveUp, RetryLater, Skip
from runner import far, remote
from runner.far_desk import Place
from runner.lost import give_back_crashed
from runner.sweep import sweep
from tracker.claims import LEASE_SECONDS

FAR = {
    "papers": job(step("fetch"), step("model", queue="far", remote=True, retries=1, backoff=5), step("store"))
}


class Wire:
    """The line from a remote attempt to a worker beside the file; JSON is all that goes over it."""

    def __init__(self, shop, message, lose=()):
        self.shop, self.ids, self.lose = shop, (message.item_id, message.stage, message.attempt), lose
        self.reports = []

    def begun(self):
        if "begun" not in self.lose:
            remote.note_begun(self.shop.runtime, *self.ids, worker="far away")

    def alive(self, told=None):
        remote.note_alive(self.shop.runtime, *self.ids, told)

    def ended(self, report):
        self.reports.append(json.loads(json.dumps(report)))
        if "ended" not in self.lose:
            self.tell_ending()

    def tell_ending(self):
        remote.note_ended(self.shop.runtime, *self.ids, worker="far away", report=self.reports[-1])


@pytest.fixture
def shop(open_workshop):
    """Open the workshop with a remote stage in the middle, before which an item stands."""
    shop = open_workshop(**FAR)
    shop.add("a", data={"n": 1})
    shop.dispatch()
    shop.take()
    return shop


def run_far(shop, lose=(), timeout_error=TimeoutError, afar=None):
    """Play the remote worker for the next message."""
    message = shop.publisher.waiting.popleft()
    wire = Wire(shop, message, lose)
    cargo = json.loads(json.dumps(message.cargo))
    place = Place(*wire.ids, "far away")
    far.run_away(cargo, place, shop.runtime.http, wire, timeout_error, afar or shop.runtime.afar)
    return wire


def test_a_remote_stage_has_all_that_it_needs_in_its_message(shop):
    message = shop.publisher.waiting[0]
    assert message.cargo["key"] == "a"
    assert message.cargo["data"] == {"n": 1}
    assert message.cargo["results"] == {"fetch": {"key": "a", "saw": []}}


def test_what_a_remote_stage_gave_is_recorded_and_what_follows_is_sent(shop):
    run_far(shop)
    assert shop.result("a", "model") == {"key": "a", "saw": ["fetch"]}
    assert tracker.get_handler_version(shop.conn, "papers", "a", "model") == "1"
    shop.work()
    assert shop.status("a") == "done"


def test_a_stage_that_is_not_remote_carries_nothing(shop):
    assert shop.publisher.sent[0].cargo is None


def test_a_secret_is_looked_up_where_the_stage_runs(open_workshop, monkeypatch):
    monkeypatch.setenv("WORKSHOP_TOKEN", "s3cret")
    spec = step("model", queue="far", remote=True, params={"do": "${WORKSHOP_TOKEN}"})
    shop = open_workshop(papers=job(spec))
    shop.acts["s3cret"] = lambda _: {"ok": True}
    shop.add("a")
    shop.dispatch()
    assert "s3cret" not in str(shop.publisher.waiting[0])
    run_far(shop)
    assert shop.result("a", "model") == {"ok": True}


ENDINGS = {
    "skipped": lambda _: Skip("not needed"),
    "failed": lambda _: GiveUp("gone"),
    "pending": lambda _: RetryLater(60, "busy"),
}


@pytest.mark.parametrize("status", ENDINGS)
def test_every_expected_ending_comes_home(shop, status):
    shop.acts["model"] = ENDINGS[status]
    run_far(shop)
    assert (shop.status("a", "model"), shop.row("a", "model")["retries"]) == (status, 0)


def test_a_remote_skip_of_the_rest_finishes_the_item(shop):
    shop.acts["model"] = lambda _: Skip("spam", rest=True)
    run_far(shop)
    assert shop.status("a", "store") == "skipped"


async def cancel_itself(context):
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


@pytest.mark.parametrize("act", [lambda _: 1 / 0, lambda _: sys.exit(3), lambda _: None, cancel_itself])
def test_a_remote_failure_is_retried_by_the_stages_policy_with_its_traceback(shop, act):
    shop.acts["model"] = act
    run_far(shop)
    row, (failure,) = shop.row("a", "model"), shop.failures()
    assert (row["status"], row["retries"]) == ("pending", 1)
    assert failure["traceback"]
    assert failure["handler_version"] == "1"


def test_a_remote_timeout_is_a_timeout(shop):
    class TimeIsUp(Exception):  # noqa: N818 - as Celery's SoftTimeLimitExceeded
        pass

    def act(context):
        raise TimeIsUp

    shop.acts["model"] = act
    run_far(shop, timeout_error=TimeIsUp)
    assert shop.failures()[0]["error_type"] == "StageTimeout"


def test_what_a_remote_attempt_spent_is_recorded(shop):
    shop.acts["model"] = lambda context: context.cost(0.5, "openai", tokens=7) or {"ok": True}
    run_far(shop)
    assert tracker.get_daily_cost(shop.conn, "papers") == 0.5


def test_an_ending_counts_even_if_the_word_that_it_began_was_lost(shop):
    run_far(shop, lose={"begun"})
    assert shop.status("a", "model") == "done"


def test_an_ending_that_is_told_twice_counts_once(shop):
    wire = run_far(shop)
    before = len(shop.events())
    wire.tell_ending()
    assert len(shop.events()) == before


def test_a_remote_stage_whose_ending_was_lost_is_done_again(shop):
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False) as clock:
        run_far(shop, lose={"ended"})
        clock.shift(LEASE_SECONDS + 1)
        sweep(shop.runtime)
        run_far(shop)
    assert shop.row("a", "model")["attempt"] == 2
    assert shop.status("a", "model") == "done"


def test_a_remote_attempt_that_was_overtaken_changes_nothing(shop):
    wire = run_far(shop, lose={"ended"})
    give_back_crashed(shop.runtime, *wire.ids, reason="thought to be dead")
    shop.dispatch()
    run_far(shop)
    before = shop.result("a", "model"), len(shop.events())
    wire.tell_ending()
    assert (shop.result("a", "model"), len(shop.events())) == before


def test_a_remote_worker_that_lives_keeps_its_lease(shop):
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False) as clock:
        wire = Wire(shop, shop.publisher.waiting.popleft())
        wire.begun()
        for _ in range(5):
            clock.shift(LEASE_SECONDS - 1)
            wire.alive()
            assert sweep(shop.runtime).expired == 0


def test_a_remote_ending_of_a_stage_that_jobs_yaml_no_longer_has_is_released(shop):
    shop.acts["model"] = lambda _: 1 / 0
    wire = run_far(shop, lose={"ended"})
    shop.edit(papers=job(step("fetch"), step("store")))
    wire.tell_ending()
    row = shop.row("a", "model")
    assert (row["status"], row["retries"]) == ("pending", 0)
