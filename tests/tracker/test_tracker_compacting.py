"""Compacting gives back room, says how much, and holds up nobody for long."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest

import tracker
from pipeline.errors import TrackerFullError
from pipeline.search_words import read_search
from tracker import compacting
from tracker.compacting import compact
from tracker.connection import write
from tracker.item_pages import read_item_page
from tracker.retention import AT_ONCE, EVENTS, find_end, forget_events
from tracker.search import search
from tracker.search_index import read_in

HOLD_OPEN = """
import sys, tracker
with tracker.open_db(sys.argv[1]) as conn:
    conn.execute("SELECT 1 FROM meta").fetchall()
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def emptied(conn, db_path):
    """Give the path of a tracker that nobody has open, from which much was removed."""
    for number in range(3000):
        tracker.log_event(conn, "papers", "ballast", detail={"text": f"{number}" * 200})
    with write(conn):
        conn.execute("DELETE FROM events")
    conn.close()
    return db_path


@pytest.fixture
def holder(emptied):
    """Let another process have it open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(emptied)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "open\n"
        yield process


def test_a_file_that_nobody_has_open_is_rewritten_and_it_is_told_what_that_gave_back(emptied):
    done = compact(emptied)
    assert done.rewritten
    assert done.emptied
    assert done.after < done.before / 2
    assert emptied.stat().st_size == done.after
    with tracker.open_db(emptied) as conn:
        assert conn.pragma("quick_check") == "ok"
        assert conn.pragma("freelist_count") == 0


def test_a_small_file_is_rewritten_among_others(emptied, holder):
    done = compact(emptied)
    assert (done.rewritten, done.why_not) == (True, None)
    assert done.after < done.before / 2


def test_a_large_file_is_not_while_others_have_it_open_and_that_is_told(emptied, holder, monkeypatch):
    monkeypatch.setattr(compacting, "MOST_BYTES_AMONG_OTHERS", 1000)
    done = compact(emptied)
    assert not done.rewritten
    assert "stop them" in done.why_not
    assert done.free > 100_000
    assert done.emptied


def test_a_file_with_little_to_give_back_is_not_rewritten_among_others_and_that_is_told(emptied, holder):
    assert compact(emptied).rewritten
    done = compact(emptied)
    assert not done.rewritten
    assert "too little to give back" in done.why_not


def test_compacting_leaves_the_temporary_files_of_its_process_where_they_were(emptied):
    compact(emptied)
    with tracker.open_db(emptied) as conn:
        assert not conn.pragma("temp_store_directory")


def test_too_little_room_is_told_before_anything_is_written(emptied, monkeypatch):
    before = emptied.stat().st_size
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(TrackerFullError, match="no room to rewrite"):
        compact(emptied)
    assert emptied.stat().st_size == before


@pytest.mark.parametrize("others", [None, "holder"], ids=["alone", "among others"])
def test_room_is_needed_for_a_copy_and_as_much_in_the_log(emptied, request, monkeypatch, others):
    if others:
        request.getfixturevalue(others)
    with tracker.open_readonly(emptied) as conn:
        used = (conn.pragma("page_count") - conn.pragma("freelist_count")) * conn.pragma("page_size")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2 * used - 1})())
    with pytest.raises(TrackerFullError, match="no room to rewrite"):
        compact(emptied)


def test_compacting_leaves_no_statistics_by_which_statements_would_find_their_rows_otherwise(emptied):
    compact(emptied)
    with tracker.open_db(emptied) as conn:
        assert (
            conn.execute("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'").fetchone()[0]
            == 0
        )


def test_events_are_forgotten_in_small_batches_up_to_an_instant(conn):
    for number in range(AT_ONCE * 2 + 10):
        tracker.log_event(conn, "papers", "old", detail={"n": number})
    with write(conn):
        conn.execute("UPDATE events SET at = event_id")
    assert find_end(conn, EVENTS, 0) in {0, 1}
    assert find_end(conn, EVENTS, AT_ONCE + 1) == AT_ONCE + 1
    assert find_end(conn, EVENTS, 10**15) == AT_ONCE * 2 + 11
    assert forget_events(conn, AT_ONCE + 6) == AT_ONCE + 5
    assert conn.execute("SELECT min(at) FROM events").fetchone()[0] == AT_ONCE + 6
    assert forget_events(conn, AT_ONCE + 6) == 0


def test_ids_of_events_go_on_growing_when_all_of_them_are_old(conn):
    last = [tracker.log_event(conn, "papers", "old") for _ in range(5)][-1]
    assert forget_events(conn, 10**15) == 4
    assert tracker.log_event(conn, "papers", "new") > last


def test_what_is_searched_and_what_other_jobs_read_goes_on_after_all_events_were_old(conn, add_opened):
    (item_id,) = add_opened("a", stages=["fetch"])
    for _ in range(20):
        tracker.log_event(conn, "papers", "old")
    while read_in(conn, "papers", 10) is not None:
        pass
    read = partial(read_item_page, conn, "papers", stage=None, status=None, limit=10)
    position = read(after=None).position
    forget_events(conn, 10**15)
    tracker.mark_stage_done(conn, item_id, "fetch", ["fetch"], {"text": "zebra"})
    assert [item["results"] for item in read(after=position).items] == [{"fetch": {"text": "zebra"}}]
    read_in(conn, "papers", 10)
    assert [found.key for found in search(conn, read_search("zebra"), 10)] == ["a"]
