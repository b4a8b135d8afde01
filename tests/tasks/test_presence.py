"""What a worker's parent says of it, and what becomes of that."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import structlog
from celery import signals

from runner.code_version import read_code_version
from tasks import presence
from tasks.app import get_runtime
from tasks.presence import SaysItLives, list_processes
from tasks.scheduler import JobsScheduler
from tracker.workers import find_beat, list_workers


@dataclass(frozen=True)
class Worker:
    """What Celery says which worker stops."""

    hostname: str


@pytest.fixture
def consumer(app, write_jobs):
    write_jobs(demo={})
    queues = [SimpleNamespace(name=name) for name in ("celery", "tracker")]
    pool = SimpleNamespace(_pool=SimpleNamespace(_pool=[SimpleNamespace(pid=8), SimpleNamespace(pid=9)]))
    timers = []

    def call_repeatedly(seconds, act, args):
        timers.append((seconds, act, args))
        return SimpleNamespace(cancel=timers.clear)

    return SimpleNamespace(
        hostname="w1@here",
        pool=pool,
        task_consumer=SimpleNamespace(queues=queues),
        timer=SimpleNamespace(call_repeatedly=call_repeatedly),
        timers=timers,
    )


def test_a_worker_says_that_it_lives_when_it_starts_and_every_quarter_of_a_minute(consumer):
    step = SaysItLives(consumer)
    step.start(consumer)
    (report,) = list_workers(get_runtime().tracker)
    assert (report.name, report.host, report.pid) == ("w1@here", socket.gethostname(), os.getpid())
    assert (report.processes, report.queues) == ([8, 9], ["celery", "tracker"])
    assert (report.version, report.is_remote, report.is_scoped) == (read_code_version(), False, False)
    assert [seconds for seconds, _, _ in consumer.timers] == [15.0]
    step.stop(consumer)
    assert consumer.timers == []


def test_a_worker_that_stops_is_struck_off(consumer):
    presence.say(consumer)
    for _ in range(2):
        signals.worker_shutdown.send(sender=Worker("w1@here"))
    assert list_workers(get_runtime().tracker) == []


def test_a_worker_far_from_the_file_is_heard_by_those_beside_it(consumer, home, work, write_jobs):
    (home / "jobs.yaml").unlink()
    get_runtime.cache_clear()
    presence.say(consumer)
    assert not (home / "tracker.db").exists()
    write_jobs(demo={})
    assert work("tracker") == [None]
    (report,) = list_workers(get_runtime().tracker)
    assert (report.name, report.is_remote) == ("w1@here", True)
    (home / "jobs.yaml").unlink()
    get_runtime.cache_clear()
    signals.worker_shutdown.send(sender=Worker("w1@here"))
    write_jobs(demo={})
    work("tracker")
    assert list_workers(get_runtime().tracker) == []


def test_a_tracker_that_cannot_be_opened_stops_no_worker(consumer, home):
    for path in home.glob("tracker.db*"):
        path.unlink()
    (home / "tracker.db").write_text("no database at all, and long enough to be looked at" * 50)
    with structlog.testing.capture_logs() as logs:
        presence.say(consumer)
    assert logs[-1]["event"] == "could not say that this worker lives"
    (home / "tracker.db").unlink()


def test_a_pool_of_threads_has_no_processes():
    assert list_processes(SimpleNamespace(_pool=None)) == []
    assert list_processes(None) == []


def test_the_worker_is_told_to_say_that_it_lives(app):
    assert SaysItLives in app.steps["consumer"]


def test_beat_notes_that_it_ticks(app, write_jobs):
    write_jobs(demo={})
    scheduler = JobsScheduler(app=app, lazy=True)
    scheduler.setup_schedule()
    scheduler._say_that_it_ticks()
    assert find_beat(get_runtime().tracker) is not None
    before = get_runtime().tracker.total_changes()
    scheduler._say_that_it_ticks()
    assert get_runtime().tracker.total_changes() == before
