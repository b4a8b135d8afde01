"""Items above a cap wait for approval: let in, or made known without running."""

from __future__ import annotations

import pytest

import tracker
from tracker.held import approve_next, count_held, dismiss_next
from tracker.plan import make_plan

STAGES = ["fetch", "extract"]
HOLD = """
INSERT INTO held_items (job_id, key, data, priority, version, source, held_at)
VALUES ('papers', ?, '{"n": 1}', 5, 'v', '', 0)
"""


@pytest.fixture
def hold(conn):
    def hold(*keys):
        with tracker.write(conn):
            conn.executemany(HOLD, [(key,) for key in keys])

    return hold


def keys_in(conn):
    return [row[0] for row in conn.execute("SELECT key FROM work_items ORDER BY item_id")]


def test_the_earliest_found_are_let_in_first_with_all_that_is_known_of_them(conn, hold):
    hold("c", "a", "b")
    assert approve_next(conn, "papers", limit=2, by="me") == 2
    assert keys_in(conn) == ["c", "a"]
    assert count_held(conn, "papers") == 1
    row = conn.execute("SELECT data, priority, version, status FROM work_items WHERE key = 'c'").fetchone()
    assert tuple(row) == ('{"n": 1}', 5, "v", "pending")


def test_one_that_came_in_by_another_way_is_not_made_twice(conn, hold, add_items):
    hold("a", "b")
    add_items("a")
    assert approve_next(conn, "papers", limit=10, by="me") == 2
    assert sorted(keys_in(conn)) == ["a", "b"]


def test_an_approval_is_an_event_with_who(conn, hold):
    hold("a")
    approve_next(conn, "papers", limit=10, by="me")
    (event,) = tracker.get_events(conn, "papers")
    assert (event["kind"], event["by"], event["detail"]) == ("approve", "me", '{"items": 1}')


def test_nothing_held_is_nothing_done(conn):
    assert approve_next(conn, "papers", limit=10, by="me") == 0
    assert tracker.get_events(conn, "papers") == []


def test_what_is_dismissed_is_known_and_never_run(conn, hold):
    hold("a", "b")
    assert dismiss_next(conn, "papers", limit=1, by="me", plan=make_plan(STAGES)) == 1
    assert tracker.get_stages_dict(conn, "papers") == {"a": {"fetch": "skipped", "extract": "skipped"}}
    assert tracker.get_job_stats(conn, "papers")["pending"] == 0
    assert count_held(conn, "papers") == 1


def test_another_jobs_items_stay_held(conn, hold):
    hold("a")
    assert approve_next(conn, "talks", limit=10, by="me") == 0
    assert count_held(conn, "papers") == 1
