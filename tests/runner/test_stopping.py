"""A process that is stopped gives its claim back, unused and unharmed, and stops."""

from __future__ import annotations

import pytest

import tracker


def raising(error):
    def act(context):
        raise error

    return act


class StopNow(SystemExit):
    """As Celery's WorkerShutdown."""


def test_stopping_the_process_gives_the_claim_back_and_goes_through(open_workshop):
    shop = open_workshop(stop_errors=(KeyboardInterrupt, StopNow))
    for number, error in enumerate((KeyboardInterrupt(), StopNow())):
        shop.acts["fetch"] = raising(error)
        shop.add(f"k{number}")
        shop.dispatch()
        with pytest.raises(type(error)):
            shop.take()
        row = shop.row(f"k{number}", "fetch")
        assert (row["status"], row["retries"], row["crashes"]) == ("pending", 0, 0)


def test_what_a_stopped_attempt_spent_is_recorded(shop):
    def act(context):
        context.cost(0.75, "openai")
        raise KeyboardInterrupt

    shop.acts["fetch"] = act
    shop.add("a")
    shop.dispatch()
    with pytest.raises(KeyboardInterrupt):
        shop.take()
    assert tracker.get_daily_cost(shop.conn, "papers") == 0.75


def test_a_process_that_is_stopped_after_it_lost_its_lease_still_stops(shop):
    def act(context):
        tracker.reset_stage(shop.conn, "papers", "fetch")
        raise KeyboardInterrupt

    shop.acts["fetch"] = act
    shop.add("a")
    shop.dispatch()
    with pytest.raises(KeyboardInterrupt):
        shop.take()
    assert shop.status("a", "fetch") == "pending"


def test_a_process_that_is_stopped_while_it_makes_a_handler_gives_the_claim_back(shop, monkeypatch):
    shop.add("a")
    shop.dispatch()

    def interrupt(self, params):
        raise KeyboardInterrupt

    monkeypatch.setattr(shop.plugins.Step, "__init__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        shop.take()
    assert shop.status("a", "fetch") == "pending"
