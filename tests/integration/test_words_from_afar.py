"""What is said from afar is heard at once, whatever the processes beside the file are busy with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import House

JOBS = """
version: 1
jobs:
  gated:
    discovery: {strategy: manual, items: [gate]}
    stages:
      - {name: one, handler: python, params: {function: "gates:pass_the_gate"}}
  away:
    discovery: {strategy: manual, items: [%s]}
    stages:
      - {name: one, handler: python, params: {function: "gates:pass_the_gate"}, queue: far, remote: true}
"""

GATE = """
import time
from pathlib import Path

def pass_the_gate(context):
    while context.key == "gate" and not Path("open").exists():
        time.sleep(0.01)
    return {}
"""

ITEMS = 100
"""More than a worker fetches ahead."""


def start_far_worker(house: House, folder: Path) -> None:
    """Start a worker that has neither jobs.yaml nor the tracker."""
    home = house.environment
    house.environment = home | {
        "CELERIAC_DATA": str(folder / "data"),
        "CELERIAC_JOBS": str(folder / "jobs.yaml"),
        "PYTHONPATH": home["PYTHONPATH"].split(os.pathsep)[0],
    }
    house.start(
        "worker", "--hostname", "far@%h", "--queues", "far", "--concurrency", "1", "--loglevel", "INFO"
    )
    house.environment = home


def test_what_ended_far_away_is_settled_while_every_process_beside_the_file_is_at_a_long_stage(
    house: House, tmp_path_factory
) -> None:
    house.write_module("gates", GATE)
    house.write_jobs(JOBS % ", ".join(f"k{number}" for number in range(ITEMS)))
    house.start_worker("near", "--concurrency", "1")
    assert house.celeriac("discover", "gated").returncode == 0
    house.wait(lambda: house.count("SELECT count(*) FROM item_stages WHERE status = 'in_progress'") == 1)
    assert house.celeriac("discover", "away").returncode == 0
    start_far_worker(house, tmp_path_factory.mktemp("elsewhere"))
    house.wait(lambda: house.settled() == ITEMS)
    (house.directory / "open").touch()
    house.wait(lambda: house.settled() == ITEMS + 1)
