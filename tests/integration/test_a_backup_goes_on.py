"""A backup taken in the middle of a run at full speed, restored elsewhere, ends it: nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import House

ITEMS, STAGES = 800, 3
MIDDLE = 200

JOBS = """
version: 1
jobs:
  many:
    discovery: {strategy: "steps:Many"}
    first_run_max: null
    stages:
      - {name: keep, handler: python, params: {function: "steps:keep"}}
      - {name: read, handler: python, params: {function: "steps:read"}}
      - {name: end, handler: python, params: {function: "steps:end"}}
"""

STEPS = f"""
from discovery.base import BaseDiscovery

class Many(BaseDiscovery):
    async def fetch_items(self):
        return [{{"key": str(number)}} for number in range({ITEMS})]

def keep(context):
    return {{"file": dict(context.artifact("a.txt", f"content of {{context.key}}".encode()))}}

def read(context):
    return {{"text": context.open_artifact(context.results["keep"]["file"]).read_text()}}

def end(context):
    return {{"saw": context.results["read"]["text"]}}
"""


def write_house(house: House) -> None:
    house.write_module("steps", STEPS)
    house.write_jobs(JOBS)


@pytest.fixture
def elsewhere(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a second house, with a broker and a folder of its own."""
    sockets = Path(tempfile.mkdtemp(prefix="house-"))
    built = type(house)(tmp_path_factory.mktemp("elsewhere"), sockets)
    built.start_broker()
    try:
        yield built
    finally:
        built.close()
        shutil.rmtree(sockets)


def assert_each_once(house: House) -> None:
    assert house.unfinished() == 0
    assert house.count("SELECT count(*) FROM results") == ITEMS * STAGES
    assert house.count("SELECT count(*) FROM events WHERE kind = 'finish'") == ITEMS * STAGES
    assert house.count("SELECT count(*) FROM (SELECT DISTINCT item_id, stage FROM results)") == ITEMS * STAGES
    assert house.count("SELECT count(*) FROM artifacts WHERE uses = 1") == ITEMS
    assert (
        house.count("SELECT count(*) FROM item_stages WHERE status = 'in_progress' OR queued_at IS NOT NULL")
        == 0
    )
    assert house.celeriac("artifacts", "verify").returncode == 0


@pytest.mark.timeout(600)
def test_a_backup_taken_at_full_speed_is_restored_elsewhere_and_ends_the_run_there(
    house: House, elsewhere: House
) -> None:
    write_house(house)
    house.start_worker()
    house.start_beat()
    assert house.celery("call", "tasks.discover", "--args", '["many"]').returncode == 0
    house.wait(lambda: house.settled() > MIDDLE)
    house.wait(lambda: house.count("SELECT sum(done) FROM item_counts") > 0)
    taken = house.celeriac("backup", "backups", "--json")
    assert taken.returncode == 0, taken.stderr
    place = json.loads(taken.stdout)["path"]

    verified = house.celeriac("restore", place, "--verify", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    (job,) = json.loads(verified.stdout)["jobs"]
    assert job["items"] == ITEMS
    assert 0 < job["done"] < ITEMS, "the backup was not taken in the middle"
    assert job["claims"] + job["messages"] > 0

    write_house(elsewhere)
    restored = elsewhere.celeriac("restore", str(house.directory / place), "--json")
    assert restored.returncode == 0, restored.stderr
    before = elsewhere.count("SELECT count(*) FROM events WHERE kind = 'finish'")
    assert 0 < before < ITEMS * STAGES
    elsewhere.start_worker("other")
    elsewhere.start_beat()
    elsewhere.wait(lambda: elsewhere.unfinished() == 0)
    assert_each_once(elsewhere)

    house.wait(lambda: house.unfinished() == 0)  # and nobody was disturbed
    assert_each_once(house)


@pytest.mark.timeout(600)
def test_backups_killed_again_and_again_in_the_middle_of_a_run_leave_nothing_half(house: House) -> None:
    write_house(house)
    house.start_worker()
    house.start_beat()
    assert house.celery("call", "tasks.discover", "--args", '["many"]').returncode == 0
    house.wait(lambda: house.settled() > 0)
    backups, before = house.directory / "backups", 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "backup", "backups"],
            env=house.environment,
            cwd=house.directory,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        house.wait(lambda process=process: process.poll() is not None or _has_begun(backups))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            before += 1
        process.wait()
        for place in backups.glob("celeriac-*"):
            assert house.celeriac("restore", str(place), "--verify").returncode == 0
    assert before > 0, "none was killed in the middle"
    assert house.celeriac("backup", "backups").returncode == 0
    assert [path.name for path in backups.iterdir() if path.name.startswith(".")] == []
    house.wait(lambda: house.unfinished() == 0)
    assert_each_once(house)


def _has_begun(backups: Path) -> bool:
    return any(backups.glob(".celeriac-*.partial/tracker.db"))
