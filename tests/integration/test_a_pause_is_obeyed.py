"""A pause is obeyed within a second by sixteen workers, also for messages already on their way to them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import House

JOBS = """
version: 1
jobs:
  many:
    discovery: {strategy: manual, items: [%s]}
    first_run_max: null
    stages:
      - {name: one, handler: python, params: {function: "steps:nothing"}}
      - {name: two, handler: python, params: {function: "steps:nothing"}}
"""

STEPS = """
import time

def nothing(context):
    time.sleep(0.02)  # sixteen of them, so that the messages of several are always on their way
    return {}
"""

ITEMS = 2000


@pytest.fixture
def busy_house(house: House) -> House:
    """A house whose sixteen workers are in the middle of their work."""
    house.write_module("steps", STEPS)
    house.write_jobs(JOBS % ", ".join(f"k{number}" for number in range(ITEMS)))
    house.start_worker("sixteen", "--concurrency", "16")
    house.start_beat()
    assert house.celeriac("discover", "many").returncode == 0
    house.wait(lambda: house.settled() > 100)
    return house


@pytest.mark.parametrize("target", [["many"], ["--all"]], ids=" ".join)
def test_a_pause_is_obeyed_within_a_second_and_lifted_as_fast(busy_house: House, target: list[str]) -> None:
    paused = busy_house.celeriac("pause", *target, "--reason", "why", "--json")
    since_at = json.loads(paused.stdout)["pause"]["since_at"]
    busy_house.wait(lambda: busy_house.count("SELECT sum(in_progress + queued) FROM stage_counts") == 0)
    last_claim = busy_house.count("SELECT max(at) FROM events WHERE kind = 'claim'")
    last_ending = busy_house.count("SELECT max(ended_at) FROM item_stages")
    assert last_claim - since_at <= 1000
    assert last_ending - since_at <= 1000
    settled = busy_house.settled()
    assert settled < 2 * ITEMS
    assert busy_house.celeriac("unpause", *target).returncode == 0
    busy_house.wait(lambda: busy_house.settled() > settled + 100)


def test_a_paused_stage_stands_while_the_other_goes_on_to_its_end(busy_house: House) -> None:
    assert busy_house.celeriac("pause", "many", "--stage", "two", "--reason", "why").returncode == 0
    done = "SELECT done FROM stage_counts WHERE stage = '%s'"
    busy_house.wait(lambda: busy_house.count(done % "one") == ITEMS)
    stood_at = busy_house.count("SELECT since_at FROM pauses")
    assert busy_house.count("SELECT max(started_at) FROM item_stages WHERE stage = 'two'") - stood_at <= 1000
    assert busy_house.count(done % "two") < ITEMS
