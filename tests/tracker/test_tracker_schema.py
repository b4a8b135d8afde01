from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import apsw
import pytest

import tracker
from pipeline.errors import TrackerUnusableError
from pipeline.search_words import read_search
from tests.old_schema import open_of_version
from tests.waiting import PATIENCE_SECONDS
from tracker import search_index
from tracker.schema import NEWEST_VERSION, list_migrations
from tracker.search import search

OPEN_AND_COUNT = """
import sys, tracker
with tracker.open_db(sys.argv[1]) as conn:
    print(conn.pragma("user_version"), conn.execute("SELECT count(*) FROM work_items").fetchone()[0])
"""

FILL_VERSION_1 = """
INSERT INTO work_items (item_id, job_id, key, status, discovered_at, opened_at)
VALUES (1, 'papers', 'a', 'in_progress', 1, 2), (2, 'papers', 'b', 'failed', 1, 2),
       (3, 'papers', 'c', 'pending', 1, NULL);
INSERT INTO job_stages (job_id, stage, position) VALUES ('papers', 'fetch', 0), ('papers', 'store', 1);
INSERT INTO stage_needs (job_id, need, stage) VALUES ('papers', 'fetch', 'store');
INSERT INTO item_stages (item_id, job_id, stage, position, status, needs_left, attempt,
                         ended_at, leased_until)
VALUES (1, 'papers', 'fetch', 0, 'done', 0, 1, 3, NULL),
       (1, 'papers', 'store', 1, 'in_progress', 0, 1, NULL, 4),
       (2, 'papers', 'fetch', 0, 'failed', 0, 1, 3, NULL),
       (2, 'papers', 'store', 1, 'pending', 1, 0, NULL, NULL);
"""

FILL_VERSION_20 = """
INSERT INTO work_items (item_id, job_id, key, data, discovered_at)
VALUES (1, 'papers', 'b', '{"title": "lion"}', 2), (2, 'rss', 'a', '{"title": "bees"}', 1);
INSERT INTO search_documents (rowid, words) VALUES (1, 'zebra'), (2, 'bees'), (3, 'zebra');
INSERT INTO search_progress (job_id, item_id, event_id) VALUES ('papers', 1, 0), ('rss', 2, 0);
INSERT INTO actions (action_id, act, job_id, choice, by, asked_at, total, worked_at, finished_at)
VALUES (1, 'inject', 'papers', '{}', 'ann', 1, 1, 1, 1), (2, 'undo', 'papers', '{}', 'ann', 1, 1, 1, 1);
UPDATE actions SET undone_by = 2 WHERE action_id = 1;
"""


@pytest.fixture
def version_1(tmp_path):
    """Make a file as the first migration alone made it, with items on their way."""
    path = tmp_path / "tracker.db"
    conn = apsw.Connection(str(path))
    conn.execute(list_migrations()[0][1]).fetchall()
    conn.execute(FILL_VERSION_1).fetchall()
    conn.pragma("user_version", 1)
    conn.close()
    return path


@pytest.fixture
def make_sqlite(tmp_path):
    """Make an SQLite file with the standard library, as a stranger would."""

    def make(sql):
        path = tmp_path / "tracker.db"
        with sqlite3.connect(path) as made:
            made.executescript(sql)
        made.close()
        return path

    return make


def test_a_fresh_file_has_the_newest_schema_and_every_table_is_strict(conn):
    assert conn.pragma("user_version") == NEWEST_VERSION
    loose = (
        "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict AND name NOT LIKE 'sqlite_%'"
    )
    assert conn.execute(loose).fetchall() == []


def test_migrations_are_numbered_from_one_without_a_gap():
    numbers = [number for number, _ in list_migrations()]
    assert numbers == list(range(1, NEWEST_VERSION + 1))


def test_ensure_schema_does_nothing_to_a_current_file(conn, db_path):
    before = conn.execute("SELECT total(length(sql)), count(*) FROM sqlite_schema").fetchone()
    tracker.ensure_schema(conn)
    assert conn.execute("SELECT total(length(sql)), count(*) FROM sqlite_schema").fetchone() == before
    assert list(db_path.parent.glob("*.bak")) == []


def test_a_migrated_file_has_the_schema_of_a_fresh_one(version_1, conn):
    read = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    with tracker.open_db(version_1) as migrated:
        assert migrated.execute(read).fetchall() == conn.execute(read).fetchall()


def test_migrating_an_older_file_counts_what_is_in_it(version_1):
    with tracker.open_db(version_1) as conn:
        assert tracker.get_job_stats(conn, "papers") == {
            "total": 3, "pending": 1, "in_progress": 1, "done": 0, "failed": 1, "skipped": 0, "unopened": 1,
        }  # fmt: skip
        counts = tracker.stage_stats(conn, "papers")
        assert {
            stage: (row["done"], row["failed"], row["pending"], row["in_progress"])
            for stage, row in counts.items()
        } == {
            "fetch": (1, 1, 0, 0),
            "store": (0, 0, 1, 1),
        }


def test_an_older_file_goes_on_working_after_its_migration(version_1):
    with tracker.open_db(version_1) as conn:
        tracker.mark_stage_done(conn, 1, "store", ["fetch", "store"], {"ok": True})
        assert tracker.get_job_stats(conn, "papers")["done"] == 1


