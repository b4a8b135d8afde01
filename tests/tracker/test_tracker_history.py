"""Older results: kept when a later one replaces them, as many as jobs.yaml says, with the files that they refer to."""

from __future__ import annotations

import json
import shutil
import tempfile

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracker
from pipeline.errors import NotFoundError
from tracker.history import choose_two, list_history, list_results_of_stage, stream_history
from tracker.plan import StagePlan, make_plan, remember_keep, remember_plan
from tracker.results import count_versions
from tracker.schema import list_migrations

SHA = "a" * 64
POINTER = {"artifact": f"sha256:{SHA}"}


def store(conn, result, version="v1", key="a"):
    tracker.store_result(conn, "papers", key, "fetch", result, handler_version=version)


def numbers(conn):
    return [one.result["n"] for one in list_history(conn, "papers", "a", "fetch")]


def list_uses(conn):
    return [
        tuple(row) for row in conn.execute("SELECT kind, stage FROM artifact_uses WHERE sha256 = ?", (SHA,))
    ]


def keep(conn, count):
    plan = make_plan(["fetch", "extract"])
    remember_plan(conn, "papers", plan)
    remember_keep(conn, "papers", StagePlan(plan.names, plan.needs, plan.switched_on, keep={"fetch": count}))


def test_the_last_three_that_were_replaced_are_kept(conn, item_id):
    for n in range(6):
        store(conn, {"n": n}, f"v{n}")
    assert numbers(conn) == [4, 3, 2]
    assert tracker.get_result(conn, "papers", "a", "fetch") == {"n": 5}


@pytest.mark.parametrize(("count", "kept"), [(0, []), (1, [4]), (5, [4, 3, 2, 1, 0])])
def test_as_many_are_kept_as_jobs_yaml_says(conn, item_id, count, kept):
    keep(conn, count)
    for n in range(6):
        store(conn, {"n": n})
    assert numbers(conn) == kept


def test_a_smaller_keep_takes_hold_with_the_next_result(conn, item_id):
    for n in range(4):
        store(conn, {"n": n})
    keep(conn, 1)
    assert numbers(conn) == [2, 1, 0]
    store(conn, {"n": 4})
    assert numbers(conn) == [3]


def test_the_same_result_by_a_later_version_replaces_nothing(conn, item_id):
    store(conn, {"n": 1, "m": 2}, "v1")
    store(conn, {"m": 2, "n": 1}, "v2")
    assert list_history(conn, "papers", "a") == []
    assert tracker.get_handler_version(conn, "papers", "a", "fetch") == "v2"


def test_a_file_that_only_history_refers_to_is_in_use_until_that_is_forgotten(conn, item_id):
    keep(conn, 1)
    store(conn, {"n": 1, "page": POINTER})
    assert list_uses(conn) == [("result", "fetch")]
    store(conn, {"n": 2})
    assert list_uses(conn) == [("history", "")]
    store(conn, {"n": 3})
    assert list_uses(conn) == []


def test_what_history_refers_to_goes_with_its_item(conn, item_id):
    store(conn, {"n": 1, "page": POINTER})
    store(conn, {"n": 2})
    conn.execute("DELETE FROM work_items")
    assert list_uses(conn) == []
    assert conn.execute("SELECT count(*) FROM results_history").fetchone()[0] == 0
    assert count_versions(conn, "papers") == []


def test_the_last_two_are_compared_unless_attempts_are_named(conn, finished_id):
    for n in range(3):
        tracker.reset_stage(conn, "papers", "fetch")
        tracker.mark_stage_in_progress(conn, finished_id, "fetch", ["fetch", "extract", "store"])
        tracker.mark_stage_done(conn, finished_id, "fetch", ["fetch", "extract", "store"], {"n": n})
    found = list_results_of_stage(conn, "papers", "a", "fetch")
    assert [one.attempt for one in found] == [4, 3, 2, 1]

    def choose(*attempts):
        return tuple(one.attempt for one in choose_two(found, "a", *attempts))

    assert (choose(), choose(2), choose(3, 1), choose(1, 1)) == ((3, 4), (2, 4), (3, 1), (1, 1))
    with pytest.raises(NotFoundError, match=r"there are: 4, 3, 2, 1.* '7'"):
        choose(7)


def test_who_has_nothing_to_compare_is_told_what_there_is(conn, finished_id):
    with pytest.raises(NotFoundError, match="no result of that stage of item 'a'"):
        choose_two([], "a")
    with pytest.raises(NotFoundError, match="older result of 'fetch'"):
        choose_two(list_results_of_stage(conn, "papers", "a", "fetch"), "a")


def test_history_is_streamed_by_item_and_stage(conn, add_items):
    add_items("a", "b")
    for key in "ab":
        for n in range(3):
            store(conn, {"n": n}, key=key)
    found = [(one.key, one.result["n"]) for one in stream_history(conn, "papers", None, -1)]
    assert found == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert len(list(stream_history(conn, "papers", "fetch", 3))) == 3


CHANGES = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["v1", "v2", None]), st.integers(0, 2)), max_size=12
)


@given(changes=CHANGES, removed=st.booleans())
@settings(max_examples=25)
def test_versions_are_counted_as_they_are(migrated_file, changes, removed):
    with tempfile.TemporaryDirectory() as folder, tracker.open_db(shutil.copy(migrated_file, folder)) as conn:
        tracker.upsert_items(conn, "papers", [{"key": "a"}, {"key": "b"}])
        for key, version, n in changes:
            store(conn, {"n": n}, version, key)
        if removed:
            conn.execute("DELETE FROM work_items WHERE key = 'a'")
        sql = "SELECT stage, handler_version, count(*) FROM results GROUP BY stage, handler_version"
        counted = sorted(map(tuple, conn.execute(sql)), key=repr)
        assert sorted(map(tuple, count_versions(conn, "papers")), key=repr) == counted
        assert tracker.get_stale_count(conn, "papers", "fetch", "v1") == sum(
            count for _, version, count in counted if version != "v1"
        )


def test_an_older_file_has_its_versions_counted_and_its_files_still_in_use(tmp_path):
    path = tmp_path / "tracker.db"
    older = apsw.Connection(str(path))
    for number, sql in list_migrations():
        if number <= 10:
            older.execute(sql).fetchall()
    older.pragma("user_version", 10)
    older.execute("INSERT INTO work_items (item_id, job_id, key, discovered_at) VALUES (1, 'papers', 'a', 0)")
    older.execute(
        "INSERT INTO artifacts (sha256, bytes, name, first_kept_at, last_kept_at, uses) VALUES (?, 1, 'page', 0, 0, 0)",
        (SHA,),
    )
    older.execute(
        "INSERT INTO results (item_id, stage, job_id, attempt, result, handler_version, stored_at)"
        " VALUES (1, 'fetch', 'papers', 1, ?, 'v1', 0)",
        (json.dumps({"page": POINTER}),),
    )
    older.close()
    with tracker.open_db(path) as conn:
        assert [tuple(row) for row in count_versions(conn, "papers")] == [("fetch", "v1", 1)]
        assert list_uses(conn) == [("result", "fetch")]
        store(conn, {"n": 1})
        assert list_uses(conn) == [("history", "")]
        assert conn.execute("SELECT uses FROM artifacts").fetchone()[0] == 1
