"""The app's settings: the tracker owns retries and results, the broker remembers nothing."""

from __future__ import annotations

import importlib

import pytest
from celery.app.utils import find_app

from runner.context import RunContext
from tasks import app as the_app
from tasks import discover, run_stage, sweep
from tasks.app import RUN_VARIABLE, get_runtime, list_queues
from tasks.transport import BulkChannel

TASKS = {"tasks.run_stage", "tasks.discover", "tasks.sweep"}


def test_celery_finds_the_app_by_the_name_of_the_package():
    assert find_app("tasks") is the_app


def test_the_tasks_have_names_that_people_can_call():
    assert set(the_app.tasks) >= TASKS
    assert (run_stage.name, discover.name, sweep.name) == ("tasks.run_stage", "tasks.discover", "tasks.sweep")


def test_only_json_goes_over_the_wire():
    assert (the_app.conf.task_serializer, list(the_app.conf.accept_content)) == ("json", ["json"])


def test_celery_keeps_no_results_and_retries_nothing():
    assert the_app.conf.result_backend is None
    for name in TASKS:
        assert the_app.tasks[name].ignore_result
        assert not getattr(the_app.tasks[name], "autoretry_for", ())


def test_the_broker_remembers_nothing():
    assert the_app.conf.broker_transport_options["ack_emulation"] is False
    assert the_app.conf.task_acks_late
    assert the_app.conf.worker_prefetch_multiplier == 4
    assert BulkChannel.do_restore is False
    with the_app.connection_for_write() as connection:
        assert connection.transport.Channel is BulkChannel


def test_a_broker_that_is_away_is_waited_for_without_end():
    assert the_app.conf.broker_connection_retry_on_startup
    assert the_app.conf.broker_connection_max_retries is None
    assert not the_app.conf.worker_cancel_long_running_tasks_on_connection_loss


def test_beat_uses_our_scheduler():
    module, _, name = the_app.conf.beat_scheduler.partition(":")
    assert hasattr(importlib.import_module(module), name)


def test_a_discovery_that_hangs_is_ended():
    assert 0 < discover.soft_time_limit < discover.time_limit


def test_a_process_has_one_runtime(home, write_jobs):
    write_jobs(demo={})
    assert get_runtime() is get_runtime()
    assert get_runtime().settings.jobs == home / "jobs.yaml"


def test_a_worker_of_a_run_is_told_how_the_run_behaves(home, monkeypatch):
    run = RunContext(limit=3, active_items=frozenset({1, 2}))
    monkeypatch.setenv(RUN_VARIABLE, run.to_json())
    assert get_runtime().run == run


def test_a_worker_of_no_run_takes_everything(home):
    assert get_runtime().run == RunContext()


def test_a_worker_serves_the_default_queue_and_all_that_jobs_yaml_names(home, write_jobs):
    write_jobs(demo={"stages": [{"handler": "tasks_plugins:Echo", "name": "a", "queue": "slow"}]})
    assert set(list_queues()) >= {"celery", "slow"}
    assert list_queues() == sorted(list_queues())


def test_a_worker_leaves_the_queues_of_remote_stages_alone(home, write_jobs):
    stages = [{"handler": "tasks_plugins:Echo", "name": "a", "queue": "far", "remote": True}]
    write_jobs(demo={"stages": stages})
    assert "far" not in list_queues()
    assert "far" in list_queues(with_remote=True)


@pytest.mark.parametrize("text", [None, "version: 7"])
def test_without_a_jobs_yaml_in_order_the_default_queue_is_served_all_the_same(home, text):
    if text:
        (home / "jobs.yaml").write_text(text)
    assert "celery" in list_queues()
