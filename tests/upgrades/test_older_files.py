"""A file of each release is migrated as it is, found sound, and goes on with today's code."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest
import time_machine

import tracker
from pipeline import catalog
from pipeline.errors import TrackerFullError
from pipeline.settings import Settings
from runner import doctor
from runner.runtime import Runtime
from runner.sweep import sweep
from tests.chaos.promises import AT_EVERY_MOMENT, list_broken, nothing_is_under_way
from tests.upgrades.make_fixture import JOB, PAUSED, write_jobs
from tests.upgrades.old_houses import (
    HERE,
    READ_SCHEMA,
    SCHEMAS,
    Queue,
    count_everything,
    restore,
    restore_with,
)
from tests.waiting import PATIENCE_SECONDS
from tracker.connection import Connection
from tracker.runs import list_looks
from tracker.schema import NEWEST_VERSION, list_migrations, migrate

OLDEST = min(SCHEMAS)
BETWEEN = range(OLDEST, NEWEST_VERSION + 1)
OF_THE_FILE = ("tracker", "integrity", "foreign keys", "schema", "counters", "artifacts")
A_WEEK_LATER = datetime(2026, 2, 9, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Stand in an old house: its jobs.yaml and its plugins, of which no stage stumbles any more."""
    monkeypatch.syspath_prepend(HERE)
    catalog.load.cache_clear()
    write_jobs(tmp_path / "jobs.yaml", stumbles=False)
    yield Settings(jobs=tmp_path / "jobs.yaml", data=tmp_path)
    sys.modules.pop("house_plugins", None)
    catalog.load.cache_clear()


@pytest.fixture
def fresh_schema(tmp_path):
    with tracker.open_db(tmp_path / "fresh.db") as conn:
        return conn.execute(READ_SCHEMA).fetchall()


def list_faults(settings):
    """List what a full check-up finds of the file; that no broker and no worker is there is as it should be."""
    found = {one.check: one for one in doctor.check_up(settings, full=True).findings}
    return [found[check].words for check in OF_THE_FILE if found[check].health != "ok"]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_older_file_is_migrated_and_loses_nothing(schema, settings, fresh_schema):
    restore(schema, settings.db_path)
    before = count_everything(settings.db_path)
    assert all(before.values()), "the fixture has something of everything"
    with tracker.open_db(settings.db_path) as conn:
        assert conn.execute(READ_SCHEMA).fetchall() == fresh_schema
        assert conn.pragma("user_version") == NEWEST_VERSION
        assert list_broken(conn, AT_EVERY_MOMENT) == []
    assert count_everything(settings.db_path) == before
    assert list_faults(settings) == []


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_run_that_an_older_release_began_is_finished_by_this_one(schema, settings):
    restore(schema, settings.db_path)
    queue = Queue()
    with time_machine.travel(A_WEEK_LATER, tick=False) as clock:
        runtime = Runtime(settings, queue)
        for _ in range(3):  # what was sent is sent again, what was claimed and what waits is begun again
            sweep(runtime)
            queue.work_off(runtime)
            clock.shift(60)
        assert tracker.get_job_stats(runtime.tracker, JOB)["failed"] == 2
        assert tracker.retry_failed(runtime.tracker, JOB) == 2
        sweep(runtime)
        queue.work_off(runtime)
        stats = tracker.get_job_stats(runtime.tracker, JOB)
        assert (stats["done"], stats["total"]) == (9, 9)
        assert tracker.is_job_paused(runtime.tracker, PAUSED)
        tracker.unpause_job(runtime.tracker, PAUSED)
        sweep(runtime)
        queue.work_off(runtime)
        stats = tracker.get_job_stats(runtime.tracker, PAUSED)
        assert (stats["done"], stats["total"]) == (8, 8)
        assert list_broken(runtime.tracker, (*AT_EVERY_MOMENT, nothing_is_under_way)) == []
        runtime.close()
    assert list_faults(settings) == []


@pytest.mark.parametrize("version", BETWEEN)
def test_a_file_of_any_version_between_is_migrated_with_what_is_in_it(version, tmp_path, fresh_schema):
    path = restore_with(OLDEST, version, tmp_path / "tracker.db")
    before = count_everything(path)
    with tracker.open_db(path) as conn:
        assert conn.execute(READ_SCHEMA).fetchall() == fresh_schema
        assert list_broken(conn, AT_EVERY_MOMENT) == []
    assert count_everything(path) == before
    assert len(list(tmp_path.glob("tracker.db.v*.bak"))) == (version < NEWEST_VERSION)


