"""Handlers that do what they should not: the stage ends as its policy says, and the worker lives."""

from __future__ import annotations

import asyncio
import decimal
import os
import sys
import threading

import pytest
from workshop import job, step

import tracker
from pipeline.errors import SourceUnavailableError

ONE_STAGE = {"papers": job(step("fetch", retries=0), step("extract"))}


class UnpicklableError(Exception):
    """Cannot be pickled, copied or sent anywhere."""

    def __init__(self):
        super().__init__("holds a lock")
        self.lock = threading.Lock()

    def __reduce__(self):
        raise TypeError("cannot be pickled")


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def raising(error):
    def act(context):
        raise error

    return act


def recurse(context):
    return recurse(context)


async def cancel_itself(context):
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


BAD = {
    "StopIteration": (raising(StopIteration("enough")), "enough"),
    "RecursionError": (recurse, "recursion"),
    "UnpicklableError": (raising(UnpicklableError()), "holds a lock"),
    "MuteError": (raising(MuteError()), "its text cannot be had: RuntimeError"),
    "SystemExit": (lambda _: sys.exit(3), "3"),
    "GeneratorExit": (raising(GeneratorExit("odd")), "odd"),
    "CancelledError": (cancel_itself, ""),
    "MemoryError": (raising(MemoryError("too large")), "too large"),
    "ExceptionGroup": (
        raising(ExceptionGroup("two", [ValueError(1), KeyError(2)])),
        "two (2 sub-exceptions)",
    ),
    "FileNotFoundError": (raising(FileNotFoundError(2, "gone", "caf\udce9.txt")), "caf\\udce9.txt"),
    "SourceUnavailableError": (raising(SourceUnavailableError("down")), "down"),
    "AssertionError": (raising(AssertionError()), ""),
}


@pytest.mark.parametrize("name", BAD)
def test_whatever_a_handler_raises_fails_its_stage_and_not_the_worker(open_workshop, name):
    shop = open_workshop(**ONE_STAGE)
    act, message = BAD[name]
    shop.acts["fetch"] = lambda context: act(context) if context.key == "bad" else {"ok": True}
    shop.run("bad", "good")
    (failure,) = shop.failures()
    assert failure["error_type"] == name
    assert message in failure["message"]
    assert failure["traceback"]
    assert (shop.status("bad"), shop.status("good")) == ("failed", "done")


class Odd:
    pass


RETURNED = {
    "nothing": (None, "returned None"),
    "a text": ("done", "returned str"),
    "a list": ([{}], "returned list"),
    "true": (True, "returned bool"),
    "an object": ({"when": Odd()}, "result.when: Odd is not a JSON type"),
    "bytes": ({"body": b"x"}, "result.body: bytes"),
    "a set": ({"tags": {1}}, "result.tags: set"),
    "not a number": ({"score": float("nan")}, "result.score: nan"),
    "keys that are no text": ({"a": {1: 2}}, "the key 1 is int"),
    "half a character": ({"text": "\ud800"}, "half a surrogate"),
}


@pytest.mark.parametrize("what", RETURNED)
def test_what_is_no_outcome_fails_its_stage_and_names_the_place(open_workshop, what):
    shop = open_workshop(**ONE_STAGE)
    returned, message = RETURNED[what]
    shop.acts["fetch"] = lambda _: returned
    shop.run("a")
    (failure,) = shop.failures()
    assert failure["error_type"] == "HandlerContractError"
    assert message in failure["message"]


def test_a_broken_contract_is_retried_like_any_failure(shop):
    shop.acts["fetch"] = lambda _: None
    shop.run("a")
    assert (shop.status("a", "fetch"), shop.row("a", "fetch")["retries"]) == ("pending", 1)


def test_a_huge_result_is_kept_whole(shop):
    shop.acts["fetch"] = lambda _: {"text": "x" * 8_000_000}
    shop.acts["extract"] = lambda context: {"seen": len(context.results["fetch"]["text"])}
    shop.run("a")
    assert shop.result("a", "extract") == {"seen": 8_000_000}
    assert shop.status("a") == "done"


def test_a_huge_error_is_cut(open_workshop):
    shop = open_workshop(**ONE_STAGE)
    shop.acts["fetch"] = raising(ValueError("x" * 5_000_000))
    shop.run("a")
    (failure,) = shop.failures()
    assert len(failure["message"]) < 3_000
    assert len(failure["traceback"]) < 30_000


def test_a_handler_may_print(shop, capsys):
    shop.acts["fetch"] = lambda _: print("hello from a handler") or {"ok": True}  # noqa: T201
    shop.run("a")
    assert shop.status("a") == "done"
    assert "hello from a handler" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_the_child_of_a_handler_that_forks_does_not_go_on_as_a_worker(shop):
    def act(context):
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
        return {"pid": os.getpid()}

    shop.acts["fetch"] = act
    shop.run("a")
    assert shop.result("a", "fetch") == {"pid": os.getpid()}
    assert [event["kind"] for event in shop.events("claim", "finish")] == ["claim", "finish"] * 3


def test_a_handler_may_be_async(shop):
    async def act(context):
        await asyncio.sleep(0)
        return {"ok": context.key}

    shop.acts["fetch"] = act
    shop.run("a")
    assert shop.result("a", "fetch") == {"ok": "a"}


def test_costs_may_be_counted_in_decimals(shop):
    shop.acts["fetch"] = lambda context: (
        context.cost(decimal.Decimal("0.25"), "openai", tokens=decimal.Decimal(3)) or {"ok": True}
    )
    shop.run("a")
    assert tracker.get_daily_cost(shop.conn, "papers") == 0.25
    assert shop.status("a", "fetch") == "done"


@pytest.mark.parametrize("units", [{"tokens": "many"}, {"tokens": float("nan")}, {"tokens": Odd()}])
def test_units_that_cannot_be_counted_fail_the_stage_where_they_are_given(open_workshop, units):
    shop = open_workshop(**ONE_STAGE)
    shop.acts["fetch"] = lambda context: context.cost(0.1, "openai", **units)
    shop.run("a")
    (failure,) = shop.failures()
    assert "context.cost(" in failure["traceback"]
    assert shop.status("a") == "failed"


def test_a_handler_that_cannot_be_made_fails_its_stage(open_workshop, monkeypatch):
    shop = open_workshop(**ONE_STAGE)

    def refuse(self, params):
        raise OSError("the model file is missing")

    monkeypatch.setattr(shop.plugins.Step, "__init__", refuse)
    shop.run("a")
    (failure,) = shop.failures()
    assert failure["message"] == "the model file is missing"


def test_a_variable_that_this_machine_has_not_fails_the_stage(open_workshop, monkeypatch):
    monkeypatch.setenv("WORKSHOP_TOKEN", "fetch")
    shop = open_workshop(papers=job(step("fetch", retries=0, params={"do": "${WORKSHOP_TOKEN}"})))
    shop.add("a", "b")
    shop.dispatch()
    monkeypatch.delenv("WORKSHOP_TOKEN")
    shop.take()
    assert "WORKSHOP_TOKEN" in shop.failures()[0]["message"]
