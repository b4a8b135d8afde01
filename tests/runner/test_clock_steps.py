"""A clock that is set forward, as when a suspended machine wakes: no worker is taken for dead by it."""

from __future__ import annotations

import time

import pytest
import time_machine

from runner.clock_steps import NOTICED_SECONDS, ClockSteps
from runner.sweep import sweep
from tracker import claims
from tracker.claims import LEASE_SECONDS


@pytest.fixture
def clock():
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        yield clock


@pytest.fixture
def pass_time(clock, monkeypatch):
    """Let time pass, for both clocks."""
    passed = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])

    def pass_seconds(seconds):
        passed[0] += seconds
        clock.shift(seconds)

    return pass_seconds


def test_time_that_passes_is_no_step(pass_time):
    steps = ClockSteps()
    pass_time(3600)
    assert not steps.was_set_forward()


def test_a_step_forward_is_one_for_as_long_as_a_lease(pass_time, clock):
    steps = ClockSteps()
    clock.shift(NOTICED_SECONDS + 1)
    for seconds in (1, LEASE_SECONDS - 2):
        assert steps.was_set_forward()
        pass_time(seconds)
    assert steps.was_set_forward()
    pass_time(2)
    assert not steps.was_set_forward()


def test_a_step_back_is_none(pass_time, clock):
    steps = ClockSteps()
    clock.shift(-3600)
    assert not steps.was_set_forward()


def test_a_worker_that_lives_keeps_its_stage_through_a_step_and_one_that_is_dead_does_not(
    shop, pass_time, clock
):
    shop.runtime.clock_steps = ClockSteps()
    shop.add("alive", "dead")
    shop.dispatch()
    for message in shop.publisher.waiting:
        claims.claim(shop.conn, message.item_id, message.stage, message.attempt, worker="w")
    clock.shift(3600)
    assert sweep(shop.runtime).expired == 0
    assert claims.renew_lease(shop.conn, shop.item_id("alive"), "fetch", 1)
    pass_time(LEASE_SECONDS - 1)
    assert claims.renew_lease(shop.conn, shop.item_id("alive"), "fetch", 1)
    pass_time(2)
    assert sweep(shop.runtime).expired == 1
    assert (shop.row("alive", "fetch")["status"], shop.row("dead", "fetch")["crashes"]) == ("in_progress", 1)
