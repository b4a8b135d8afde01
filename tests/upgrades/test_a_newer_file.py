"""A process that runs while a newer Celeriac migrates the file writes nothing to it any more, and says why."""

from __future__ import annotations

import apsw
import pytest

import tracker
from pipeline.errors import TrackerNewerError
from tracker.schema import NEWEST_VERSION

WORDS = rf"has schema {NEWEST_VERSION + 1}, this code knows up to {NEWEST_VERSION}: .* upgrade this one"


def migrate_further(path):
    """Do what the next release's migration could do."""
    conn = apsw.Connection(str(path))
    conn.execute("BEGIN IMMEDIATE; ALTER TABLE work_items ADD COLUMN colour TEXT").fetchall()
    conn.pragma("user_version", NEWEST_VERSION + 1)
    conn.execute("COMMIT")
    conn.close()


@pytest.fixture
def conn(tmp_path):
    with tracker.open_db(tmp_path / "tracker.db") as conn:
        yield conn


def test_a_connection_that_was_open_before_refuses_to_write(conn, tmp_path):
    tracker.upsert_items(conn, "papers", [{"key": "before"}])
    migrate_further(tmp_path / "tracker.db")
    with pytest.raises(TrackerNewerError, match=WORDS):
        tracker.upsert_items(conn, "papers", [{"key": "after"}])
    assert not conn.in_transaction
    assert [row["key"] for row in tracker.get_pending(conn, "papers")] == ["before"]


def test_a_transaction_that_began_before_is_whole_and_the_next_one_refused(conn, tmp_path):
    with tracker.write(conn):
        tracker.upsert_items(conn, "papers", [{"key": "before"}])
        with pytest.raises(apsw.BusyError):  # the migration waits for its turn
            migrate_further(tmp_path / "tracker.db")
    migrate_further(tmp_path / "tracker.db")
    with pytest.raises(TrackerNewerError, match=WORDS), tracker.write(conn):
        pass


def test_a_process_that_starts_later_is_refused(conn, tmp_path):
    migrate_further(tmp_path / "tracker.db")
    with pytest.raises(TrackerNewerError, match=WORDS), tracker.open_db(tmp_path / "tracker.db"):
        pass
    with pytest.raises(TrackerNewerError, match=WORDS), tracker.open_readonly(tmp_path / "tracker.db"):
        pass
