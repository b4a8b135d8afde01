"""Sixteen processes on one file do not overshoot a budget by more than the error of one estimate each."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from workshop import ListPublisher, Workshop, job, step

import tracker
from runner.runtime import Runtime
from runner.sweep import sweep
from tests.waiting import PATIENCE_SECONDS, wait_until

WORKERS = 16
BUDGET_USD = 2.0
DEAREST_USD = 0.05


def work(settings, plugins, seed):
    """Dispatch and work as a worker does, until the budget lets nothing more go."""
    publisher, chance, idle = ListPublisher(), random.Random(seed), 0
    shop = Workshop(Runtime(settings, publisher), publisher, plugins)

    def act(context):
        context.cost(chance.uniform(0.0, DEAREST_USD), "openai")
        return {}

    shop.acts["model"] = act
    while idle < 30:
        sent = shop.dispatch()
        idle = 0 if sent or shop.publisher.waiting else idle + 1
        if shop.publisher.waiting:
            shop.take()
    shop.runtime.close()


@pytest.mark.parametrize("known", [True, False])
def test_sixteen_processes_at_once_keep_to_a_budget(open_workshop, known):
    jobs = {"papers": job(step("model"), budget={"usd_per_day": BUDGET_USD, "usd_total": BUDGET_USD})}
    shop = open_workshop(**jobs)
    keys = [f"k{n}" for n in range(400)]
    if known:
        shop.acts["model"] = lambda context: context.cost(DEAREST_USD / 2, "openai") or {}
        shop.run("first")
    shop.add(*keys)
    shop.runtime.close()
    fork = multiprocessing.get_context("fork")
    asked = shop.runtime.settings, shop.plugins
    crew = [fork.Process(target=work, args=(*asked, seed)) for seed in range(WORKERS)]
    for one in crew:
        one.start()
    for one in crew:
        one.join(PATIENCE_SECONDS)
        assert one.exitcode == 0
    spent, dearest = shop.conn.execute("SELECT sum(usd), max(usd) FROM costs").fetchone()
    average = shop.conn.execute("SELECT usd / attempts FROM stage_costs").fetchone()[0]
    assert spent <= BUDGET_USD + WORKERS * (dearest - average)
    assert spent >= BUDGET_USD - 2 * DEAREST_USD
    assert tracker.get_job_stats(shop.conn, "papers")["pending"] > 200
    assert shop.conn.execute("SELECT count(*) FROM reservations").fetchone()[0] == 0
    sweep(shop.runtime)
    assert len(shop.events("budget_reached")) == 2  # of the day, and in all


def work_for_ever(settings, plugins, seed):
    while True:
        work(settings, plugins, seed)


def test_workers_killed_at_work_leave_nothing_set_aside(open_workshop):
    shop = open_workshop(papers=job(step("model"), budget={"usd_per_day": 1000}))
    shop.acts["model"] = lambda context: context.cost(DEAREST_USD, "openai") or {}
    shop.run("first")
    shop.add(*(f"k{n}" for n in range(3000)))
    shop.runtime.close()
    fork = multiprocessing.get_context("fork")
    asked = shop.runtime.settings, shop.plugins
    crew = [fork.Process(target=work_for_ever, args=(*asked, seed)) for seed in range(6)]
    for one in crew:
        one.start()
    try:
        wait_until(lambda: count(shop, "costs") > 100)
    finally:
        for one in crew:
            os.kill(one.pid, signal.SIGKILL)
            one.join(PATIENCE_SECONDS)
    assert count(shop, "reservations") > 0
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2), tick=False):
        tracker.reclaim_stuck_stages(shop.conn)
        tracker.messages.take_back_lost_messages(shop.conn)
        assert count(shop, "reservations") == 0


def count(shop, table):
    return shop.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
