"""Reprocessing with real workers: what comes out the same goes no further, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import tracker

if TYPE_CHECKING:
    from conftest import House

ITEMS = 500
CHANGED = ITEMS // 10

JOBS = """
version: 1
jobs:
  papers:
    discovery: {strategy: manual, items: []}
    stages:
      - {name: fetch, handler: python, params: {function: "papers:fetch"}}
      - {name: extract, handler: python, params: {function: "papers:extract"}}
      - {name: store, handler: python, params: {function: "papers:store"}}
"""

PAPERS = """
def fetch(context):
    return {"n": OLD}

def extract(context):
    return {"n": context.results["fetch"]["n"]}

def store(context):
    return {"stored": context.results["extract"]["n"]}
"""

OLD = "int(context.key)"
NEW = "int(context.key) if int(context.key) % 10 else -1"
STAGES = ["fetch", "extract", "store"]


def open_house(house: House, items: int) -> None:
    """Let the first version be through with so many items, and a worker of the second be there."""
    house.write_jobs(JOBS)
    house.write_module("papers", PAPERS.replace("OLD", OLD))
    house.db.parent.mkdir(exist_ok=True)
    with tracker.open_db(house.db) as conn, tracker.write(conn):
        tracker.upsert_items(conn, "papers", [{"key": str(n)} for n in range(items)])
        for item_id, key in conn.execute("SELECT item_id, key FROM work_items").fetchall():
            for stage in STAGES:
                result = {"stored" if stage == "store" else "n": int(key)}
                tracker.mark_stage_done(conn, item_id, stage, STAGES, result, handler_version="old")
    house.write_module("papers", PAPERS.replace("OLD", NEW))


def count_finished(house: House) -> dict[str, int]:
    """Count the attempts that came to a result, by stage."""
    with tracker.open_readonly(house.db) as conn:
        return dict(
            conn.execute("SELECT stage, count(*) FROM events WHERE kind = 'finish' GROUP BY stage").fetchall()
        )


def read_results(house: House) -> Counter[tuple[str, int]]:
    with tracker.open_readonly(house.db) as conn:
        rows = conn.execute("SELECT stage, coalesce(result ->> 'n', result ->> 'stored') FROM results")
        return Counter((stage, n) for stage, n in rows if n == -1)


def test_where_nine_results_of_ten_come_out_the_same_what_follows_runs_for_the_tenth(house: House) -> None:
    open_house(house, ITEMS)
    house.start_worker()
    ended = house.celeriac("reprocess", "papers", "--stage", "fetch", "--stale", "--yes", "--json")
    acted = json.loads(ended.stdout)["acted"]
    assert (ended.returncode, acted["items"]) == (0, ITEMS)
    house.start_beat()
    house.wait(lambda: house.unfinished() == 0)

    assert count_finished(house) == {"fetch": ITEMS, "extract": CHANGED, "store": CHANGED}
    assert read_results(house) == {(stage, -1): CHANGED for stage in STAGES}
    spared = house.count("SELECT count(*) FROM events WHERE kind = 'cutoff'")
    kept = house.count("SELECT count(*) FROM results_history")
    assert (spared, kept) == (ITEMS - CHANGED, 3 * CHANGED)
    assert house.count("SELECT count(*) FROM item_stages WHERE again IS NOT NULL") == 0


def test_killed_workers_change_nothing_of_how_far_it_goes(house: House) -> None:
    open_house(house, ITEMS)
    worker = house.start_worker("first")
    house.start_beat()
    assert house.celeriac("reprocess", "papers", "--yes").returncode == 0
    house.wait(lambda: house.count("SELECT count(*) FROM events WHERE kind = 'claim'") > ITEMS // 5)
    os.killpg(worker.pid, signal.SIGKILL)
    house.start_worker("second")
    house.wait(lambda: house.unfinished() == 0)

    finished = "SELECT count(*) FROM events WHERE kind = 'finish' AND stage = "
    assert house.count(f"{finished} 'fetch'") == ITEMS
    assert house.count(f"{finished} 'extract'") == house.count(f"{finished} 'store'") == CHANGED
    assert read_results(house) == {(stage, -1): CHANGED for stage in STAGES}
