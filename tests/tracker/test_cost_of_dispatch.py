"""What the tracker does for one stage costs the same whether 200 items wait or 20,000."""

from __future__ import annotations

import pytest

import tracker
from tracker import (
    backlog,
    budgets,
    claims,
    dispatch,
    item_reports,
    lanes,
    messages,
    moves,
    recovery,
    spending,
)
from tracker.endings import Ending
from tracker.plan import make_plan, open_items

PLAN = make_plan(["fetch", "store"])
BATCH = 20


def count_steps(conn, act):
    """Count the steps of SQLite's virtual machine that an act takes."""
    steps = 0

    def count():
        nonlocal steps
        steps += 1
        return False

    conn.set_progress_handler(count, 1)
    try:
        act()
    finally:
        conn.set_progress_handler(None)
    return steps


def send(conn):
    """Refill a runway as dispatch does: open some items, stamp some stages."""
    with tracker.write(conn):
        found = dispatch.list_unopened(conn, "papers", "fetch", BATCH)
        open_items(conn, "papers", [one.item_id for one in found], PLAN)
        found += dispatch.list_ready(conn, "papers", "store", BATCH)
        dispatch.read_runways(conn, "papers")
        dispatch.count_loads(conn, "papers", "store")
        dispatch.next_instant(conn, "papers", "store")
        return dispatch.stamp(conn, sorted(found)[:BATCH])


def work(conn, messages):
    """Claim and settle what was sent."""
    for message in messages:
        assert claims.claim(conn, message.item_id, message.stage, message.attempt, worker="w")
        moves.settle(conn, message.item_id, message.stage, message.attempt, Ending.finished("{}", "v1"))


def sweep(conn):
    """Look for what is due, as the sweep does when nothing is."""
    recovery.reclaim_stuck_stages(conn)
    messages.wake_parked_stages(conn)
    messages.take_back_lost_messages(conn)
    messages.take_back_vanished_messages(conn)


def look(conn):
    """Read what people see of a job as a whole, and what a budget asks."""
    lanes.find_oldest_fresh(conn, "papers")
    budgets.count_waiting(conn, "papers")
    spending.read_spending(conn, "papers", spending.QUARTER_MS)
    tracker.get_job_stats(conn, "papers")
    tracker.stage_stats(conn, "papers")
    tracker.stage_timing_stats(conn, "papers")
    tracker.get_stage_pipeline_metrics(conn, "papers")
    backlog.read_backlog(conn, "papers")
    item_reports.list_item_reports(conn, "papers", limit=20)
    backlog.read_health(conn, 60)


HOLD_BACK = {
    "backfill": "UPDATE item_stages SET backfill = 1 WHERE item_id > :few",
    "over budget": "UPDATE item_stages SET over_budget = 1 WHERE item_id > :few",
}
"""What makes nearly all that waits wait behind something."""


@pytest.fixture
def measure(migrated_file, tmp_path):
    """Measure sending, working, sweeping and looking, with so many items waiting in every place."""

    def measure(waiting, held_back=""):
        path = tmp_path / f"{waiting}.db"
        path.write_bytes(migrated_file.read_bytes())
        with tracker.open_db(path) as conn:
            fill(conn, waiting)
            if held_back:
                conn.execute(HOLD_BACK[held_back], {"few": waiting // 100})
            messages = []
            costs = {"send": count_steps(conn, lambda: messages.extend(send(conn)))}
            assert len(messages) == BATCH
            costs["work"] = count_steps(conn, lambda: work(conn, messages))
            costs["sweep"] = count_steps(conn, lambda: sweep(conn))
            costs["look"] = count_steps(conn, lambda: look(conn))
        return costs

    return measure


def fill(conn, waiting):
    """Leave half of the items unopened, a quarter ready at the first stage, a quarter at the second."""
    tracker.upsert_items(conn, "papers", [{"key": str(number)} for number in range(waiting)])
    with tracker.write(conn):
        open_items(conn, "papers", range(1, waiting // 2), PLAN)
        conn.execute(
            "UPDATE item_stages SET status = 'done', ended_at = 1 WHERE stage = 'fetch' AND item_id % 2"
        )
        conn.execute("UPDATE item_stages SET needs_left = 0 WHERE stage = 'store' AND item_id % 2")


def test_the_cost_of_a_stage_does_not_grow_with_what_waits(measure):
    few, many = measure(200), measure(20_000)
    for act, steps in few.items():
        assert steps > 0
        assert many[act] <= 1.2 * steps, f"{act}: {steps} steps with 200 waiting, {many[act]} with 20,000"


@pytest.mark.parametrize("held_back", sorted(HOLD_BACK))
def test_nor_does_it_when_nearly_all_of_it_is_held_back(measure, held_back):
    few, many = measure(2_000), measure(20_000, held_back)
    for act, steps in few.items():
        assert many[act] <= 1.2 * steps, (
            f"{act}: {steps} steps with nothing held back, {many[act]} with {held_back}"
        )
