"""What was spent, summed up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from pipeline.filters import parse_filter
from tracker.clock import to_ms
from tracker.costs import CostReport, list_costs, sum_spent
from tracker.retention import forget_costs
from tracker.selecting import select_page

MONDAY, TUESDAY = datetime(2026, 3, 2, 23, 59, tzinfo=UTC), datetime(2026, 3, 3, 0, 1, tzinfo=UTC)


@pytest.fixture
def spent(conn):
    with time_machine.travel(MONDAY, tick=False):
        tracker.log_cost(
            conn, "papers", 0.5, "openai", stage="ask", model="big", units={"input_tokens": 10, "kind": "x"}
        )
        tracker.log_cost(conn, "papers", None, "local", stage="ask", model="small", units={"input_tokens": 3})
    with time_machine.travel(TUESDAY, tick=False):
        tracker.log_cost(
            conn, "papers", 0.25, "openai", stage="embed", model="big", units={"output_tokens": 2}
        )
        tracker.log_cost(conn, "talks", 2, "deepl", units={"characters": 1.5})


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize(
    ("by", "headings"),
    [
        ("job", [("papers", None), ("talks", None)]),
        ("stage", [("papers", "ask"), ("papers", "embed"), ("talks", None)]),
    ],
)
def test_costs_are_added_up_by_job_and_by_stage(conn, by, headings):
    assert [(one.job, one.stage) for one in list_costs(conn, None, by)] == headings


@pytest.mark.usefixtures("spent")
def test_costs_are_added_up_by_model_with_the_unknown_beside_and_units_by_name(conn):
    assert list_costs(conn, "papers", "model") == [
        CostReport(provider="local", model="small", usd=0, costs=1, unknown=1, units={"input_tokens": 3}),
        CostReport(
            provider="openai",
            model="big",
            usd=0.75,
            costs=2,
            unknown=0,
            units={"input_tokens": 10, "output_tokens": 2},
        ),
    ]


@pytest.mark.usefixtures("spent")
def test_costs_are_added_up_by_utc_day(conn):
    assert [(one.day, one.usd) for one in list_costs(conn, None, "day")] == [
        ("2026-03-02", 0.5),
        ("2026-03-03", 2.25),
    ]


@pytest.mark.usefixtures("spent")
def test_only_what_was_spent_since_is_counted(conn):
    since = to_ms(TUESDAY)
    assert [(one.job, one.usd) for one in list_costs(conn, None, "job", since)] == [
        ("papers", 0.25),
        ("talks", 2),
    ]
    assert [one.usd for one in list_costs(conn, "papers", "stage", since)] == [0.25]
    assert sum_spent(conn, "papers", 0) == (0.75, 1)
    assert sum_spent(conn, "papers", since) == (0.25, 0)


@pytest.mark.usefixtures("spent")
def test_the_total_is_the_same_whatever_it_is_added_up_by(conn):
    totals = [CostReport.total(list_costs(conn, None, by)) for by in ("job", "stage", "model", "day")]
    assert totals == [totals[0]] * 4
    assert (totals[0].usd, totals[0].costs, totals[0].unknown) == (2.75, 4, 1)
    assert totals[0].units == {"characters": 1.5, "input_tokens": 13, "output_tokens": 2}


def test_a_cost_is_recorded_once_however_often_it_is_reported(conn):
    for _ in range(3):
        tracker.log_cost(conn, "papers", 0.5, "openai", price={"input": 0.15}, receipt="r1")
    tracker.log_cost(conn, "papers", 0.5, "openai", receipt="r2")
    assert conn.execute("SELECT usd, price FROM costs").fetchall() == [(0.5, '{"input": 0.15}'), (0.5, None)]


def test_what_an_item_and_a_day_cost_is_known_when_the_costs_themselves_are_forgotten(conn, spent, add_items):
    _, dear = add_items("cheap", "dear")
    tracker.log_cost(conn, "papers", 0.5, "openai", item_id=dear, stage="ask", attempt=1)
    assert forget_costs(conn, 2**62) == 5
    assert tracker.get_daily_cost(conn, "papers", "2026-03-02") == 0.5
    assert [one.key for one in select_page(conn, parse_filter("cost:>0.4"), limit=9).rows] == ["dear"]
    assert [one.key for one in select_page(conn, parse_filter("cost:0"), limit=9).rows] == ["cheap"]
