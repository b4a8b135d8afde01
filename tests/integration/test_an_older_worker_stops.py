"""A worker and a beat whose file is migrated by a newer Celeriac while they run: they say so, and stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from tracker.schema import NEWEST_VERSION

if TYPE_CHECKING:
    from conftest import House

pytestmark = pytest.mark.timeout(600)  # a busy machine takes so long for a whole house

READ_EVERYTHING = ("SELECT * FROM item_stages", "SELECT * FROM results", "SELECT * FROM events")

WORDS = f"this code knows up to {NEWEST_VERSION}"

LIST_SLEEPERS = """
version: 1
jobs:
  papers:
    discovery: {strategy: manual, items: [a, b, c, d, e, f, g, h]}
    stages:
      - {name: fetch, handler: python, params: {function: "naps:nap"}}
      - {name: store, handler: python, params: {function: "naps:nap"}}
"""

NAPS = """
import time

def nap(context):
    time.sleep(0.2)
    return {"key": context.key}
"""


@pytest.fixture
def napping_house(house: House) -> House:
    """A house whose stages take a while."""
    house.write_jobs(LIST_SLEEPERS)
    house.write_module("naps", NAPS)
    return house


def set_version(house: House, version: int) -> None:
    """Say that the file is of another release: what its first migration does is no matter here."""
    conn = apsw.Connection(str(house.db))
    conn.set_busy_timeout(30_000)
    conn.pragma("user_version", version)
    conn.close()


def read_everything(house: House) -> list[tuple]:
    conn = apsw.Connection(str(house.db), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return [conn.execute(sql).fetchall() for sql in READ_EVERYTHING]
    finally:
        conn.close()


def test_workers_and_beat_of_an_older_release_stop_and_a_newer_one_does_the_rest(
    napping_house: House,
) -> None:
    house = napping_house
    older = [house.start_worker(), house.start_beat()]
    assert house.celery("call", "tasks.discover", "--args", '["papers"]').returncode == 0
    house.wait(lambda: house.settled() > 2)
    set_version(house, NEWEST_VERSION + 1)
    before = read_everything(house)
    house.wait(lambda: all(process.poll() is not None for process in older))
    assert read_everything(house) == before
    assert older[0].returncode == 4
    assert house.logs().count(WORDS) >= 2
    refused = house.celeriac("worker")
    assert refused.returncode == 4
    assert "upgrade this one" in refused.stderr
    set_version(house, NEWEST_VERSION)  # from here on this code is the newer one
    house.start_worker("newer")
    house.start_beat()
    house.wait(lambda: house.count("SELECT count(*) FROM work_items WHERE status = 'done'") == 8)
    assert house.count("SELECT count(*) FROM results") == 16


def test_a_worker_that_has_nothing_to_do_stops_too(napping_house: House) -> None:
    house = napping_house
    worker = house.start_worker()
    house.wait(lambda: house.count("SELECT count(*) FROM workers") == 1)
    set_version(house, NEWEST_VERSION + 1)
    house.wait(lambda: worker.poll() is not None)
    assert worker.returncode == 4