def test_a_look_of_an_older_file_still_tells_why_it_refused_what_it_refused(tmp_path):
    path = restore_with(OLDEST, 22, tmp_path / "tracker.db")
    with closing(apsw.Connection(str(path))) as conn:
        run = (
            "INSERT INTO discovery_runs (run_id, job_id, started_at, ended_at, outcome, refused)"
            " VALUES (?, 'papers', 1, 2, 'found', ?)"
        )
        conn.executemany(run, [(1001, 4), (1002, 0)])
        event = "INSERT INTO events (at, job_id, kind, detail) VALUES (1, 'papers', ?, ?)"
        told = [
            ("discover_failed", 1001, {"no key": 1}),
            ("discover", 1001, {"no key": 2, "too old": 1}),
            ("discover", 1002, {}),
        ]
        conn.executemany(
            event, [(kind, json.dumps({"run_id": run_id, "refused": why})) for kind, run_id, why in told]
        )
    with tracker.open_db(path) as conn:
        looks = {look.run_id: look.refused_for for look in list_looks(conn, "papers", 2)}
    assert looks == {1001: {"no key": 3, "too old": 1}, 1002: {}}


@pytest.mark.parametrize("version", range(1, NEWEST_VERSION + 1))
def test_an_empty_file_of_any_version_is_migrated(version, tmp_path, fresh_schema):
    conn = apsw.Connection(str(tmp_path / "tracker.db"))
    for number, sql in list_migrations():
        if number <= version:
            conn.execute(sql).fetchall()
    conn.pragma("user_version", version)
    conn.close()
    with tracker.open_db(tmp_path / "tracker.db") as conn:
        assert conn.execute(READ_SCHEMA).fetchall() == fresh_schema
        assert conn.pragma("foreign_key_check") in (None, ())


def test_a_migration_for_which_there_is_no_room_leaves_all_as_it_was(tmp_path):
    path = restore(OLDEST, tmp_path / "tracker.db")
    before = count_everything(path)
    conn = Connection(path, apsw.SQLITE_OPEN_READWRITE)
    conn.execute(f"PRAGMA max_page_count = {conn.pragma('page_count')}").fetchall()
    with pytest.raises(TrackerFullError, match="no room left to migrate"), conn.turn():
        migrate(conn)
    conn.close()
    assert count_everything(path) == before
    assert list(tmp_path.glob("*.bak")) == []
    with tracker.open_db(path):
        pass
    assert count_everything(path) == before


def test_a_command_that_acts_tells_of_the_file_that_it_brought_up_to_date(tmp_path):
    (tmp_path / "data").mkdir()
    restore(OLDEST, tmp_path / "data/tracker.db")
    jobs = "version: 1\njobs: {j: {discovery: {strategy: manual, items: [a]}, stages: [fetch]}}\n"
    (tmp_path / "jobs.yaml").write_text(jobs)
    here = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(tracker.__file__).parent.parent)}
    asked = [sys.executable, "-m", "cli.main", "pause", "--all", "--reason", "moving"]
    done = subprocess.run(
        asked, cwd=tmp_path, env=here, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
    )
    told = f"data/tracker.db was brought from schema {OLDEST} to {NEWEST_VERSION}; a copy as it was before is data/"
    assert [line.startswith(told) for line in done.stderr.splitlines()].count(True) == 1, done.stderr


def test_a_copy_made_before_a_migration_is_what_the_older_release_left_and_is_told_of(tmp_path, caplog):
    path = restore(OLDEST, tmp_path / "tracker.db")
    before = count_everything(path)
    caplog.set_level(logging.WARNING, "tracker.schema")  # whatever an earlier test made of the root's
    with tracker.open_db(path) as conn:
        (event,) = [row for row in tracker.get_events(conn, limit=1000) if row["kind"] == "migrate"]
    (aside,) = tmp_path.glob("tracker.db.v*.bak")
    assert json.loads(event["detail"]) == {"from": OLDEST, "to": NEWEST_VERSION, "copy": aside.name}
    (told,) = [record.getMessage() for record in caplog.records]
    assert (
        told
        == f"{path} was brought from schema {OLDEST} to {NEWEST_VERSION}; a copy as it was before is {aside}"
    )
    assert count_everything(aside) == before
    aside.replace(path)  # as docs/upgrading.md says how to go back
    assert count_everything(path) == before
