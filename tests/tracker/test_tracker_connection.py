from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import nullcontext
from textwrap import dedent

import apsw
import pytest

import tracker
from pipeline.errors import TrackerFullError, TrackerUnusableError
from tests.waiting import PATIENCE_SECONDS
from tracker import copying

ADD_NOTE = "INSERT INTO meta (name, value) VALUES (?, ?)"
COUNT_NOTES = "SELECT count(*) FROM meta"


def test_a_tracker_is_opened_with_a_write_ahead_log_foreign_keys_and_patience(conn):
    settings = {
        name: conn.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30_000}


def test_open_db_makes_the_tracker_and_its_folder_and_closes_it(tmp_path):
    path = tmp_path / "deep" / "down" / "tracker.db"
    with tracker.open_db(path) as conn:
        assert tracker.get_job_stats(conn, "papers")["total"] == 0
    with pytest.raises(apsw.ConnectionClosedError):
        conn.execute("SELECT 1")
    assert path.exists()


def test_open_raw_db_leaves_the_closing_to_its_caller_who_may_do_it_twice(db_path):
    conn = tracker.open_raw_db(str(db_path))
    assert conn.execute("SELECT 1 AS one").fetchone()["one"] == 1
    conn.close()
    conn.close()


def test_without_a_path_the_environment_says_where_the_tracker_is(tmp_path):
    wanted = tmp_path / "mine.db"
    script = "import tracker; print(tracker.DB_PATH); tracker.open_raw_db().close()"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"CELERIAC_DB": str(wanted), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(wanted)
    assert wanted.exists()


def test_a_readonly_tracker_cannot_be_written(db_path):
    with tracker.open_readonly(db_path) as conn, pytest.raises(apsw.ReadOnlyError):
        conn.execute(ADD_NOTE, ("a", "1"))


def test_a_readonly_tracker_must_be_there(tmp_path):
    missing = tmp_path / "none.db"
    with pytest.raises(TrackerUnusableError, match="there is no tracker at"), tracker.open_readonly(missing):
        pass
    assert not missing.exists()


def fail_halfway(conn, name):
    with tracker.write(conn):
        conn.execute(ADD_NOTE, (name, "1"))
        raise RuntimeError("halfway")


def test_write_commits_all_or_nothing(conn, db_path):
    with pytest.raises(RuntimeError, match="halfway"):
        fail_halfway(conn, "a")
    with tracker.write(conn):
        conn.execute(ADD_NOTE, ("b", "1"))
    with tracker.open_readonly(db_path) as other:
        assert other.execute("SELECT name FROM meta").fetchall() == [("b",)]


def test_a_write_inside_a_write_joins_it_and_can_fail_alone(conn):
    with tracker.write(conn):
        conn.execute(ADD_NOTE, ("outer", "1"))
        with pytest.raises(RuntimeError, match="halfway"):
            fail_halfway(conn, "inner")
        assert conn.in_transaction
    assert conn.execute("SELECT name FROM meta").fetchall() == [("outer",)]


def test_nobody_sees_an_inner_write_before_the_outer_one_commits(conn, db_path):
    with tracker.open_readonly(db_path) as other:
        with tracker.write(conn):
            tracker.log_event(conn, "papers", "note")
            assert tracker.get_events(other) == []
        assert len(tracker.get_events(other)) == 1


def fill(conn, nested):
    with tracker.write(conn), tracker.write(conn) if nested else nullcontext():
        for number in range(100):
            conn.execute(ADD_NOTE, (f"note {number}", "x" * 50_000))


@pytest.mark.parametrize("nested", [False, True])
def test_a_full_disk_is_named_and_leaves_nothing_half_done(conn, nested):
    conn.pragma("max_page_count", conn.pragma("page_count") + 20)
    with pytest.raises(TrackerFullError, match="no room left to write"):
        fill(conn, nested)
    assert conn.execute(COUNT_NOTES).fetchone()[0] == 0
    conn.pragma("max_page_count", 1_000_000)
    fill(conn, nested)
    assert conn.execute(COUNT_NOTES).fetchone()[0] == 100


def test_items_that_do_not_fit_on_a_full_disk_are_all_left_out(conn):
    conn.pragma("max_page_count", conn.pragma("page_count") + 20)
    items = [{"key": f"item {number}", "data": {"text": "x" * 10_000}} for number in range(100)]
    with pytest.raises(TrackerFullError):
        tracker.upsert_items(conn, "papers", items)
    assert tracker.get_job_stats(conn, "papers")["total"] == 0


@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)"])
def test_a_forked_child_that_exits_leaves_its_parents_connection_alone(db_path, leave):
    script = f"""
        import os, sys, tracker
        conn = tracker.open_raw_db({str(db_path)!r})
        with tracker.write(conn):
            tracker.log_event(conn, "papers", "before the fork")
        if os.fork() == 0:
            {leave}
        _, status = os.wait()
        assert status == 0, status
        with tracker.write(conn):
            tracker.log_event(conn, "papers", "after the fork")
        print([event["kind"] for event in tracker.get_events(conn)], conn.pragma("integrity_check"))
        conn.close()
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "['after the fork', 'before the fork'] ok", done.stderr


FORK_AND_DIE = """
import os, signal, sys, tracker
conn = tracker.open_raw_db(sys.argv[1])
with tracker.write(conn):
    if os.fork() == 0:
        sys.stdin.read()  # lives on until it is told to go
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_child_that_outlives_its_killed_parent_does_not_hold_the_turn(db_path):
    write = "import sys, tracker; tracker.wake_job(tracker.open_raw_db(sys.argv[1]), 'papers')"
    with subprocess.Popen([sys.executable, "-c", FORK_AND_DIE, db_path], stdin=subprocess.PIPE) as doomed:
        assert doomed.wait() == -signal.SIGKILL
        subprocess.run([sys.executable, "-c", write, db_path], check=True, timeout=PATIENCE_SECONDS)


def test_a_child_forked_during_a_write_does_not_hold_its_parents_turn(db_path):
    script = f"""
        import os, sys, tracker
        conn = tracker.open_raw_db({str(db_path)!r})
        gate_in, gate_out = os.pipe()
        with tracker.write(conn):
            child = os.fork()
            if child == 0:
                os.read(gate_in, 1)  # lives on while others write
                os._exit(0)
        with tracker.open_db({str(db_path)!r}) as other, tracker.write(other):
            tracker.log_event(other, "papers", "written")
        os.write(gate_out, b"x")
        os.waitpid(child, 0)
        print("written")
        conn.close()
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.stdout.strip() == "written", done.stderr


def test_a_copy_is_of_one_moment_and_ends_however_much_is_written_meanwhile(
    conn, db_path, tmp_path, monkeypatch
):
    monkeypatch.setattr(copying, "STEP_PAGES", 1)
    tracker.log_event(conn, "papers", "before")
    steps = []

    def write_more(_what, _done, total):
        steps.append(total)
        assert len(steps) <= steps[0]
        tracker.log_event(conn, "papers", "meanwhile", detail={"text": "x" * 5000})

    copying.copy_database(db_path, tmp_path / "copy.db", write_more)
    assert len(steps) > 10
    with tracker.open_readonly(tmp_path / "copy.db") as copy:
        assert [row["kind"] for row in tracker.get_events(copy, "papers")] == ["before"]
