"""Costs are on record as soon as a handler says them, whatever becomes of the attempt."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress

import pytest
from workshop import job, step

import tracker
from runner import far, remote
from runner.costs import Costs
from runner.far_desk import Place
from tracker import moves, open_readonly
from tracker.endings import Ending

ONE_STAGE = {"papers": job(step("fetch"))}
FAR = {"papers": job(step("model", queue="far", remote=True, retries=1))}


def read_costs(shop):
    sql = "SELECT key, stage, attempt, usd, provider, model, units, price FROM v_costs ORDER BY spent, usd"
    with open_readonly(shop.runtime.settings.db_path) as conn:  # as any other process would
        return [tuple(row) for row in conn.execute(sql)]


def test_a_cost_is_there_for_others_before_the_attempt_has_ended(open_workshop):
    shop = open_workshop(**ONE_STAGE)
    seen = []

    def act(context):
        context.cost(0.25, "openai", model="big", price={"input": 0.15}, input_tokens=7)
        seen.extend(read_costs(shop))
        return {}

    shop.acts["fetch"] = act
    shop.run("a")
    assert seen == [("a", "fetch", 1, 0.25, "openai", "big", '{"input_tokens": 7}', '{"input": 0.15}')]
    assert read_costs(shop) == seen


def test_whatever_a_cost_says_is_kept_without_the_secrets_of_jobs_yaml(open_workshop, monkeypatch):
    monkeypatch.setenv("WORKSHOP_TOKEN", secret := "correct-horse-battery")
    shop = open_workshop(papers=job(step("fetch", params={"do": "${WORKSHOP_TOKEN}"})))

    def act(context):
        said = f"of {secret}"
        context.cost(0.5, said, model=said, price={"from": said, said: 1}, **{said: 3})
        return {}

    shop.acts[secret] = act
    shop.run("a")
    hidden = "of ${WORKSHOP_TOKEN}"
    units, price = json.dumps({hidden: 3}), json.dumps({"from": hidden, hidden: 1})
    assert read_costs(shop) == [("a", "fetch", 1, 0.5, hidden, hidden, units, price)]


def test_a_process_killed_after_it_paid_leaves_its_cost(open_workshop):
    shop = open_workshop(**ONE_STAGE)

    def act(context):
        context.cost(0.5, "openai")
        os.kill(os.getpid(), signal.SIGKILL)

    shop.acts["fetch"] = act
    shop.add("a")
    shop.dispatch()
    if (child := os.fork()) == 0:
        try:
            shop.take()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert [(key, attempt, usd) for key, _, attempt, usd, *_ in read_costs(shop)] == [("a", 1, 0.5)]


@pytest.mark.parametrize("end", [lambda: 1 / 0, lambda: None, KeyboardInterrupt])
def test_an_attempt_that_fails_or_is_stopped_has_spent_all_the_same(open_workshop, end):
    shop = open_workshop(**ONE_STAGE)

    def act(context):
        context.cost(1.5, "openai")
        if isinstance(end, type):
            raise end
        return end()

    shop.acts["fetch"] = act
    with suppress(KeyboardInterrupt):
        shop.run("a")
    assert tracker.get_daily_cost(shop.conn, "papers") == 1.5


def test_a_cost_for_which_there_is_no_room_waits_and_is_recorded_once(open_workshop, monkeypatch):
    shop = open_workshop(**ONE_STAGE)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        shop.conn.execute("PRAGMA max_page_count = 1000000").fetchall()

    def act(context):
        pages = shop.conn.execute("PRAGMA page_count").fetchone()[0]
        shop.conn.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        context.cost(0.5, "openai", price={"note": "x" * 10_000})
        return {}

    monkeypatch.setattr("runner.room.time.sleep", wait)
    shop.acts["fetch"] = act
    shop.run("a")
    assert len(waits) == 1
    assert [usd for _, _, _, usd, *_ in read_costs(shop)] == [0.5]


def test_a_cost_whose_recording_was_interrupted_is_recorded_when_the_attempt_ends(open_workshop, monkeypatch):
    shop = open_workshop(timeout_error=TimeoutError, **ONE_STAGE)
    original, interrupted = Costs.write, []

    def write(self):
        if not interrupted:
            interrupted.append(self)
            raise TimeoutError  # as a time limit does, wherever the process happens to be
        original(self)

    monkeypatch.setattr(Costs, "write", write)
    shop.acts["fetch"] = lambda context: context.cost(0.5, "openai")
    shop.run("a")
    assert [usd for _, _, _, usd, *_ in read_costs(shop)] == [0.5]


def run_far(shop, message, tell):
    class Wire:
        def begun(self):
            remote.note_begun(shop.runtime, *ids, worker="far away")

        def alive(self, told):
            """Nothing is timed here."""

        def ended(self, report):
            tell(json.loads(json.dumps(report)))

    ids = message.item_id, message.stage, message.attempt
    cargo, place = json.loads(json.dumps(message.cargo)), Place(*ids, "far away")
    far.run_away(cargo, place, shop.runtime.http, Wire(), TimeoutError, shop.runtime.afar)


def test_what_an_overtaken_remote_attempt_spent_is_recorded_once_however_often_it_reports(open_workshop):
    shop = open_workshop(**FAR)
    shop.acts["model"] = lambda context: context.cost(0.5, "openai", model="big") or {}
    shop.add("a")
    shop.dispatch()
    message = shop.publisher.waiting.popleft()

    def tell(report):
        moves.settle(shop.conn, message.item_id, "model", 1, Ending.expired(0))
        for _ in range(3):
            remote.note_ended(shop.runtime, message.item_id, "model", 1, "far away", report)

    run_far(shop, message, tell)
    assert shop.result("a", "model") is None
    assert [(attempt, usd, model) for _, _, attempt, usd, _, model, *_ in read_costs(shop)] == [
        (1, 0.5, "big")
    ]
