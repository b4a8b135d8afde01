from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest
import time_machine

import tracker

STAGES = ["fetch", "store"]


@pytest.fixture
def stranger(conn, db_path):
    """Read the file as any other program would, after a day in the life of two items."""
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as clock:
        tracker.upsert_items(conn, "papers", [{"key": "good", "data": {"title": "Käse"}}, {"key": "bad"}])
        good, bad = (row["item_id"] for row in tracker.get_pending(conn, "papers"))
        for item_id in (good, bad):
            tracker.mark_stage_in_progress(conn, item_id, "fetch", STAGES, worker="w1")
        clock.shift(1.5)
        tracker.mark_stage_done(conn, good, "fetch", STAGES, {"text": "größer"}, handler_version="v1")
        tracker.log_cost(conn, "papers", 0.25, "openai", item_id=good, stage="fetch", units={"tokens": 3})
        tracker.mark_stage_failed(conn, bad, "fetch", STAGES, ValueError("no page 7"))
        tracker.mark_stage_in_progress(conn, good, "store", STAGES)
        tracker.mark_stage_retry_later(conn, good, "store", STAGES, delay=3600, reason="closed")
    reader = apsw.Connection(str(db_path), flags=apsw.SQLITE_OPEN_READONLY)
    yield reader
    reader.close()


def rows(stranger, sql):
    return stranger.execute(sql).fetchall()


def test_items_are_readable_with_their_stages_in_order(stranger):
    assert rows(
        stranger, "SELECT job, key, status, priority, discovered, stages, data FROM v_items ORDER BY key DESC"
    ) == [
        (
            "papers",
            "good",
            "pending",
            0,
            "2026-03-01 12:00:00",
            "fetch:done store:pending",
            '{"title": "Käse"}',
        ),
        ("papers", "bad", "failed", 0, "2026-03-01 12:00:00", "fetch:failed store:pending", "{}"),
    ]


def test_stages_are_readable_with_their_times_as_text(stranger):
    sql = """
        SELECT stage, status, attempt, worker, started, ended, seconds, retry, reason
          FROM v_stages WHERE key = 'good'
    """
    assert rows(stranger, sql) == [
        ("fetch", "done", 1, "w1", "2026-03-01 12:00:00", "2026-03-01 12:00:01", 1.5, None, None),
        (
            "store",
            "pending",
            1,
            "by hand",
            "2026-03-01 12:00:01",
            None,
            None,
            "2026-03-01 13:00:01",
            "closed",
        ),
    ]


def test_failures_are_readable_with_what_went_wrong(stranger):
    sql = "SELECT key, stage, attempt, error_type, message, signature, failed FROM v_failures"
    assert rows(stranger, sql) == [
        ("bad", "fetch", 1, "ValueError", "no page 7", "ValueError: no page <n>", "2026-03-01 12:00:01")
    ]
    assert "ValueError: no page 7" in rows(stranger, "SELECT traceback FROM v_failures")[0][0]


def test_results_are_readable_as_json_text(stranger):
    sql = "SELECT key, stage, result, handler_version, attempt, stored, result ->> '$.text' FROM v_results"
    assert rows(stranger, sql) == [
        ("good", "fetch", '{"text": "größer"}', "v1", 1, "2026-03-01 12:00:01", "größer")
    ]


def test_costs_are_readable_in_dollars(stranger):
    sql = "SELECT job, key, stage, usd, provider, units, spent FROM v_costs"
    assert rows(stranger, sql) == [
        ("papers", "good", "fetch", 0.25, "openai", '{"tokens": 3}', "2026-03-01 12:00:01")
    ]


def test_an_item_marked_as_failed_by_hand_is_among_the_failures(conn, add_items):
    tracker.mark_failed(conn, add_items("a")[0], "the source is gone")
    assert conn.execute("SELECT message, error_type FROM v_failures").fetchall() == [
        ("the source is gone", "Marked")
    ]


def test_every_view_can_be_read_of_an_empty_tracker(conn):
    views = conn.execute("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name").fetchall()
    assert views == [(name,) for name in (
        "item_derived_status", "v_artifacts", "v_costs", "v_failure_groups", "v_failures", "v_history", "v_items",
        "v_results", "v_stages"
    )]  # fmt: skip
    for (name,) in views:
        assert conn.execute(f"SELECT * FROM {name}").fetchall() == []  # noqa: S608 - our own names


def test_the_documents_name_every_view_for_people(conn):
    page = (Path(tracker.__file__).parent.parent / "docs" / "architecture.md").read_text()
    views = conn.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'view' AND name LIKE 'v!_%' ESCAPE '!'"
    ).fetchall()
    assert sorted(re.findall(r"^\| `(v_\w+)`", page, re.MULTILINE)) == sorted(name for (name,) in views)
