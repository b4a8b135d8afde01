"""What the worker's parent hears of its children, with Celery's own exceptions."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog
from billiard.common import _shutdown_cleanup, clear_terminate_handler_fired
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from billiard.pool import soft_timeout_sighandler
from celery import signals
from celery.exceptions import WorkerTerminate
from celery.worker import state
from celery.worker.request import Request

import tracker
from handlers.time_limit import TIME_LIMIT
from runner.dispatch import dispatch_job
from tasks import app as the_app
from tasks.app import get_runtime
from tasks.signals import HandsBack, NewQueues, hand_back, strike_when_told
from tasks.stopping import is_stopping
from tests.waiting import PATIENCE_SECONDS
from tracker.claims import claim

ROOT = Path(__file__).parents[2]


@pytest.fixture
def conn(app, write_jobs):
    write_jobs(demo={"stages": [{"name": "fetch", "handler": "tasks_plugins:Echo", "timeout": 60}]})
    tracker.upsert_items(get_runtime().tracker, "demo", [{"key": "a"}, {"key": "b"}])
    dispatch_job(get_runtime(), get_runtime().jobs.get_job("demo"))
    return get_runtime().tracker


@pytest.fixture
def ids(conn, fetch):
    """Give the arguments of a stage that a child has claimed."""
    (first, _) = fetch()
    assert claim(conn, *first.args, worker="child")
    return first.args


def fail(error, ids):
    task = the_app.tasks["tasks.run_stage"]  # as Celery finds it
    signals.task_failure.send(sender=task, exception=error, args=ids, kwargs={}, task_id="x", einfo=None)


def read_stage(conn, ids):
    sql = "SELECT * FROM item_stages WHERE item_id = ? AND stage = ?"
    return dict(conn.execute(sql, ids[:2]).fetchone())


def test_the_claim_of_a_lost_child_is_given_back_once(conn, ids):
    for _ in range(2):
        fail(WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 1."), ids)
    row = read_stage(conn, ids)
    assert (row["status"], row["crashes"], row["retries"]) == ("pending", 1, 0)
    assert "SIGKILL" in row["reason"]


def test_a_lost_child_is_told_of_in_one_line_that_names_its_stage(conn, ids, app):
    lost = WorkerLostError("Worker exited prematurely: exitcode 9 Job: 1.")
    with structlog.testing.capture_logs() as logs:
        fail(lost, ids)
    assert logs == [{
        "event": "worker process lost; its stage was given back", "log_level": "error", "job": "demo",
        "item_id": ids[0], "stage": "fetch", "attempt": 1, "reason": str(lost),
    }]  # fmt: skip
    with structlog.testing.capture_logs() as logs:
        signals.task_failure.send(
            sender=app.tasks["tasks.discover"], exception=lost, args=["demo"], kwargs={}
        )
    assert [(line["event"], line["task"]) for line in logs] == [("worker process lost", "tasks.discover")]


def test_celerys_own_line_of_a_lost_child_is_left_out_and_no_other(caplog, monkeypatch):
    theirs = logging.getLogger("celery.worker.request")
    monkeypatch.setattr(theirs, "filters", [])
    monkeypatch.setattr("tasks.signals.configure_logs", lambda *_: None)
    monkeypatch.setattr("tasks.signals.log_what_is_printed", lambda *_: None)
    signals.setup_logging.send(sender=None, loglevel=logging.ERROR)
    for error in (WorkerLostError("gone"), ValueError("odd")):
        theirs.error("Task handler raised error: %r", error)
    assert [record.getMessage() for record in caplog.records] == [
        "Task handler raised error: ValueError('odd')"
    ]


def test_the_claims_of_a_batch_of_a_lost_child_are_all_given_back(conn, fetch):
    requests = fetch()
    for request in requests:
        assert claim(conn, *request.args, worker="child")
    pairs = [(item_id, attempt) for item_id, _, attempt in (request.args for request in requests)]
    task = the_app.tasks["tasks.run_batch"]
    error = WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 1.")
    signals.task_failure.send(
        sender=task, exception=error, args=("fetch", pairs), kwargs={}, task_id="x", einfo=None
    )
    rows = [read_stage(conn, request.args) for request in requests]
    assert [(row["status"], row["crashes"]) for row in rows] == [("pending", 1)] * 2


def test_a_child_that_was_killed_because_its_time_was_up_is_a_timeout_once(conn, ids):
    for _ in range(2):  # a hard time limit is told twice
        fail(TimeLimitExceeded(70.0), ids)
    row = read_stage(conn, ids)
    assert (row["status"], row["crashes"], row["retries"]) == ("pending", 0, 1)
    assert "exceeded its timeout of 1 m" in row["reason"]


def test_what_fails_outside_of_a_handler_is_told_and_changes_nothing(conn, ids):
    with structlog.testing.capture_logs() as logs:
        fail(ValueError("odd"), ids)
    assert [line["event"] for line in logs] == ["a task failed outside its handler"]
    assert read_stage(conn, ids)["status"] == "in_progress"


def test_a_failure_of_another_task_is_not_taken_for_a_stages(conn, ids, app):
    signals.task_failure.send(
        sender=app.tasks["tasks.sweep"], exception=WorkerLostError("gone"), args=ids, kwargs={}
    )
    assert read_stage(conn, ids)["status"] == "in_progress"


def test_a_tracker_that_cannot_be_opened_leaves_the_stage_to_its_lease(conn, ids, home):
    get_runtime().close()
    for path in home.glob("tracker.db*"):
        path.unlink()
    (home / "tracker.db").write_text("no database at all, and long enough to be looked at" * 50)
    with structlog.testing.capture_logs() as logs:
        fail(WorkerLostError("gone"), ids)
    assert logs[-1]["event"] == "could not give a stage back; its lease will run out"
    (home / "tracker.db").unlink()


@pytest.fixture
def requests(app, conn, fetch):
    """Make requests of the messages on the queue, as a worker holds those that it has fetched."""
    made = [Request(sent.raw, app=app) for sent in fetch()]
    yield made
    for request in made:
        state.reserved_requests.discard(request)
        state.active_requests.discard(request)


def test_what_was_fetched_and_not_begun_is_handed_back_at_shutdown(conn, requests):
    begun, waiting = requests
    for request in requests:
        state.reserved_requests.add(request)
    state.active_requests.add(begun)
    HandsBack(None).close(None)
    assert read_stage(conn, begun.args)["queued_at"] is not None
    assert read_stage(conn, waiting.args)["queued_at"] is None


def test_a_worker_that_is_told_to_stop_while_it_writes_goes_on(conn, requests):
    for request in requests:
        state.reserved_requests.add(request)
    told = threading.Thread(  # as the parent is told: with what it does in its hands
        target=signals.worker_shutting_down.send,
        kwargs={"sender": "celery@here", "sig": "TERM", "how": "Warm", "exitcode": 0},
    )
    with tracker.write(conn):
        told.start()
        told.join(PATIENCE_SECONDS)
        assert not told.is_alive()
    told.join()
    assert is_stopping()


def test_a_worker_that_holds_nothing_hands_nothing_back(conn):
    with structlog.testing.capture_logs() as logs:
        hand_back()
    assert logs == []


@pytest.fixture
def child():
    """Let this process take SIGTERM as a worker's child does."""
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, _shutdown_cleanup)
    yield
    signal.signal(signal.SIGTERM, before)
    clear_terminate_handler_fired()


