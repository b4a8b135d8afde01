"""What a discovery finds is stored with its cursor and its counts: all of a batch, or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

import tracker
from pipeline.errors import StaleRunError
from pipeline.on_change import OnChange
from tracker import discoveries
from tracker.discoveries import RunLease
from tracker.findings import Cursor, Terms, find_held, find_versions, store_found
from tracker.held import count_held
from tracker.run_counts import Counts, read_counts
from tracker.runs import find_last_run
from tracker.sources import read_memory

IGNORE, MERGE, REPROCESS = (Terms(on_change=each) for each in OnChange)


@dataclass
class Thing:
    key: str
    data: dict | None = None
    version: str | None = None
    priority: int | None = None
    source: str | None = None

    @property
    def data_text(self):
        return json.dumps(self.data or {})


@pytest.fixture
def run(conn):
    return discoveries.begin_discovery(conn, "papers")


@pytest.fixture
def store(conn, run):
    """Store things by key, or as they are."""

    def store(*things, terms=IGNORE, **more):
        found = [Thing(each) if isinstance(each, str) else each for each in things]
        return store_found(conn, run, found, terms, **more).counts

    return store


@pytest.fixture
def data_of(conn):
    def read(key):
        row = conn.execute(
            "SELECT data FROM work_items WHERE job_id = 'papers' AND key = ?", (key,)
        ).fetchone()
        return json.loads(row[0])

    return read


def test_new_things_become_items_and_known_ones_do_not(conn, store):
    assert store("a", "b") == Counts(found=2, new=2)
    assert store("b", "c") == Counts(found=2, new=1)
    assert tracker.get_pending_count(conn, "papers") == 3


def test_a_key_that_stands_twice_in_a_batch_is_one_item(conn, store):
    assert store("a", "a").new == 1


def test_an_item_has_its_own_priority_else_the_jobs(conn, store):
    store("a", Thing("b", priority=0), terms=Terms(priority=7))
    rows = conn.execute("SELECT key, priority FROM work_items ORDER BY key").fetchall()
    assert [tuple(row) for row in rows] == [("a", 7), ("b", 0)]


def test_the_run_adds_up_its_batches(conn, run, store):
    store("a", "b", room=1)
    store("a", "b", "c", room=0)
    assert read_counts(conn, run.run_id) == Counts(found=5, new=1, held=2)
    assert find_last_run(conn, "papers").found == 5


def test_a_cursor_is_kept_with_its_batch(conn, store):
    store("a", cursor=Cursor("feed", {"page": 2}))
    assert read_memory(conn, "papers", "feed").cursor == {"page": 2}
    store(cursor=Cursor("feed", None))
    assert read_memory(conn, "papers", "feed").cursor is None


def test_a_process_that_lost_its_run_stores_nothing_and_moves_no_cursor(conn, run):
    stale = RunLease(run.run_id, "papers", run.attempt - 1)
    with pytest.raises(StaleRunError):
        store_found(conn, stale, [Thing("a")], Terms(), cursor=Cursor("feed", 1))
    assert tracker.get_pending_count(conn, "papers") == 0
    assert read_memory(conn, "papers", "feed").cursor is None


def test_a_run_that_has_ended_takes_nothing_in(conn, run, store):
    discoveries.finish_discovery(conn, run, discoveries.Findings())
    with pytest.raises(StaleRunError):
        store("a")


def test_what_is_above_the_room_is_held_and_counted(conn, store):
    assert store("a", "b", "c", room=1) == Counts(found=3, new=1, held=2)
    assert (tracker.get_pending_count(conn, "papers"), count_held(conn, "papers")) == (1, 2)
    assert find_held(conn, "papers", ["a", "b", "c", "d"]) == {"b", "c"}


def test_what_is_held_is_not_let_in_by_being_found_again(conn, store):
    store("a", "b", room=1)
    assert store("a", "b", "c", room=None) == Counts(found=3, new=1)
    assert find_held(conn, "papers", ["b"]) == {"b"}


def test_known_keys_are_found_with_their_versions(conn, store):
    store(Thing("a", version="1"), "b")
    assert find_versions(conn, "papers", ["a", "b", "c"]) == {"a": "1", "b": None}


def test_a_change_is_counted_once_and_by_itself_does_nothing(store, data_of):
    store(Thing("a", {"n": 1}, "1"))
    assert store(Thing("a", {"n": 2}, "2")).changed == 1
    assert store(Thing("a", {"n": 2}, "2")).changed == 0
    assert data_of("a") == {"n": 1}


@pytest.mark.parametrize(("before", "after"), [(None, "2"), ("1", None), ("1", "1")])
def test_without_two_different_versions_nothing_has_changed(store, before, after):
    store(Thing("a", version=before))
    assert store(Thing("a", version=after), terms=REPROCESS).changed == 0


def test_a_version_that_was_unknown_is_taken_on(conn, store):
    store("a")
    store(Thing("a", version="1"))
    assert store(Thing("a", version="2")).changed == 1


def test_merge_completes_the_data_and_runs_nothing_again(conn, store, data_of, event_kinds):
    store(Thing("a", {"n": 1, "deep": {"x": 1}}, "1"))
    store(Thing("a", {"n": 2, "more": 3, "deep": {"y": 2}}, "2"), terms=MERGE)
    assert data_of("a") == {"n": 1, "more": 3, "deep": {"x": 1, "y": 2}}
    assert event_kinds() == ["item_changed"]


def test_reprocess_takes_on_the_new_data_and_resets_every_stage(
    conn, finished_id, store, data_of, stage_statuses
):
    with tracker.write(conn):
        conn.execute("UPDATE work_items SET version = '1', data = '{\"n\": 1, \"own\": true}'")
    assert store(Thing("a", {"n": 2}, "2"), terms=REPROCESS) == Counts(found=1, changed=1)
    assert data_of("a") == {"n": 2, "own": True}
    assert stage_statuses() == ["pending"] * 3
    assert [event["kind"] for event in tracker.get_events(conn, "papers")][:4] == ["reset"] * 3 + [
        "item_changed"
    ]


def test_reprocess_leaves_switched_off_stages_alone(conn, finished_id, store, stage_statuses):
    with tracker.write(conn):
        conn.execute("UPDATE work_items SET version = '1'")
        conn.execute("UPDATE job_stages SET switched_on = 0 WHERE stage = 'store'")
    store(Thing("a", {}, "2"), terms=REPROCESS)
    assert stage_statuses() == ["pending", "pending", "done"]


def test_an_item_that_changes_before_it_was_opened_just_has_its_new_data(store, data_of):
    store(Thing("a", {"n": 1}, "1"))
    store(Thing("a", {"n": 2}, "2"), terms=REPROCESS)
    assert data_of("a") == {"n": 2}


def test_new_and_changed_things_are_counted_by_source(conn, run):
    found = [Thing("a", source="one"), Thing("b"), Thing("c", version="1")]
    stored = store_found(conn, run, found, Terms(), source="two", room=0)
    assert stored.new_by_source == {"one": 1, "two": 2}
    stored = store_found(conn, run, [Thing("d", version="1")], Terms(), source="two")
    stored = store_found(conn, run, [Thing("d", version="2", source="one")], Terms(), source="two")
    assert (stored.new_by_source, stored.changed_by_source) == ({}, {"one": 1})
