"""A pause is obeyed at once by sixteen workers, also for messages already on their way to them."""

from __future__ import annotations

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
CLAIMED_SINCE = """
SELECT count(*) FROM events
 WHERE kind = 'claim' AND stage LIKE '%s'
   AND event_id > (SELECT event_id FROM events WHERE kind = 'pause')
"""


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
def test_once_it_is_paused_nothing_begins_until_the_pause_is_lifted(
    busy_house: House, target: list[str]
) -> None:
    assert busy_house.celeriac("pause", *target, "--reason", "why").returncode == 0
    busy_house.wait(lambda: busy_house.count("SELECT sum(in_progress + queued) FROM stage_counts") == 0)
    assert busy_house.count("SELECT count(*) FROM events WHERE kind = 'pause'") == 1
    assert busy_house.count(CLAIMED_SINCE % "%") == 0
    settled = busy_house.settled()
    assert settled < 2 * ITEMS
    assert busy_house.celeriac("unpause", *target).returncode == 0
    busy_house.wait(lambda: busy_house.settled() > settled + 100)


def test_a_paused_stage_stands_while_the_other_goes_on_to_its_end(busy_house: House) -> None:
    assert busy_house.celeriac("pause", "many", "--stage", "two", "--reason", "why").returncode == 0
    done = "SELECT done FROM stage_counts WHERE stage = '%s'"
    busy_house.wait(lambda: busy_house.count(done % "one") == ITEMS)
    assert busy_house.count(CLAIMED_SINCE % "one") > 0
    assert busy_house.count(CLAIMED_SINCE % "two") == 0
    assert busy_house.count(done % "two") < ITEMS
