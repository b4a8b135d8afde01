"""A task that meets a tracker of a newer release stops its worker; any other failure does not."""

from __future__ import annotations

import pytest
from celery import signals
from celery.worker import state

from cli import exit_codes
from pipeline.errors import TrackerNewerError, TrackerUnusableError
from tasks import newer


@pytest.fixture
def worker_state(monkeypatch):
    monkeypatch.setattr(state, "should_stop", None)
    return state


def test_a_task_that_meets_a_newer_file_stops_a_worker_of_threads(worker_state):
    signals.task_failure.send(sender=None, exception=TrackerNewerError("it has schema 99"))
    assert worker_state.should_stop == exit_codes.UNUSABLE == newer.UNUSABLE


def test_another_failure_stops_no_worker(worker_state):
    signals.task_failure.send(sender=None, exception=TrackerUnusableError("read-only"))
    assert worker_state.should_stop is None
