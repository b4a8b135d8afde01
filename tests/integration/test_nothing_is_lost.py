"""Promises 1 and 2, tried by breaking things in the middle of the demo job."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from conftest import House

pytestmark = pytest.mark.timeout(600)  # a busy machine takes so long for a whole house

STAGES = 3
MIDDLE = 300


def discover_demo(house: House) -> int:
    """Discover the demo through Celery, as a shell would; how many items it has."""
    assert house.celery("call", "tasks.discover", "--args", '["demo"]').returncode == 0
    house.wait(lambda: house.settled() > 0)
    return house.count("SELECT count(*) FROM work_items WHERE job_id = 'demo'")


def wait_for_the_middle(house: House) -> None:
    house.wait(lambda: house.settled() > MIDDLE)


def assert_each_once(house: House, items: int) -> None:
    """Check from the file alone that everything is done, and nothing was recorded twice."""
    assert house.unfinished() == 0
    assert house.count("SELECT count(*) FROM results") == items * STAGES
    assert house.count("SELECT count(*) FROM events WHERE kind = 'finish'") == items * STAGES
    assert house.count("SELECT count(*) FROM item_stages WHERE status = 'in_progress'") == 0
    assert house.count("SELECT sum(queued) FROM stage_counts") == 0


def finish(house: House, items: int) -> None:
    house.wait(lambda: house.unfinished() == 0)
    assert_each_once(house, items)


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_demo_ends_with_one_result_for_each_item_and_stage(demo_house: House) -> None:
    demo_house.start_worker()
    finish(demo_house, discover_demo(demo_house))


def test_a_worker_process_killed_in_the_middle_costs_nothing(demo_house: House) -> None:
    worker = demo_house.start_worker()
    demo_house.start_beat()
    items = discover_demo(demo_house)
    wait_for_the_middle(demo_house)
    for child in children_of(worker.pid):
        os.kill(child, signal.SIGKILL)
    finish(demo_house, items)
    assert worker.poll() is None


def test_a_whole_worker_killed_in_the_middle_is_replaced_by_another(demo_house: House) -> None:
    killed = demo_house.start_worker("first")
    demo_house.start_beat()
    items = discover_demo(demo_house)
    wait_for_the_middle(demo_house)
    os.killpg(killed.pid, signal.SIGKILL)
    demo_house.start_worker("second")
    finish(demo_house, items)


def test_a_broker_flushed_in_the_middle_costs_nothing(demo_house: House) -> None:
    demo_house.start_worker()
    demo_house.start_beat()
    items = discover_demo(demo_house)
    wait_for_the_middle(demo_house)
    with demo_house.redis() as client:
        client.flushall()
    finish(demo_house, items)


def test_a_broker_killed_and_started_again_in_the_middle_costs_nothing(demo_house: House) -> None:
    worker = demo_house.start_worker()
    beat = demo_house.start_beat()
    items = discover_demo(demo_house)
    wait_for_the_middle(demo_house)
    demo_house.stop_broker()
    demo_house.start_broker()
    finish(demo_house, items)
    assert worker.poll() is None
    assert beat.poll() is None


def test_every_message_delivered_many_times_is_recorded_once(demo_house: House) -> None:
    items = 0
    with demo_house.redis() as client:
        # before any worker takes them: each message ten times, newest first
        assert demo_house.celeriac("discover", "demo").returncode == 0
        items = demo_house.count("SELECT count(*) FROM work_items")
        waiting = client.lrange("celery", 0, -1)
        assert waiting
        for message in waiting:
            for _ in range(9):
                client.rpush("celery", message)
    demo_house.start_worker()
    demo_house.start_beat()
    finish(demo_house, items)


def test_a_worker_that_stops_hands_back_what_it_has_not_begun(demo_house: House) -> None:
    worker = demo_house.start_worker("first")
    demo_house.start_beat()
    items = discover_demo(demo_house)
    wait_for_the_middle(demo_house)
    worker.terminate()
    assert worker.wait(timeout=PATIENCE_SECONDS) == 0
    demo_house.start_worker("second")
    finish(demo_house, items)
    assert demo_house.count("SELECT sum(crashes) FROM item_stages") == 0


def test_workers_wait_for_a_broker_that_is_away_at_their_start(demo_house: House) -> None:
    demo_house.stop_broker()
    worker, beat = demo_house.start("worker", "--concurrency", "2"), demo_house.start_beat()
    demo_house.wait(lambda: "Cannot connect" in demo_house.logs())
    demo_house.start_broker()
    demo_house.wait(lambda: demo_house.settled() > 0)
    finish(demo_house, demo_house.count("SELECT count(*) FROM work_items WHERE job_id = 'demo'"))
    assert worker.poll() is None
    assert beat.poll() is None
