"""`celeriac status` says first how old the oldest fresh item is, and what waits for money."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

import tracker
from pipeline.budget import BudgetSpec
from tracker import holds
from tracker.budgets import find_day, remember_budgets


@pytest.fixture
def reached(tracked):
    """Let the budget of `notes` be reached, with two items waiting for a stage that costs half a dollar."""
    remember_budgets(tracked, {"notes": BudgetSpec(usd_per_day=5, timezone="UTC")})
    tracker.log_cost(tracked, "notes", 0.5, "openai", item_id=1, stage="read_file", attempt=1)
    with tracker.write(tracked):
        until_at = find_day("UTC")[1]
        holds.note_reached(
            tracked, "notes", "usd_per_day", 5.0, spent_usd=4.9, expected_usd=0.5, until_at=until_at
        )
    return tracked


def test_the_age_of_the_oldest_fresh_item_is_the_first_number(call, tracked):
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=3, seconds=30), tick=False):
        tracker.upsert_items(tracked, "hand", [{"key": "waits"}])
    heading, *lines = call("status").out.splitlines()
    assert heading.split()[:3] == ["job", "oldest", "fresh"]
    assert next(line for line in lines if line.startswith("hand")).split()[1:3] == ["3", "h"]
    told = {one["job"]: one for one in json.loads(call("status", "--json").out)["jobs"]}
    assert told["hand"]["oldest_fresh_at"] == tracker.lanes.find_oldest_fresh(tracked, "hand")


@pytest.mark.usefixtures("reached")
def test_a_budget_that_is_reached_is_said_with_what_waits_what_it_costs_and_until_when(call):
    lines = call("status").out.splitlines()
    line = next(line for line in lines if line.startswith("notes"))
    assert "budget of $5.00 a day reached:" in line
    assert "resumes 00:00 UTC" in line
    told = json.loads(call("status", "notes", "--json").out)["job"]["budget"]
    assert (told["reached"], told["usd_per_day"], told["spent_today_usd"]) == ("usd_per_day", 5.0, 0.5)
