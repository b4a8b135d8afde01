"""What is sent to Celery, and how people see it there."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import BrokerUnavailableError
from runner.broker import is_reachable, start_server
from tasks import discover
from tasks.app import get_runtime
from tasks.publisher import HARD_LIMIT_GRACE_SECONDS, KEY_CHARS, CeleryPublisher
from tests.waiting import wait_until
from tracker.dispatch import Message


@pytest.fixture
def publish(app, write_jobs):
    """Publish a message about a stage that has these settings, and find it again."""

    def send(message, **spec):
        stage = {"name": message.stage, "handler": "tasks_plugins:Echo", **spec}
        write_jobs(demo={"stages": [stage]})
        CeleryPublisher(app).publish_stages(get_runtime().jobs.get_job("demo"), [message])

    return send


def message(**more):
    return Message(**{"item_id": 7, "job_id": "demo", "stage": "fetch", "attempt": 2, "key": "a"} | more)


def test_a_message_carries_ids_only(publish, fetch):
    publish(message())
    (sent,) = fetch()
    assert (sent.task, sent.args, sent.kwargs) == ("tasks.run_stage", [7, "fetch", 2], {})
    assert sent.raw.content_type == "application/json"


def test_a_stage_is_shown_as_job_and_stage_with_its_key(publish, fetch):
    publish(message(key="https://example.org/1"))
    (sent,) = fetch()
    assert sent.headers["shadow"] == "demo.fetch"
    assert sent.headers["argsrepr"] == "https://example.org/1"
    assert sent.headers["kwargsrepr"] == ""


def test_a_long_key_is_shown_in_part(publish, fetch):
    publish(message(key="k" * 1000))
    (sent,) = fetch()
    assert sent.headers["argsrepr"] == "k" * KEY_CHARS


def test_a_stages_timeout_is_its_time_limit(publish, fetch):
    publish(message(), timeout=90)
    (sent,) = fetch()
    assert sent.headers["timelimit"] == [90 + HARD_LIMIT_GRACE_SECONDS, 90]


def test_a_stage_goes_to_its_queue(publish, fetch):
    publish(message(), queue="slow")
    assert fetch() == []
    assert len(fetch("slow")) == 1


def test_a_wait_is_a_countdown(publish, fetch):
    before = datetime.now(UTC)
    publish(message(countdown_seconds=120.0))
    (sent,) = fetch()
    assert 120 <= (datetime.fromisoformat(sent.headers["eta"]) - before).total_seconds() < 300


def test_a_message_to_be_run_at_once_has_no_countdown(publish, fetch):
    publish(message())
    assert fetch()[0].headers["eta"] is None


def test_messages_keep_their_order(app, write_jobs, fetch):
    write_jobs(demo={})
    messages = [message(item_id=number) for number in range(250)]
    CeleryPublisher(app).publish_stages(get_runtime().jobs.get_job("demo"), messages)
    assert [sent.args[0] for sent in fetch()] == list(range(250))


def test_a_remote_stage_carries_what_it_needs_and_no_secret(publish, fetch, monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cret")
    cargo = {"job": "demo", "key": "a", "data": {}, "params": {"token": "${TOKEN}"}}
    publish(message(cargo=cargo), queue="far", remote=True)
    (sent,) = fetch("far")
    assert (sent.task, sent.args) == ("tasks.run_remote", [7, "fetch", 2, cargo])
    assert "s3cret" not in json.dumps([sent.headers, sent.raw.payload])


def test_a_discovery_is_shown_as_the_jobs(app, fetch):
    publisher = CeleryPublisher(app)
    publisher.publish_discovery("demo")
    publisher.publish_discovery("demo", run_id=3)
    publisher.publish_discovery("demo", scheduled=True)
    sent = fetch()
    assert {one.headers["shadow"] for one in sent} == {"demo.discover"}
    assert [(one.args, one.kwargs) for one in sent] == [
        (["demo", None], {"scheduled": False}),
        (["demo", 3], {"scheduled": False}),
        (["demo", None], {"scheduled": True}),
    ]


def test_a_discovery_can_be_asked_for_as_any_celery_user_would(app, fetch):
    discover.delay("demo")
    app.send_task("tasks.discover", ["demo"])
    assert [(sent.task, sent.args) for sent in fetch()] == [("tasks.discover", ["demo"])] * 2


@pytest.mark.parametrize("spec", [{}, {"queue": "slow"}, {"queue": "far", "remote": True}])
def test_a_message_on_any_queue_is_waiting(app, publish, fetch, spec):
    publish(message(), **spec)
    publisher = CeleryPublisher(app)
    assert publisher.has_waiting_messages()
    fetch(spec.get("queue", "celery"))
    assert not publisher.has_waiting_messages()


def test_a_broker_that_does_not_answer_is_said_so(app, write_jobs, use_broker):
    write_jobs(demo={})
    use_broker("redis://127.0.0.1:1/0", max_retries=1, interval_start=0)
    publisher = CeleryPublisher(app)
    job = get_runtime().jobs.get_job("demo")
    for act in (
        lambda: publisher.publish_stages(job, [message()]),
        lambda: publisher.publish_discovery("demo"),
        publisher.has_waiting_messages,
    ):
        with pytest.raises(BrokerUnavailableError, match="does not answer"):
            act()


@pytest.fixture
def server():
    """Start a real broker on a socket; give its directory and its process."""
    with tempfile.TemporaryDirectory(prefix="broker-") as directory:  # a socket's path has 107 bytes at most
        process = start_server(Path(directory))
        url = f"redis+socket://{directory}/broker.sock"
        wait_until(lambda: is_reachable(url))
        yield url, process
        process.kill()
        process.wait()


def test_a_broker_that_dies_under_a_batch_of_messages_is_said_so(app, write_jobs, use_broker, server):
    url, process = server
    write_jobs(demo={})
    use_broker(url, max_retries=1, interval_start=0)
    publisher, job = CeleryPublisher(app), get_runtime().jobs.get_job("demo")
    publisher.publish_stages(job, [message()])
    process.kill()
    process.wait()
    with pytest.raises(BrokerUnavailableError, match="does not answer"):
        publisher.publish_stages(job, [message()])
