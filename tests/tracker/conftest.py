from __future__ import annotations

import shutil

import pytest

import tracker
from tracker.plan import make_plan, open_items

STAGES = ["fetch", "extract", "store"]


@pytest.fixture
def db_path(migrated_file, tmp_path):
    return shutil.copy(migrated_file, tmp_path / "tracker.db")


@pytest.fixture
def conn(db_path):
    with tracker.open_db(db_path) as conn:
        yield conn


@pytest.fixture
def add_items(conn):
    """Store items of the job `papers` by key, and give their ids in that order."""

    def add(*keys, job_id="papers", **more):
        tracker.upsert_items(conn, job_id, [{"key": key, **more} for key in keys])
        ids = dict(conn.execute("SELECT key, item_id FROM work_items WHERE job_id = ?", (job_id,)).fetchall())
        return [ids[key] for key in keys]

    return add


@pytest.fixture
def add_opened(conn, add_items):
    """Store items by key, give them their stages, and give their ids."""

    def add(*keys, stages=STAGES, job_id="papers", **more):
        item_ids = add_items(*keys, job_id=job_id, **more)
        with tracker.write(conn):
            open_items(conn, job_id, item_ids, make_plan(stages))
        return item_ids

    return add


@pytest.fixture
def item_id(add_items):
    """Give an item that has not been opened."""
    return add_items("a")[0]


@pytest.fixture
def opened_id(add_opened):
    """Give an item with its stages, the first of which is ready."""
    return add_opened("a")[0]


@pytest.fixture
def claimed_id(conn, opened_id):
    """Give an item whose first stage is claimed for attempt 1."""
    assert tracker.mark_stage_in_progress(conn, opened_id, "fetch", STAGES) == 1
    return opened_id


@pytest.fixture
def finished_id(conn, opened_id):
    """Give an item with every stage done, each with its result."""
    for stage in STAGES:
        tracker.mark_stage_in_progress(conn, opened_id, stage, STAGES)
        tracker.mark_stage_done(conn, opened_id, stage, STAGES, {"made by": stage})
    return opened_id


@pytest.fixture
def stage_statuses(conn):
    """Read an item's statuses in the order of its stages."""

    def read(key="a"):
        return list(tracker.get_stages_dict(conn, "papers")[key].values())

    return read


@pytest.fixture
def read_stage(conn):
    """Read one stage's row as it stands in the file."""

    def read(item_id, stage):
        sql = "SELECT * FROM item_stages WHERE item_id = ? AND stage = ?"
        return dict(conn.execute(sql, (item_id, stage)).fetchone())

    return read


@pytest.fixture
def item_status(conn):
    """Read an item's cached status."""

    def read(item_id):
        return conn.execute("SELECT status FROM work_items WHERE item_id = ?", (item_id,)).fetchone()[0]

    return read


@pytest.fixture
def event_kinds(conn):
    """List the kinds of a job's events, oldest first."""

    def kinds(job_id="papers"):
        return [event["kind"] for event in tracker.get_events(conn, job_id)][::-1]

    return kinds
