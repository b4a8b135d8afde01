"""A broker that takes connections and says nothing: what is told to stop ends all the same."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import House

pytestmark = pytest.mark.timeout(600)  # a busy machine takes so long for a whole house

HEARTBEAT_SECONDS = 2.0
"""Celery's."""

JOBS = """
version: 1
jobs:
  papers:
    discovery: {strategy: manual, items: [a]}
    stages: [{name: fetch, handler: python, params: {function: "gates:go"}}]
"""

GO = """
def go(context):
    return {}
"""


def test_a_worker_that_is_told_to_stop_while_the_broker_is_silent_ends(house: House) -> None:
    house.write_jobs(JOBS)
    house.write_module("gates", GO)
    worker = house.start_worker()
    house.wait(lambda: house.count("SELECT count(*) FROM workers") == 1)
    assert house.broker is not None
    house.broker.send_signal(signal.SIGSTOP)
    beaten = time.monotonic() + 3 * HEARTBEAT_SECONDS
    try:
        house.wait(lambda: time.monotonic() > beaten)  # it has tried to say that it lives
        worker.send_signal(signal.SIGTERM)
        house.wait(lambda: worker.poll() is not None)
    finally:
        house.broker.send_signal(signal.SIGCONT)
    assert worker.returncode == 0
