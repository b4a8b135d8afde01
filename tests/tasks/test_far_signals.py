"""What a worker far from the file tells those beside it when a process of its dies, and when it stops."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import signals
from celery.worker import state

from tasks import app as the_app
from tasks.app import FAR_VARIABLE, get_runtime
from tasks.pool import process_ended
from tasks.publisher import TRACKER_QUEUE
from tasks.signals import hand_back


@dataclass(frozen=True, eq=False)
class Request:
    """What a worker has fetched."""

    type: str
    args: tuple


IDS = (7, "fetch", 2)
CARGO = {"job": "demo", "timeout_seconds": 60}


@pytest.fixture
def far(app, monkeypatch):
    """Be a process far from the file."""
    monkeypatch.setenv(FAR_VARIABLE, "1")
    get_runtime.cache_clear()
    return app


def fail(error):
    task = the_app.tasks["tasks.run_remote"]  # as Celery finds it
    signals.task_failure.send(
        sender=task, exception=error, args=(*IDS, CARGO), kwargs={}, task_id="x", einfo=None
    )


def test_a_lost_child_gives_its_stage_back_at_once(far, fetch):
    fail(WorkerLostError("signal 9 (SIGKILL)"))
    (word,) = fetch(TRACKER_QUEUE)
    assert (word.task, word.args) == ("tasks.remote_lost", [*IDS, "signal 9 (SIGKILL)"])


def test_a_child_that_was_killed_because_its_time_was_up_is_a_timeout(far, fetch):
    fail(TimeLimitExceeded(70.0))
    (word,) = fetch(TRACKER_QUEUE)
    assert word.task == "tasks.remote_ended"
    assert word.args[-1]["failure"]["error_type"] == "StageTimeout"
    assert "1 m" in word.args[-1]["failure"]["message"]


def test_what_was_fetched_and_not_begun_is_handed_back_when_it_stops(far, fetch, monkeypatch):
    monkeypatch.setattr(state, "reserved_requests", {Request("tasks.run_remote", (*IDS, CARGO))})
    monkeypatch.setattr(state, "active_requests", set())
    hand_back()
    (word,) = fetch(TRACKER_QUEUE)
    assert (word.task, word.args) == ("tasks.remote_handed_back", [[list(IDS)]])


def test_the_end_of_a_process_opens_no_tracker_of_this_machine(far, home):
    process_ended.send(sender=None, pid=99_999_999)
    assert not list(home.glob("tracker.db*"))
