"""Running a handler, whatever it does."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from handlers.base import Handler, Spent
from handlers.running import run_handler
from pipeline.errors import HandlerContractError
from pipeline.outcomes import RetryLater, RetryLaterError, Skip


class Doing(Handler):
    """Do what it is given."""

    def __init__(self, action):
        super().__init__({})
        self.action = action

    def run(self, context):
        return self.action(context)


def _raise(error):
    raise error


def test_a_plain_function_runs(make_context):
    assert run_handler(Doing(lambda context: {"key": context.key}), make_context(key="k7")) == {"key": "k7"}


def test_an_async_function_runs(make_context):
    async def run(context):
        await asyncio.sleep(0)
        return {"key": context.key}

    assert run_handler(Doing(run), make_context(key="k7")) == {"key": "k7"}


def test_what_a_handler_raises_comes_through_as_it_is(make_context):
    with pytest.raises(ZeroDivisionError):
        run_handler(Doing(lambda _: 1 / 0), make_context())


def test_the_older_way_to_ask_for_a_later_time_means_the_same(make_context):
    outcome = run_handler(Doing(lambda _: _raise(RetryLaterError("quota, retry in 5m"))), make_context())
    assert outcome == RetryLater(delay=300.0, reason="quota, retry in 5m")


@pytest.mark.parametrize("returned", [None, "text", 7, [1]])
def test_an_ending_that_is_no_outcome_is_refused(make_context, returned):
    with pytest.raises(HandlerContractError, match="Doing returned"):
        run_handler(Doing(lambda _: returned), make_context())


def test_a_result_that_is_not_json_is_refused(make_context):
    with pytest.raises(
        HandlerContractError, match=r"Doing returned a result that is not JSON: result\.x: bytes"
    ):
        run_handler(Doing(lambda _: {"x": b""}), make_context())


def test_sys_exit_in_a_handler_is_a_failure_of_the_handler(make_context):
    with pytest.raises(HandlerContractError, match=r"Doing called sys\.exit\(3\)"):
        run_handler(Doing(lambda _: _raise(SystemExit(3))), make_context())


def test_a_keyboard_interrupt_where_ctrl_c_is_ignored_is_a_failure_of_the_handler(make_context):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(HandlerContractError, match="Doing raised KeyboardInterrupt"):
            run_handler(Doing(lambda _: _raise(KeyboardInterrupt())), make_context())
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_a_handler_runs_is_no_failure_of_it(make_context):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_handler(Doing(lambda _: _raise(KeyboardInterrupt())), make_context())
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_worker_told_to_stop_is_not_taken_for_a_failing_handler(make_context):
    class WorkerStops(SystemExit):
        pass

    with pytest.raises(WorkerStops):
        run_handler(Doing(lambda _: _raise(WorkerStops())), make_context())


def test_an_async_handler_ends_at_its_deadline(make_context):
    context = make_context(deadline=datetime.now(UTC) + timedelta(milliseconds=50))
    with pytest.raises(TimeoutError, match="still running at the deadline"):
        run_handler(Doing(lambda _: asyncio.Event().wait()), context)


def test_a_time_out_of_the_handlers_own_keeps_its_words(make_context):
    async def run(context):
        raise TimeoutError("the printer is busy")

    with pytest.raises(TimeoutError, match="the printer is busy"):
        run_handler(Doing(run), make_context())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("end", [lambda: {"a": 1}, lambda: 1 / 0], ids=["returns", "raises"])
def test_a_forked_child_does_not_go_on_as_a_second_worker(make_context, end):
    children = []

    def fork(context):
        if (child := os.fork()) == 0:
            return end()
        children.append(child)
        return {"parent": True}

    process = os.getpid()
    try:
        outcome = run_handler(Doing(fork), make_context())
    finally:
        if os.getpid() != process:
            os._exit(99)  # it came back, which is what must not happen
    assert outcome == {"parent": True}
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0


def test_a_handler_can_tell_that_nobody_waits_for_it_any_more(make_context):
    def run(context):
        return Skip("cancelled") if context.cancelled() else {}

    passed = datetime.now(UTC) - timedelta(seconds=1)
    assert run_handler(Doing(run), make_context()) == {}
    assert run_handler(Doing(run), make_context(deadline=passed)) == Skip("cancelled")
    assert run_handler(Doing(run), make_context(stop_asked=lambda: True)) == Skip("cancelled")


def test_costs_are_handed_on_with_their_units(make_context):
    costs = []
    context = make_context(record_cost=costs.append)
    context.cost(0.25, "openai", input_tokens=812)
    context.cost(None, "local", model="small")
    assert costs == [Spent(0.25, "openai", {"input_tokens": 812}), Spent(None, "local", {}, model="small")]


@pytest.mark.parametrize("usd", [-0.01, float("nan"), float("inf")])
def test_a_cost_that_is_no_amount_is_refused(make_context, usd):
    with pytest.raises(ValueError, match="a cost in US dollars is 0 or more"):
        make_context().cost(usd, "openai")