def test_a_stage_whose_worker_is_stopped_is_given_back_and_uses_no_retry(conn, child, fetch, monkeypatch):
    def stopped(self, context):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("tasks_plugins.Echo.run", stopped)
    first, _ = fetch()
    signals.task_prerun.send(sender=the_app.tasks["tasks.run_stage"], task_id="x")
    with pytest.raises(WorkerTerminate) as caught:
        the_app.tasks["tasks.run_stage"](*first.args)
    row = read_stage(conn, first.args)
    assert (row["status"], row["retries"], row["reason"]) == ("pending", 0, "the worker was stopped")
    assert caught.value.code == signal.SIGTERM - 256


def test_other_processes_take_sigterm_as_before():
    before = signal.getsignal(signal.SIGTERM)
    signals.task_prerun.send(sender=the_app.tasks["tasks.run_stage"], task_id="x")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_worker_serves_a_queue_that_jobs_yaml_gains(app, write_jobs):
    write_jobs(demo={})
    added = []
    consumer = SimpleNamespace(add_task_queue=added.append)
    step = NewQueues(consumer)
    step.act(consumer)
    write_jobs(demo={"stages": [{"name": "fetch", "handler": "tasks_plugins:Echo", "queue": "slow"}]})
    step.act(consumer)
    step.act(consumer)
    assert added == ["slow"]


def test_the_worker_is_told_to_look_for_queues(app):
    assert NewQueues in app.steps["consumer"]


def test_our_logs_are_used_whatever_starts_the_process():
    assert signals.setup_logging.receivers


@pytest.fixture
def limited_child():
    """Make this process take a soft time limit as a pool's child does at its first task."""
    before = signal.signal(signal.SIGUSR1, soft_timeout_sighandler)
    strike_when_told()
    yield
    signal.signal(signal.SIGUSR1, before)
    signals.task_prerun.connect(strike_when_told)
    TIME_LIMIT.begin()


def test_a_soft_time_limit_strikes_while_it_applies(limited_child):
    with pytest.raises(SoftTimeLimitExceeded), TIME_LIMIT.applies():
        os.kill(os.getpid(), signal.SIGUSR1)


def test_a_soft_time_limit_strikes_neither_the_settling_nor_a_process_that_waits(limited_child):
    os.kill(os.getpid(), signal.SIGUSR1)


CHILD = """
import gc
from celery import signals
import tasks
usual = gc.get_threshold()
signals.worker_process_init.send(sender=None)
print(gc.get_freeze_count() > 0, gc.get_threshold()[0] > usual[0], gc.get_threshold()[1:] == usual[1:], gc.isenabled())
"""


def test_a_process_looks_for_garbage_seldom_and_not_among_what_it_was_forked_with():
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["True"] * 4
