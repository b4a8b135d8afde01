"""The write-ahead log is moved into the file beside those who write, and begins anew."""

import os
import subprocess
import sys
import threading
import time

import apsw
import pytest

import tracker
from tests.waiting import PATIENCE_SECONDS, wait_until
from tracker import checkpoints
from tracker.checkpoints import CHECKPOINT_PAGES, checkpoint
from tracker.connection import BUSY_TIMEOUT_MS, roomy

MIB = 2**20

HOLD_CHECKPOINTS = """
import fcntl, sys
with open(sys.argv[1] + "-shm", "r+b") as shm:
    fcntl.lockf(shm, fcntl.LOCK_EX, 1, 121)  # as whoever makes one does: SQLite's WAL-index format, "WAL locks"
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    with tracker.open_db(tmp_path / "tracker.db") as conn:
        conn.execute("CREATE TABLE filling (bytes BLOB)")
    return tmp_path / "tracker.db"


def fill(conn, mebibytes):
    """Write so much, in transactions of half a mebibyte."""
    for _ in range(2 * mebibytes):
        with tracker.write(conn):
            conn.executemany("INSERT INTO filling VALUES (randomblob(?))", [(1024,)] * 512)


def write_a_little(conn):
    with tracker.write(conn):
        conn.execute("INSERT INTO filling VALUES (randomblob(1024))")


def test_a_log_that_grew_long_is_moved_into_the_file_and_begins_anew(path):
    with tracker.open_db(path) as conn:
        fill(conn, 40)
        assert conn.log_pages < 2 * CHECKPOINT_PAGES
        assert path.stat().st_size > 20 * MIB


def test_most_of_it_is_moved_while_another_holds_the_turn_to_write(path):
    with tracker.open_db(path) as writer, tracker.open_db(path) as other:
        writer.make_checkpoint = lambda _: None
        fill(writer, 8)
        assert path.stat().st_size < 2 * MIB
        moving = threading.Thread(target=checkpoint, args=(other,))
        with writer.turn():
            moving.start()
            wait_until(lambda: path.stat().st_size > 6 * MIB)
            assert moving.is_alive()  # the rest, if there is any, needs the turn
        moving.join()


def test_what_could_not_be_moved_beside_others_is_moved_in_a_turn_so_that_the_log_begins_anew(path):
    with tracker.open_db(path) as writer, tracker.open_db(path) as other, tracker.open_db(path) as reader:

        class UntilTheReaderEnds:
            """The other connection; who reads what was written before the last bit ends after its first pass."""

            turn, try_checkpoint, log_pages = other.turn, other.try_checkpoint, 0
            path = other.path

            def wal_checkpoint(self, mode):
                moved = other.wal_checkpoint(mode=mode)
                if reader.in_transaction:
                    reader.execute("COMMIT")
                return moved

        writer.make_checkpoint = lambda _: None
        fill(writer, 8)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM filling").fetchall()
        write_a_little(writer)
        checkpoint(UntilTheReaderEnds())
        write_a_little(writer)
        assert writer.log_pages < 100


def test_the_log_begins_anew_although_somebody_reads_from_it_just_then(path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHORT_READERS_MS", BUSY_TIMEOUT_MS)
    monkeypatch.setattr(checkpoints, "LONG_PAGES", 0)
    with tracker.open_db(path) as writer, tracker.open_db(path) as other, tracker.open_db(path) as reader:
        writer.make_checkpoint = lambda _: None
        fill(writer, 8)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM filling").fetchall()
        write_a_little(writer)
        done_soon = threading.Timer(0.05, reader.execute, ["COMMIT"])
        done_soon.start()
        checkpoint(other)
        done_soon.join()
        write_a_little(writer)
        assert writer.log_pages < 100


def test_what_was_moved_is_on_the_disk_before_the_turn_that_all_others_wait_for(path, monkeypatch):
    done, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: done.append("written") or fsync(file))
    with tracker.open_db(path) as writer, tracker.open_db(path) as other:
        writer.make_checkpoint = lambda _: None
        fill(writer, 8)
        monkeypatch.setattr(other, "turn", lambda: done.append("turn") or writer.turn())
        checkpoint(other)
    assert done == ["written", "turn"]


HAS_NO_READER = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)  # SQLite's file locks, "SHARED"
"""


def test_a_checkpoint_lets_go_of_no_lock_that_keeps_others_from_taking_the_log_away(path):
    with tracker.open_db(path) as conn:
        fill(conn, 20)
        asked = subprocess.run(
            [sys.executable, "-c", HAS_NO_READER, str(path)], check=False, capture_output=True
        )
        assert b"BlockingIOError" in asked.stderr


