"""Several processes on one file: who lost a stage can change nothing, who dies leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tracker_life import check_now, read_everything

import tracker
from tracker import claims

SCRIPT = Path(__file__).with_name("worker_process.py")
ROOT = Path(tracker.__file__).parents[1]


class Worker:
    """A worker in a process of its own."""

    def __init__(self, path):
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, path],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.hear() == "ready"

    def tell(self, command, **arguments):
        self.process.stdin.write(json.dumps([command, arguments]) + "\n")
        self.process.stdin.flush()

    def hear(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, command, **arguments):
        self.tell(command, **arguments)
        return self.hear()

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start_worker(db_path):
    started = []

    def start():
        started.append(Worker(db_path))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def test_an_attempt_whose_lease_ran_out_cannot_settle_over_its_successor(conn, opened_id, start_worker):
    slow, quick = start_worker(), start_worker()
    assert slow.ask("claim", item_id=opened_id, attempt=1, lease_seconds=-1)
    assert quick.ask("expire") == 1
    assert quick.ask("claim", item_id=opened_id, attempt=2)
    assert quick.ask("settle", item_id=opened_id, attempt=2, result={"by": "quick"}) == "settled"
    before = read_everything(conn)
    late = slow.ask("settle", item_id=opened_id, attempt=1, result={"by": "slow"})
    assert late == f"attempt 1 of stage 'fetch' of item {opened_id} owns it no longer"
    assert read_everything(conn) == before
    assert tracker.get_result(conn, "papers", "a", "fetch") == {"by": "quick"}


def test_an_attempt_cannot_settle_while_its_successor_still_runs(conn, opened_id, start_worker):
    slow, quick = start_worker(), start_worker()
    slow.ask("claim", item_id=opened_id, attempt=1, lease_seconds=-1)
    quick.ask("expire")
    quick.ask("claim", item_id=opened_id, attempt=2)
    assert "owns it no longer" in slow.ask("settle", item_id=opened_id, attempt=1, result={"by": "slow"})
    assert quick.ask("settle", item_id=opened_id, attempt=2, result={"by": "quick"}) == "settled"


def test_four_processes_that_want_the_same_stages_claim_each_once(conn, add_opened, start_worker):
    item_ids = add_opened(*(f"item {number}" for number in range(200)), stages=["fetch"])
    workers = [start_worker() for _ in range(4)]
    for worker in workers:
        worker.tell("claim_all", item_ids=item_ids)
    got = [item_id for worker in workers for item_id in worker.hear()]
    assert sorted(got) == item_ids
    assert [event["attempt"] for event in tracker.get_events(conn, "papers", limit=1000)] == [1] * 200
    check_now(conn)


def test_a_process_killed_inside_a_write_frees_the_turn_and_leaves_nothing_half_done(conn, start_worker):
    doomed = start_worker()
    assert doomed.ask("stop_inside_a_write") == "writing"
    doomed.kill()
    assert tracker.upsert_items(conn, "papers", [{"key": "whole"}]) == 1
    assert [row["key"] for row in tracker.get_pending(conn, "papers")] == ["whole"]
    assert conn.pragma("integrity_check") == "ok"


def test_whoever_waits_for_its_turn_gets_it_when_the_holder_dies(start_worker):
    doomed, waiting = start_worker(), start_worker()
    doomed.ask("stop_inside_a_write")
    waiting.tell("settle", item_id=99, attempt=1, result={})
    doomed.kill()
    assert "owns it no longer" in waiting.hear()


@pytest.mark.parametrize("settled", [1, 7, 20])
def test_a_worker_killed_at_work_leaves_the_file_whole_and_its_stage_to_another(
    conn, add_opened, start_worker, settled
):
    item_ids = add_opened(*(f"item {number}" for number in range(500)), stages=["fetch"])
    doomed = start_worker()
    doomed.tell("work_for_ever", item_ids=item_ids)
    assert [doomed.hear() for _ in range(settled)] == [[True, "settled"]] * settled
    doomed.kill()
    check_now(conn)
    stats = tracker.get_job_stats(conn, "papers")
    assert stats["done"] >= settled
    assert stats["in_progress"] <= 1
    assert len(conn.execute("SELECT 1 FROM results").fetchall()) == stats["done"]
    tracker.reset_in_progress_stages(conn)
    left = [row["item_id"] for row in tracker.get_items_needing_stage(conn, "papers", "fetch", limit=1000)]
    assert len(left) == 500 - stats["done"]
    attempt = conn.execute("SELECT attempt FROM item_stages WHERE item_id = ?", (left[0],)).fetchone()[0]
    assert claims.claim(conn, left[0], "fetch", attempt + 1, worker="another")
