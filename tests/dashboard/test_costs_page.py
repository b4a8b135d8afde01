from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from filled import fill

import tracker
from pipeline.budget import BudgetSpec
from tracker.budgets import remember_budgets


@pytest.fixture
def filled(conn):
    fill(conn)


@pytest.mark.usefixtures("filled")
def test_what_was_spent_is_told_by_job_stage_model_and_day(visit):
    assert "$1.00" in visit().get("/costs").text
    assert ">read<" in visit().get("/costs?job=papers").text
    assert ">shop<" in visit().get("/costs?by=model").text
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    page = visit().get("/costs?by=day").text
    assert f"<td>{today}</td>" in page
    assert f"The most on {today}: $1.00." in page


@pytest.mark.usefixtures("filled")
def test_units_are_added_up(visit):
    assert "20 input tokens" in visit().get("/costs").text


def test_since_leaves_out_what_is_older_and_begins_at_a_midnight(visit, conn):
    with time_machine.travel(datetime.now(UTC) - timedelta(days=40), tick=False):
        tracker.log_cost(conn, "papers", 5, "old shop")
    tracker.log_cost(conn, "papers", 1, "shop")
    assert "old shop" not in visit().get("/costs?by=model").text
    assert "old shop" in visit().get("/costs?by=model&since=60d").text
    assert "old shop" in visit().get("/costs?by=model&since=").text
    week_ago = f"{datetime.now(UTC) - timedelta(days=7):%Y-%m-%d}"
    assert f"since {week_ago} (UTC)" in visit().get("/costs?since=7d").text


def test_a_since_that_is_no_time_is_explained(visit):
    answer = visit().get("/costs?since=gestern")
    assert answer.status_code == 400
    assert "no time to look back to" in answer.text


def test_what_is_of_unknown_price_is_counted_beside_the_sum(visit, conn):
    tracker.log_cost(conn, "papers", 0.25, "shop")
    tracker.log_cost(conn, "papers", None, "shop")
    assert "$0.2500 and 1 of unknown price" in visit().get("/costs").text


def test_what_cost_almost_nothing_did_not_cost_nothing(visit, conn):
    tracker.log_cost(conn, "papers", 0.00001, "shop")
    page = visit().get("/costs").text
    assert "below $0.0001" in page
    assert "$0.0000" not in page


@pytest.mark.usefixtures("filled")
def test_a_budget_says_what_is_left_of_it(visit, conn):
    remember_budgets(
        conn, {"papers": BudgetSpec(usd_per_day=2, usd_total=10), "*": BudgetSpec(usd_per_day=4)}
    )
    page = visit().get("/costs").text
    assert "$1.00 of $2.00, $1.00 left" in page
    assert "$1.00 of $10.00, $9.00 left" in page
    assert "$1.00 of $4.00, $3.00 left" in page


@pytest.mark.usefixtures("filled")
def test_the_backlog_is_forecast_by_what_a_stage_costs_on_the_average(visit):
    # one item waits to be opened, one runs: only what waits is still to be decided
    page = visit().get("/costs").text
    assert "What waits is going to cost about $0.5000" in page
    assert '<td class="number">1</td>\n    <td class="number">$0.5000</td>' in page


def test_nothing_spent_is_said(visit):
    page = visit().get("/costs").text
    assert "Nothing was spent." in page
    assert "No budget bounds any job" in page


def test_hostile_names_are_texts(visit, conn):
    hostile = "<script>alert(1)</script>"
    tracker.log_cost(conn, "papers", 1, hostile, model=hostile, stage=hostile, units={hostile: 1})
    for by in ("job", "stage", "model", "day"):
        assert hostile not in visit().get(f"/costs?by={by}").text