def test_one_checkpoint_is_made_at_a_time_unless_whoever_makes_it_seems_to_have_stopped(path, monkeypatch):
    with tracker.open_db(path) as conn, tracker.open_db(path) as other:
        with other.try_checkpoint() as is_first:
            assert is_first
            fill(conn, 26)
            assert conn.log_pages > CHECKPOINT_PAGES
            monkeypatch.setattr(checkpoints, "FAR_TOO_LONG_PAGES", conn.log_pages)
            fill(conn, 1)
            fill(conn, 1)
            assert conn.log_pages < CHECKPOINT_PAGES
        with conn.try_checkpoint() as is_first:
            assert is_first


def test_a_roomy_connection_writes_what_a_large_transaction_changes_once(path):
    with tracker.open_db(path) as conn:

        def count_spilled():
            return conn.status(apsw.SQLITE_DBSTATUS_CACHE_SPILL, reset=True)[0]

        with roomy(conn):
            write_at_once(conn, 2)
            assert count_spilled() == 0
        write_at_once(conn, 2)
        assert count_spilled() > 0


def write_at_once(conn, mebibytes):
    with tracker.write(conn):
        conn.executemany("INSERT INTO filling VALUES (randomblob(?))", [(1024,)] * 1024 * mebibytes)


def test_where_somebody_else_makes_a_checkpoint_nobody_waits_for_it(path):
    with tracker.open_db(path) as conn:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD_CHECKPOINTS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with holder:
            assert holder.stdout.readline() == b"held\n"
            fill(conn, 26)
            assert conn.log_pages > CHECKPOINT_PAGES
            holder.stdin.close()
        fill(conn, 1)
        fill(conn, 1)
        assert conn.log_pages < CHECKPOINT_PAGES


def test_where_somebody_else_has_made_one_nobody_waits_for_a_turn(path):
    with tracker.open_db(path) as conn, tracker.open_db(path) as other:
        write_a_little(conn)
        with other.turn():
            asked = threading.Thread(target=checkpoint, args=(conn,), daemon=True)
            asked.start()
            asked.join(PATIENCE_SECONDS)
            assert not asked.is_alive()


def test_long_work_leaves_the_checkpoints_to_a_thread(path):
    with tracker.open_db(path) as conn, tracker.open_db(path) as other:
        with checkpoints.beside(conn, other):
            fill(conn, 40)
            wait_until(lambda: path.stat().st_size > 30 * MIB)
        assert conn.make_checkpoint is checkpoint
        assert "checkpoints" not in {thread.name for thread in threading.enumerate()}


def test_while_long_work_makes_the_checkpoints_nobody_else_does(path):
    with tracker.open_db(path) as conn, tracker.open_db(path) as other, tracker.open_db(path) as stranger:
        with checkpoints.beside(conn, other):
            wait_until(lambda: is_left_to(conn, stranger))
            fill(stranger, 18)
            assert stranger.log_pages > CHECKPOINT_PAGES
            fill(conn, 20)  # it is longer now than long work, too, lets it become
            wait_until(lambda: path.stat().st_size > 30 * MIB)
        assert could_checkpoint(stranger)


def test_long_work_makes_them_although_whoever_keeps_others_from_it_has_stopped(path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SELDOM_PAGES", 500)
    monkeypatch.setattr(checkpoints, "FAR_TOO_LONG_PAGES", CHECKPOINT_PAGES)
    with (
        tracker.open_db(path) as conn,
        tracker.open_db(path) as other,
        tracker.open_db(path) as stopped,
        stopped.try_checkpoint() as is_first,
        checkpoints.beside(conn, other),
    ):
        assert is_first
        fill(conn, 6)
        assert conn.log_pages < CHECKPOINT_PAGES
        assert path.stat().st_size < 2 * MIB  # whoever is at it may only be slow
        fill(conn, 20)
        wait_until(lambda: path.stat().st_size > 20 * MIB)


def is_left_to(conn, stranger):
    conn.make_checkpoint(conn)  # whoever looks has the lock for a moment itself: the thread is to try again
    return not could_checkpoint(stranger)


def could_checkpoint(conn):
    with conn.try_checkpoint() as nobody_else:
        return nobody_else


def test_a_reader_that_takes_its_time_holds_up_the_emptying_and_no_writer(conn, db_path):
    tracker.log_event(conn, "papers", "note")
    with tracker.open_db(db_path) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM events").fetchall()
        tracker.log_event(conn, "papers", "later")
        begun = time.monotonic()
        assert not checkpoints.empty_log(conn)
        assert time.monotonic() - begun < BUSY_TIMEOUT_MS / 1000 / 2
        tracker.log_event(conn, "papers", "and later")
        other.execute("COMMIT")
    assert conn.pragma("busy_timeout") == BUSY_TIMEOUT_MS
    assert checkpoints.empty_log(conn)
    assert db_path.with_name(f"{db_path.name}-wal").stat().st_size == 0
