"""Pauses and probes, with processes that race and processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import tracker
from tests.waiting import PATIENCE_SECONDS
from tracker import breaker, pauses
from tracker.clock import now_ms
from tracker.pauses import Target

LIFT_ALL = """
import sys, tracker
from tracker import pauses
with tracker.open_db(sys.argv[1]) as conn:
    for due in pauses.list_due_pauses(conn):
        if pauses.lift_due(conn, due):
            print(due.job_id, flush=True)
"""

CLAIM_ALL = """
import sys, tracker
from tracker.claims import claim
with tracker.open_db(sys.argv[1]) as conn:
    sys.stdin.readline()
    print(sum(claim(conn, item_id, "fetch", 1, worker="w") is not None for item_id in range(1, 41)))
"""


def start(code, path, **more):
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, **more
    )


def due_pauses(conn, count):
    for number in range(count):
        pauses.pause(conn, Target.of_job(f"j{number}"), "why", until=now_ms() - 1)


def assert_each_was_lifted_once(conn, count):
    assert pauses.list_pauses(conn) == []
    lifted = [
        event["job_id"] for event in tracker.get_events(conn, limit=10_000) if event["kind"] == "unpause"
    ]
    assert sorted(lifted) == sorted(f"j{number}" for number in range(count))
    assert {tracker.get_retry_info(conn, job_id)["auto_unpauses"] for job_id in lifted} == {1}


@pytest.mark.parametrize("killed_after", [1, 20, 60])
def test_a_process_killed_while_it_lifts_leaves_nothing_half_lifted(conn, db_path, killed_after):
    due_pauses(conn, 100)
    process = start(LIFT_ALL, db_path)
    for _ in range(killed_after):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (
        subprocess.run(
            [sys.executable, "-c", LIFT_ALL, str(db_path)], check=False, timeout=PATIENCE_SECONDS
        ).returncode
        == 0
    )
    assert_each_was_lifted_once(conn, 100)


def test_four_processes_that_lift_at_once_lift_each_pause_once(conn, db_path):
    due_pauses(conn, 60)
    processes = [start(LIFT_ALL, db_path) for _ in range(4)]
    lifted = [process.communicate(timeout=PATIENCE_SECONDS)[0].splitlines() for process in processes]
    assert sum(map(len, lifted)) == 60
    assert_each_was_lifted_once(conn, 60)


@pytest.mark.parametrize("probes", [1, 3])
def test_of_four_processes_that_claim_everything_the_probes_go_through_and_no_more(
    conn, db_path, add_opened, probes
):
    add_opened(*(f"k{number}" for number in range(40)))
    with tracker.write(conn):
        conn.execute(
            "INSERT INTO pauses (scope, job_id, cause, reason, by, since_at, until_at) "
            "VALUES ('job', 'papers', 'breaker', 'why', 'breaker', 1, 2)"
        )
    (due,) = pauses.list_due_pauses(conn)
    assert breaker.begin_probing(conn, due, probes)
    processes = [start(CLAIM_ALL, db_path, stdin=subprocess.PIPE) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        claimed = list(
            pool.map(lambda process: int(process.communicate("go\n", timeout=PATIENCE_SECONDS)[0]), processes)
        )
    assert sum(claimed) == probes
    assert conn.execute("SELECT count(*) FROM probes").fetchone()[0] == probes
    assert pauses.read_pause(conn, Target.of_job("papers")).probes_left == 0
