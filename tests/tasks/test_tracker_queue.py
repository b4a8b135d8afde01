"""The `tracker` queue: with each word, those that wait behind it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runner.remote import HEARD
from tasks import hearing
from tasks.app import get_runtime
from tasks.hearing import TASKS, HearsWhatWaits, take_waiting
from tasks.line import PresenceLine, TrackerLine
from tasks.publisher import TRACKER_QUEUE
from tracker.workers import list_workers

WORD = {
    "host": "far",
    "name": "w@far",
    "queues": ["gpu"],
    "version": "1",
    "remote": True,
    "scoped": False,
    "processes": [],
    "started_at": 1,
    "at": 1,
}


FAR_STAGE = {"name": "fetch", "handler": "tasks_plugins:Echo", "queue": "gpu", "remote": True}


def test_every_word_has_its_task_and_who_records_it(app):
    assert set(TASKS) <= set(app.tasks)
    assert set(TASKS.values()) == {*HEARD, "ended"}


def test_what_waits_is_taken_in_its_order(app):
    line = TrackerLine(app, 7, "fetch", 2)
    line.begun()
    line.alive((1.0, None, "half"))
    line.ended({"ended": "skip"})
    assert [(one.kind, one.args[:3]) for one in take_waiting(9)] == [
        (kind, (7, "fetch", 2)) for kind in ("begun", "alive", "ended")
    ]


def test_a_message_that_cannot_be_read_is_dropped_and_what_is_no_word_is_sent_to_where_it_is_run(app, fetch):
    PresenceLine(app).gone("far", 1)
    with app.producer_pool.acquire() as producer:
        producer.publish(b"\x80", routing_key=TRACKER_QUEUE, content_type="application/x-python-serialize")
        producer.publish([[], {}, {}], routing_key=TRACKER_QUEUE, headers={"task": "tasks.unknown"})
        producer.publish([[], {}, {}], routing_key=TRACKER_QUEUE, headers={"task": "tasks.sweep"})
    PresenceLine(app).gone("far", 2)
    assert [one.args for one in take_waiting(9)] == [("far", 1), ("far", 2)]
    assert [message.headers["task"] for message in fetch()] == ["tasks.sweep"]


@pytest.mark.parametrize("task", ["tasks.worker_gone", "tasks.sweep"])
@pytest.mark.parametrize("body", [[5, {}, {}], [None, {}, {}], [[], 5, {}]])
def test_a_message_without_a_list_of_arguments_takes_no_word_with_it(app, body, task):
    PresenceLine(app).gone("far", 1)
    with app.producer_pool.acquire() as producer:
        producer.publish(body, routing_key=TRACKER_QUEUE, headers={"task": task})
    PresenceLine(app).gone("far", 2)
    assert [one.args for one in take_waiting(9)] == [("far", 1), ("far", 2)]


@pytest.mark.parametrize("count", [0, 5])
def test_nothing_waits_on_an_empty_queue(app, count):
    assert take_waiting(count) == []


def receive_all(app, parent):
    """Let the worker's parent receive what waits, as Celery does."""
    acknowledged = []
    with app.producer_pool.acquire() as producer:
        while message := producer.channel.basic_get(TRACKER_QUEUE, no_ack=True):
            receive = app.tasks[message.headers["task"]].start_strategy(app, parent)
            receive(message, None, lambda *args: acknowledged.append(args), None, [])
    return len(acknowledged)


def test_a_workers_parent_hears_words_itself_those_that_come_together_in_one_go(app, write_jobs, parent):
    write_jobs(demo={})
    for pid in range(3):
        PresenceLine(app).alive(WORD | {"pid": pid})
    assert receive_all(app, parent) == 3
    assert list_workers(get_runtime().tracker) == []
    ((call, args),) = parent.soon
    PresenceLine(app).alive(WORD | {"pid": 3})
    call(*args)
    assert len(list_workers(get_runtime().tracker)) == 4
    assert len(parent.soon) == 1


def test_a_worker_that_stops_hears_what_it_has_received(app, write_jobs, parent):
    write_jobs(demo={})
    for pid in range(hearing.TOGETHER + 1):
        PresenceLine(app).alive(WORD | {"pid": pid})
    assert receive_all(app, parent) == hearing.TOGETHER + 1
    HearsWhatWaits(parent).stop(parent)
    assert len(list_workers(get_runtime().tracker)) == hearing.TOGETHER + 1


def test_a_worker_looks_at_the_queue_only_where_stages_run_far_away(app, write_jobs, parent):
    step = HearsWhatWaits(parent)
    PresenceLine(app).alive(WORD | {"pid": 1})
    write_jobs(demo={})
    step.act(parent)
    assert list_workers(get_runtime().tracker) == []
    write_jobs(demo={"stages": [FAR_STAGE]})
    step.act(parent)
    assert len(list_workers(get_runtime().tracker)) == 1


def test_more_than_are_heard_at_once_are_heard_one_after_another(app, write_jobs, parent):
    write_jobs(demo={})
    for pid in range(2 * hearing.TOGETHER + 1):
        PresenceLine(app).alive(WORD | {"pid": pid})
    hearing.hear_what_waits(parent)
    assert len(list_workers(get_runtime().tracker)) == hearing.TOGETHER
    while parent.soon:
        call, args = parent.soon.pop()
        call(*args)
    assert len(list_workers(get_runtime().tracker)) == 2 * hearing.TOGETHER + 1


def test_a_worker_that_does_not_serve_the_queue_leaves_it_alone(app, write_jobs, parent, fetch):
    write_jobs(demo={"stages": [FAR_STAGE]})
    PresenceLine(app).alive(WORD | {"pid": 1})
    parent.task_consumer.queues[:] = [SimpleNamespace(name="slow")]
    HearsWhatWaits(parent).act(parent)
    assert len(fetch(TRACKER_QUEUE)) == 1
