"""An action that is killed in the middle, between two batches or inside one, and taken up again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import runner
import tracker
from runner import working_off
from tracker import claims, moves
from tracker.actions import begin, get_action, list_actions
from tracker.acts import ACTS
from tracker.endings import Ending, Failure
from tracker.plan import make_plan, open_items
from tracker.undoing import begin_undo

SCRIPT = Path(__file__).with_name("acting_process.py")
ROOT = Path(runner.__file__).parents[1]
STAGES = ["fetch", "extract", "store"]
COUNT = 40
LATER = 2**50

STATES = {
    "item_stages": "SELECT item_id, stage, status, attempt, needs_left, reason, retries, retry_at IS NULL, priority,"
    " cancelled_by, ended_at IS NULL, backfill, again FROM item_stages ORDER BY item_id, stage",
    "work_items": "SELECT item_id, status, priority FROM work_items ORDER BY item_id",
    "counts": "SELECT * FROM stage_counts ORDER BY stage",
    "events": "SELECT kind, item_id, stage, attempt, by, detail FROM events ORDER BY kind, item_id, stage, event_id",
    "actions": "SELECT act, total, done, passed, finished_at IS NULL FROM actions ORDER BY action_id",
    "remembered": "SELECT action_id, item_id, stage, made, status FROM action_stages ORDER BY 1, 2, 3",
}


def read_state(path):
    with tracker.open_db(path) as conn:
        return {name: [tuple(row) for row in conn.execute(sql).fetchall()] for name, sql in STATES.items()}


@pytest.fixture
def busy_file(db_path):
    """Make a file of items that are done, failed, parked and running, ten of each."""
    with tracker.open_db(db_path) as conn:
        tracker.upsert_items(conn, "papers", [{"key": f"k{n:02}"} for n in range(COUNT)])
        ids = [row[0] for row in conn.execute("SELECT item_id FROM work_items ORDER BY item_id")]
        with tracker.write(conn):
            open_items(conn, "papers", ids, make_plan(STAGES))
        for n, item_id in enumerate(ids):
            claims.claim(conn, item_id, "fetch", 1, worker="w")
            if n % 4 == 0:
                tracker.mark_stage_done(conn, item_id, "fetch", STAGES, {"n": n})
                tracker.mark_done(conn, item_id)
            elif n % 4 == 1:
                failure = Failure.named("ValueError", "broken")
                moves.settle(conn, item_id, "fetch", 1, Ending.failed(failure))
            elif n % 4 == 2:
                moves.settle(conn, item_id, "fetch", 1, Ending.later("quota", LATER), hand_over=False)
    return db_path


def order(conn, act):
    detail = {"priority": 7} if act == "priority" else {}
    stage = "fetch" if act == "reset" else None
    reason = "why" if act in {"skip", "cancel"} else None
    how = {"by": "job"}
    return begin(conn, act, "papers", stage, how, by="ann", total=COUNT, reason=reason, detail=detail)


def do_all(path, action_id):
    with tracker.open_db(path) as conn:
        return working_off.work_off(conn, get_action(conn, action_id))


def begin_on(path, act):
    """Begin an act; of `undo`, after a reset that is to be undone."""
    with tracker.open_db(path) as conn:
        if act != "undo":
            return order(conn, act).action_id
        return begin_undo(conn, working_off.work_off(conn, order(conn, "reset")), "ann").action_id


def kill_after(path, action_id, batches):
    process = subprocess.Popen(
        [sys.executable, SCRIPT, path, str(action_id)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    for number in range(batches):
        assert process.stdout.readline()
        if number < batches - 1:
            process.stdin.write("\n")
            process.stdin.flush()
    process.kill()
    process.communicate()


@pytest.mark.parametrize("act", [*(act for act in ACTS if act != "inject"), "undo"])
def test_an_action_that_was_killed_comes_to_the_same_as_one_that_was_not(busy_file, tmp_path, act):
    whole = Path(shutil.copy(busy_file, tmp_path / "whole.db"))
    assert do_all(whole, begin_on(whole, act)).done
    action_id = begin_on(busy_file, act)
    kill_after(busy_file, action_id, 3)
    with tracker.open_db(busy_file) as conn:
        cut_off = get_action(conn, action_id)
        assert cut_off.finished_at is None
        assert cut_off.done + cut_off.passed > 0
    assert do_all(busy_file, action_id).finished_at is not None
    assert read_state(busy_file) == read_state(whole)


def test_a_kill_inside_a_batch_leaves_that_batch_undone(busy_file, tmp_path):
    whole = Path(shutil.copy(busy_file, tmp_path / "whole.db"))
    do_all(whole, begin_on(whole, "reset"))
    action_id = begin_on(busy_file, "reset")
    before = read_state(busy_file)
    inside = (
        "import os, signal, sys, tracker\n"
        "from tracker import action_batches, actions\n"
        "with tracker.open_db(sys.argv[1]) as conn, tracker.write(conn):\n"
        "    action = actions.get_action(conn, int(sys.argv[2]))\n"
        "    assert action_batches.do_batch(conn, action, action_batches.next_page(conn, action, 9)).done\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", inside, busy_file, str(action_id)], env=environment, check=False)
    assert read_state(busy_file) == before
    do_all(busy_file, action_id)
    assert read_state(busy_file) == read_state(whole)


def test_two_who_carry_out_one_action_do_nothing_twice(busy_file, tmp_path):
    whole = Path(shutil.copy(busy_file, tmp_path / "whole.db"))
    do_all(whole, begin_on(whole, "reset"))
    with tracker.open_db(busy_file) as one, tracker.open_db(busy_file) as other:
        mine = order(one, "reset")
        assert order(other, "reset").action_id == mine.action_id
        theirs = get_action(other, mine.action_id)
        for _ in range(3):
            mine = working_off._work_once(one, mine, 5)[0]
            theirs = working_off._work_once(other, theirs, 5)[0]
        working_off.work_off(one, mine)
        assert len(list_actions(one)) == 1
    assert read_state(busy_file) == read_state(whole)
