"""The `tracker` queue: with each word, those that wait behind it."""

from __future__ import annotations

import pytest

from tasks import hearing
from tasks.app import get_runtime
from tasks.hearing import TASKS, take_waiting
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


def test_every_word_has_its_task(app):
    assert set(TASKS) <= set(app.tasks)


def test_with_one_word_all_that_wait_are_heard_and_no_more_than_so_many(app, write_jobs, fetch):
    write_jobs(demo={})
    for pid in range(hearing.TOGETHER + 6):
        PresenceLine(app).alive(WORD | {"pid": 100 + pid})
    app.tasks["tasks.worker_alive"](WORD | {"pid": 1})
    assert len(list_workers(get_runtime().tracker)) == hearing.TOGETHER
    assert len(fetch(TRACKER_QUEUE)) == 7


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


@pytest.mark.parametrize("count", [0, 5])
def test_nothing_waits_on_an_empty_queue(app, count):
    assert take_waiting(count) == []