@pytest.fixture
def version_20(tmp_path):
    """Make a file in which an item was taken out, and another was given its id: its words are those of the first."""
    path = tmp_path / "tracker.db"
    conn = open_of_version(path, 20)
    conn.execute(FILL_VERSION_20).fetchall()
    conn.close()
    return path


@pytest.mark.parametrize(
    "knows", ["events (at, kind, job_id, item_id)", "costs (spent_at, provider, job_id, item_id)"]
)
def test_an_older_file_gives_no_id_again_that_anything_in_it_knows(knows, version_20):
    older = apsw.Connection(str(version_20))
    older.execute(f"INSERT INTO {knows} VALUES (1, 'inject', 'papers', 7)")  # noqa: S608 - our own names
    older.close()
    with tracker.open_db(version_20) as conn:
        tracker.upsert_items(conn, "papers", [{"key": "next"}])
        assert tracker.items.get_item(conn, "papers", "next")["item_id"] == 8


def test_a_job_of_an_older_file_in_which_an_id_was_given_again_is_read_in_anew(version_20):
    with tracker.open_db(version_20) as conn:
        while search_index.read_in(conn, "papers", 10) is not None:
            pass
        found = {
            word: [one.key for one in search(conn, read_search(word), 9)]
            for word in ("zebra", "lion", "bees")
        }
        assert found == {"zebra": [], "lion": ["b"], "bees": ["a"]}
        assert conn.execute("SELECT count(*) FROM search_documents").fetchone()[0] == 2


def test_an_older_file_is_copied_aside_before_it_is_migrated(version_1):
    with tracker.open_db(version_1):
        pass
    (copy,) = version_1.parent.glob("tracker.db.v1.*.bak")
    aside = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY)
    assert aside.pragma("user_version") == 1
    assert aside.execute("SELECT count(*) FROM work_items").fetchone()[0] == 3
    aside.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(version_1):
    spoiled = apsw.Connection(str(version_1))
    spoiled.execute("CREATE TABLE stage_minutes (something_else)").fetchall()
    spoiled.close()
    with pytest.raises(apsw.SQLError, match="already exists"):
        tracker.open_raw_db(version_1)
    after = apsw.Connection(str(version_1))
    assert after.pragma("user_version") == 1
    assert after.execute("SELECT 1 FROM sqlite_schema WHERE name = 'stage_counts'").fetchone() is None
    after.close()


def test_an_older_file_is_not_read_before_it_is_migrated(version_1):
    with pytest.raises(TrackerUnusableError, match="older Celeriac"), tracker.open_readonly(version_1):
        pass


def test_an_empty_file_is_called_empty_and_becomes_a_tracker_when_it_is_written(tmp_path):
    empty = tmp_path / "tracker.db"
    empty.touch()
    with pytest.raises(TrackerUnusableError, match="is empty; `celeriac up`"), tracker.open_readonly(empty):
        pass
    assert empty.stat().st_size == 0
    with tracker.open_db(empty), tracker.open_readonly(empty):
        pass


def test_a_newer_file_is_refused(make_sqlite):
    newer = make_sqlite(f"CREATE TABLE work_items (a); PRAGMA user_version = {NEWEST_VERSION + 1};")
    with pytest.raises(TrackerUnusableError, match="newer Celeriac; upgrade this one"):
        tracker.open_raw_db(newer)
    with pytest.raises(TrackerUnusableError, match="newer Celeriac"), tracker.open_readonly(newer):
        pass


def test_a_strangers_sqlite_file_is_refused_and_left_as_it_is(make_sqlite):
    strangers = make_sqlite("CREATE TABLE songs (title); INSERT INTO songs VALUES ('a');")
    before = strangers.read_bytes()
    with pytest.raises(TrackerUnusableError, match="another program's tables"):
        tracker.open_raw_db(strangers)
    assert strangers.read_bytes() == before
    assert [path.name for path in strangers.parent.iterdir()] == ["tracker.db"]


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but more than a page of it\n" * 100)
    before = text.read_bytes()
    with pytest.raises(TrackerUnusableError, match="is not an SQLite database"):
        tracker.open_raw_db(text)
    with pytest.raises(TrackerUnusableError, match="is not an SQLite database"), tracker.open_readonly(text):
        pass
    assert text.read_bytes() == before


def test_a_folder_is_no_tracker(tmp_path):
    with pytest.raises(TrackerUnusableError, match="cannot open"):
        tracker.open_raw_db(tmp_path)
    with pytest.raises(TrackerUnusableError, match="cannot open"), tracker.open_readonly(tmp_path):
        pass


def _start(path):
    return subprocess.run(
        [sys.executable, "-c", OPEN_AND_COUNT, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def test_eight_processes_that_start_at_once_make_a_new_tracker(tmp_path):
    path = tmp_path / "tracker.db"
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(_start, [path] * 8))
    assert {run.stdout for run in done} == {f"{NEWEST_VERSION} 0\n"}, [run.stderr for run in done]


def test_eight_processes_that_start_at_once_migrate_an_older_tracker_once(version_1):
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(_start, [version_1] * 8))
    assert {run.stdout for run in done} == {f"{NEWEST_VERSION} 3\n"}, [run.stderr for run in done]
    assert len(list(version_1.parent.glob("*.bak"))) == 1
