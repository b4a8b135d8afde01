"""What was spent is counted as it is recorded, and what is expected follows from it."""

from __future__ import annotations

import random

import apsw
import pytest

import tracker
from tracker import spending
from tracker.clock import now_ms
from tracker.dispatch import Message
from tracker.reservations import drop_orphans, reserve
from tracker.retention import forget_costs
from tracker.schema import list_migrations

TABLES = ("stage_costs", "spent_quarters", "spent_totals", "spent_items")

INSERT_COST = """
INSERT INTO costs (spent_at, job_id, item_id, stage, attempt, usd, provider)
VALUES (?, ?, ?, ?, ?, ?, 'openai')
"""


INSERT_ITEMS = """
INSERT INTO work_items (item_id, job_id, key, discovered_at)
VALUES (1, 'papers', 'a', 0), (2, 'papers', 'b', 0), (4, 'talks', 'a', 0), (5, 'talks', 'b', 0), (7, 'talks', 'c', 0)
"""


def make_costs(count):
    """Make costs of known and unknown price, some of no item or of one that is gone, of attempts that meet."""
    chance = random.Random(5)
    for _ in range(count):
        job_id = chance.choice(["papers", "talks"])
        item = chance.choice([None, *({"papers": [1, 2, 3], "talks": [4, 5, 6]}[job_id])])
        stage = None if item is None else chance.choice(["fetch", "model"])
        attempt = None if item is None else chance.choice([1, 2, 3])
        usd = chance.choice([None, *[0.0, 0.25, 0.5, 1.0] * 8])
        yield chance.randrange(10**10), job_id, item, stage, attempt, usd


def read_counters(conn):
    return {
        table: [
            tuple(round(value, 9) if isinstance(value, float) else value for value in row)
            for row in conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608 - our own names
        ]
        for table in TABLES
    }


def test_costs_counted_one_by_one_come_to_what_the_migration_counts_of_an_older_file(conn, tmp_path):
    old = tmp_path / "old.db"
    older = apsw.Connection(str(old))
    for number, sql in list_migrations():
        if number <= 6:
            older.execute(sql).fetchall()
            older.pragma("user_version", number)
    with older, tracker.write(conn):
        older.execute(INSERT_ITEMS)
        conn.execute(INSERT_ITEMS)
        for cost in make_costs(400):
            older.execute(INSERT_COST, cost)
            conn.execute(INSERT_COST, cost)
    older.close()
    with tracker.open_db(old) as migrated:
        counted = read_counters(migrated)
    live = read_counters(conn)
    assert counted == live
    assert len(live["spent_totals"]) == 3
    assert [item_id for item_id, _ in live["spent_items"]] == [1, 2, 4, 5]


def test_an_attempt_counts_once_however_many_costs_it_reports(conn, item_id):
    for usd in (0.25, 0.5, 0.25):
        tracker.log_cost(conn, "papers", usd, "openai", item_id=item_id, stage="model", attempt=1)
    tracker.log_cost(conn, "papers", 3.0, "openai", item_id=item_id, stage="model", attempt=2)
    assert spending.read_stage_costs(conn, "papers")["model"].usd == 2.0


def test_a_cost_that_is_reported_again_is_counted_once(conn, item_id):
    for _ in range(3):
        tracker.log_cost(
            conn, "papers", 1.0, "openai", item_id=item_id, stage="model", attempt=1, receipt="r1"
        )
    assert spending.read_spending(conn, "papers", 0).total_usd == 1.0
    assert spending.read_stage_costs(conn, "papers")["model"].usd == 1.0


def test_what_an_item_has_spent_stays_when_its_costs_are_forgotten(conn, add_items):
    dear, free = add_items("dear", "free")
    for attempt in (1, 2, 3):
        tracker.log_cost(conn, "papers", 1.0, "openai", item_id=dear, stage="model", attempt=attempt)
    tracker.log_cost(conn, "papers", 0.0, "local", item_id=free, stage="model", attempt=1)
    tracker.log_cost(conn, "papers", None, "local", item_id=free, stage="model", attempt=2)
    assert forget_costs(conn, now_ms() + 1) == 5
    assert spending.read_spent_on_items(conn, [dear, free]) == {dear: 3.0, free: 0.0}
    tracker.log_cost(conn, "papers", 0.5, "openai", item_id=dear, stage="model", attempt=4)
    assert spending.read_spent_on_items(conn, [dear]) == {dear: 3.5}
    assert conn.execute("SELECT item_id FROM spent_items").fetchall() == [(dear,)]


def test_a_cost_that_is_told_after_its_item_was_taken_out_counts_for_the_job_alone(conn, item_id):
    tracker.log_cost(conn, "papers", 1.0, "openai", item_id=item_id, stage="model", attempt=1)
    conn.execute("DELETE FROM work_items WHERE item_id = ?", (item_id,))
    tracker.log_cost(conn, "papers", 2.0, "openai", item_id=item_id, stage="model", attempt=1)
    assert spending.read_spending(conn, "papers", 0).total_usd == 3.0
    assert conn.execute("SELECT count(*) FROM spent_items").fetchone()[0] == 0


def test_quarters_that_no_budget_asks_about_are_forgotten_and_totals_are_not(conn):
    long_ago = now_ms() - 50 * 86_400_000
    conn.execute(INSERT_COST, (long_ago, "papers", None, None, None, 1.0))
    conn.execute(INSERT_COST, (now_ms(), "papers", None, None, None, 2.0))
    with tracker.write(conn):
        spending.forget_old_quarters(conn)
    known = spending.read_spending(conn, "papers", 0)
    assert (known.day_usd, known.total_usd) == (2.0, 3.0)
    assert spending.read_spending(conn, spending.EVERYTHING, 0).day_usd == 2.0


@pytest.fixture
def stamped_id(conn, opened_id):
    """Give an item whose first stage is on its way, with a dollar set aside."""
    conn.execute("UPDATE item_stages SET queued_at = 1, resend_at = 2 WHERE stage = 'fetch'")
    with tracker.write(conn):
        reserve(conn, [Message(opened_id, "papers", "fetch", 1, "a")], {"fetch": 1.0})
    return opened_id


def test_the_sweep_gives_back_only_what_is_set_aside_for_nothing(conn, stamped_id, add_opened):
    assert drop_orphans(conn) == 0
    other = add_opened("b")[0]
    with tracker.write(conn):
        reserve(conn, [Message(other, "papers", "fetch", 1, "b")], {"fetch": 1.0})
    assert drop_orphans(conn) == 1
    assert [row[0] for row in conn.execute("SELECT item_id FROM reservations")] == [stamped_id]


def test_what_is_set_aside_outlives_the_claim(conn, stamped_id):
    assert tracker.claims.claim(conn, stamped_id, "fetch", 1, worker="w")
    assert spending.read_spending(conn, "papers", 0).reserved_usd == 1.0
    assert spending.read_spending(conn, spending.EVERYTHING, 0).reserved_usd == 1.0
