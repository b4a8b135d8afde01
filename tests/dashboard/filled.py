"""A tracker with something of everything, for what reads it."""

from __future__ import annotations

import time

import tracker
from pipeline.budget import BudgetSpec
from tracker.budgets import remember_budgets
from tracker.connection import write
from tracker.notes import SWEPT_AT, set_note
from tracker.workers import WorkerWord, note_beat, note_worker

JOBS = """
version: 1
jobs:
  papers:
    title: Papers to read
    discovery: {strategy: manual, items: [{key: a}, {key: b}]}
    stages: [{name: read, handler: read_file}, {name: note, handler: read_file}]
"""
STAGES = ["read", "note"]


def jobs_reading(folder):
    """Write the same jobs, whose items may name the files below a folder."""
    return JOBS.replace("{name: read,", f"{{name: read, params: {{folder: {folder}}},")


PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


def find_item_id(conn, key):
    return conn.execute("SELECT item_id FROM work_items WHERE key = ?", (key,)).fetchone()[0]


def fill(conn):
    """Fill it: of five items of `papers` two are read, one of them noted, one is failed, one runs and one waits."""
    tracker.upsert_items(conn, "papers", [{"key": key, "data": {"n": 1}} for key in "abcde"])
    for key in "ab":
        item_id = find_item_id(conn, key)
        attempt = tracker.mark_stage_in_progress(conn, item_id, "read", STAGES)
        units = {"input_tokens": 10}
        tracker.log_cost(
            conn, "papers", 0.5, "shop", item_id=item_id, stage="read", attempt=attempt, units=units
        )
        tracker.mark_stage_done(conn, item_id, "read", STAGES, {"text": f"of {key}"})
    tracker.mark_stage_in_progress(conn, find_item_id(conn, "a"), "note", STAGES)
    tracker.mark_stage_done(conn, find_item_id(conn, "a"), "note", STAGES, {"noted": True})
    tracker.mark_stage_in_progress(conn, find_item_id(conn, "c"), "read", STAGES)
    tracker.mark_stage_failed(
        conn, find_item_id(conn, "c"), "read", STAGES, TimeoutError("no answer in 30 s")
    )
    tracker.mark_stage_in_progress(conn, find_item_id(conn, "d"), "read", STAGES)
    now = int(time.time() * 1000)
    note_worker(conn, WorkerWord("box", 1, "worker@box", [2, 3], ["celery"], "1+abc", False, False, now, now))
    note_beat(conn)
    remember_budgets(conn, {"papers": BudgetSpec(usd_per_day=2)})
    with write(conn):
        set_note(conn, SWEPT_AT, str(now))
