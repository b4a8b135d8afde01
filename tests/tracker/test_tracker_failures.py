from __future__ import annotations

import json

import apsw
import pytest

import tracker
from pipeline.errors import NotFoundError
from pipeline.filters import parse_filter
from tracker.endings import Ending, Failure
from tracker.failures import (
    get_group,
    get_group_report,
    keep_to_failures,
    list_groups,
    make_group_filter,
    mute_groups,
    unmute_groups,
)
from tracker.moves import settle
from tracker.recovery import reset_items
from tracker.schema import list_migrations
from tracker.selecting import select_page

STAGES = ["fetch", "extract", "store"]
TIMEOUT = Failure.named("TimeoutError", "no answer in 30 s", "Traceback: here")


@pytest.fixture
def fail(conn):
    """Let a stage fail, for good or to be tried again."""

    def settle_it(item_id, stage="fetch", failure=TIMEOUT, *, again=False):
        attempt = tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
        ending = Ending.retried(failure, 1) if again else Ending.failed(failure)
        settle(conn, item_id, stage, attempt, ending)

    return settle_it


def failure(message="no answer in 30 s", **more):
    named = Failure.named("TimeoutError", message)
    return Failure(named.error_type, named.message, named.signature, "Traceback: here", **more)


def find_only(conn, **more):
    (group,) = list_groups(conn, **more).groups
    return group


COUNTED = """
SELECT g.group_id, g.failed,
       (SELECT count(*) FROM item_stages s WHERE s.failure_group = g.group_id AND s.status = 'failed')
  FROM failure_groups g
"""


def check_counts(conn):
    for _, kept, counted in conn.execute(COUNTED).fetchall():
        assert kept == counted


def test_failures_that_are_alike_are_one_group(conn, add_opened, fail):
    a, b, c = add_opened("a", "b", "c")
    fail(a, failure=failure("no answer in 30 s"))
    fail(b, failure=failure("no answer in 7 s"))
    fail(c, failure=failure("refused"))
    groups = list_groups(conn).groups
    assert [(group.signature, group.failed, group.attempts) for group in groups] == [
        ("TimeoutError: no answer in <n> s", 2, 2),
        ("TimeoutError: refused", 1, 1),
    ]
    assert (groups[0].job, groups[0].stage, groups[0].host, groups[0].example_key) == (
        "papers",
        "fetch",
        None,
        "b",
    )


def test_another_stage_job_or_host_is_another_group(conn, add_opened, fail):
    (a,) = add_opened("a")
    (b,) = add_opened("b", data={"url": "https://b.org/1"})
    (c,) = add_opened("c", job_id="rss")
    fail(a)
    fail(b)
    fail(c)
    tracker.mark_skipped(conn, a)
    assert {(group.job, group.stage, group.host) for group in list_groups(conn).groups} == {
        ("papers", "fetch", None), ("papers", "fetch", "b.org"), ("rss", "fetch", None),
    }  # fmt: skip


def test_the_host_that_was_asked_goes_before_the_items_own(conn, add_opened, fail):
    (a,) = add_opened("a", data={"url": "https://a.org/1"})
    fail(a, failure=failure(host="cdn.a.org"))
    assert find_only(conn).host == "cdn.a.org"
    assert [
        one.key for one in select_page(conn, parse_filter("host:cdn.a.org error:Timeout"), limit=9).rows
    ] == ["a"]
    assert select_page(conn, parse_filter("host:cdn.a.org"), limit=9).rows == []


def test_an_attempt_that_is_tried_again_counts_as_an_attempt_and_not_as_failed(conn, add_opened, fail):
    (a,) = add_opened("a")
    fail(a, again=True)
    assert list_groups(conn).groups == []
    group = find_only(conn, with_all=True)
    assert (group.failed, group.attempts) == (0, 1)


def test_what_is_tried_again_leaves_its_group_and_may_come_back(conn, add_opened, fail):
    (a,) = add_opened("a")
    fail(a)
    before = find_only(conn)
    tracker.retry_failed(conn, "papers")
    assert list_groups(conn).groups == []
    fail(a)
    after = find_only(conn)
    assert (after.id, after.failed, after.attempts) == (before.id, 1, 2)


def test_a_stage_that_fails_in_another_way_changes_its_group(conn, add_opened, fail):
    (a,) = add_opened("a")
    fail(a)
    tracker.retry_failed(conn, "papers")
    fail(a, failure=failure("refused"))
    assert find_only(conn).signature == "TimeoutError: refused"
    check_counts(conn)


def test_a_reset_and_a_deleted_item_leave_their_groups(conn, add_opened, fail):
    a, b = add_opened("a", "b")
    fail(a)
    fail(b)
    reset_items(conn, "papers", [a], "again")
    assert find_only(conn).failed == 1
    conn.execute("DELETE FROM work_items WHERE item_id = ?", (b,))
    assert list_groups(conn).groups == []
    check_counts(conn)


def test_an_item_that_is_marked_as_failed_by_hand_has_a_group(conn, add_opened):
    (a,) = add_opened("a")
    tracker.mark_failed(conn, a, "nobody wants it")
    assert find_only(conn).signature == "Marked: nobody wants it"


def test_the_versions_that_failed_are_told_the_last_seen_first(conn, add_opened, fail):
    a, b, c = add_opened("a", "b", "c")
    fail(a, failure=failure(handler_version="1"))
    conn.execute("UPDATE failure_group_versions SET last_seen_at = 1")
    fail(b, failure=failure(handler_version="2"))
    fail(c, failure=failure())
    assert find_only(conn).versions == ["2", "1"]
    assert [one.key for one in select_page(conn, parse_filter("status:failed version:<2"), limit=9).rows] == [
        "a"
    ]


def test_the_times_are_those_of_the_first_and_the_last(conn, add_opened, fail):
    a, b = add_opened("a", "b")
    fail(a)
    conn.execute("UPDATE failure_groups SET first_seen_at = 5, last_seen_at = 5")
    fail(b)
    group = find_only(conn)
    assert group.first_seen_at == 5 < group.last_seen_at


# -- which ------------------------------------------------------------------------------------------------


@pytest.fixture
def many(conn, add_opened, fail):
    """Let five items fail, three of them alike."""
    a, b, c = add_opened("a", "b", "c", data={"url": "https://x.org/1"})
    d, e = add_opened("d", "e", job_id="rss")
    for item_id in (a, b, c):
        fail(item_id)
    fail(d)
    fail(e, failure=Failure.named("OSError", "gone"))


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("job:papers", [3]),
        ("job:rss error:Timeout", [1]),
        ("error:Timeout", [3, 1]),
        ("-error:Timeout", [1]),
        ("host:x.org", [3]),
        ("-host:x*", [1, 1]),
        ("stage:fetch status:failed", [3, 1, 1]),
        ("stage:extract", []),
        ("status:done", []),
        ('signature:"OSError: gone"', [1]),
        ("key:a,b,d", [2, 1]),
        ("key:a status:failed", [1]),
        ("key:a status:done", []),
        ("age:>1h", []),
        ("attempt:1 job:papers", [3]),
    ],
)
def test_groups_are_filtered_and_count_what_fits(conn, many, text, failed):
    assert [group.failed for group in list_groups(conn, parse_filter(text)).groups] == failed


def test_a_list_is_bounded(conn, many):
    assert [group.failed for group in list_groups(conn, limit=1).groups] == [3]
    assert [group.failed for group in list_groups(conn, parse_filter("attempt:1"), limit=1).groups] == [3]


def test_a_filter_that_looks_at_too_many_stages_says_that_it_is_not_complete(conn, many, monkeypatch):
    monkeypatch.setattr("tracker.failures.WALK_AT_MOST", 2)
    monkeypatch.setattr("tracker.failures.BATCH", 2)
    found = list_groups(conn, parse_filter("attempt:1"))
    assert not found.is_complete
    assert list_groups(conn).is_complete


def test_a_filter_is_narrowed_to_failed_stages(conn, many):
    wanted = keep_to_failures(parse_filter("job:papers"))
    rows = select_page(conn, wanted, limit=9).rows
    assert [(one.key, one.stage) for one in rows] == [("a", "fetch"), ("b", "fetch"), ("c", "fetch")]


# -- one --------------------------------------------------------------------------------------------------


def test_a_group_is_found_by_its_id_and_by_the_beginning_of_it(conn, many):
    group = list_groups(conn).groups[0]
    assert get_group(conn, group.id) == get_group(conn, group.id[:5]) == group


def test_an_id_that_begins_several_is_refused(conn, many):
    conn.execute("UPDATE failure_groups SET name = 'abcd000' || group_id")
    with pytest.raises(NotFoundError, match="did you mean 'abcd000"):
        get_group(conn, "abcd")


def test_an_unknown_id_names_the_nearest(conn, many):
    conn.execute("UPDATE failure_groups SET name = 'abcd1234' WHERE error_type = 'OSError'")
    with pytest.raises(
        NotFoundError, match=r"no group of failures with the id 'abcd1243'; did you mean 'abcd1234'"
    ):
        get_group(conn, "abcd1243")
    with pytest.raises(NotFoundError):
        get_group(conn, "")


def test_a_group_is_shown_with_its_last_failure_and_its_stages(conn, many):
    report = get_group_report(conn, list_groups(conn).groups[0].id, limit=2)
    assert (report.example.key, report.example.attempt) == ("c", 1)
    assert (report.example.message, report.example.traceback) == (TIMEOUT.message, TIMEOUT.traceback)
    assert [one.key for one in report.stages] == ["a", "b"]


def test_a_group_whose_example_is_gone_is_shown_without(conn, many):
    group = list_groups(conn).groups[0]
    conn.execute("DELETE FROM work_items WHERE key = 'c'")
    report = get_group_report(conn, group.id)
    assert report.example is None
    assert report.group.example_key is None
    assert len(report.stages) == 2


def test_the_filter_of_a_group_selects_its_stages(conn, many):
    group = list_groups(conn).groups[0]
    assert len(select_page(conn, make_group_filter(group), limit=9).rows) == group.failed


# -- muting -----------------------------------------------------------------------------------------------


def test_a_muted_group_is_not_listed_until_it_is_unmuted(conn, many, add_opened, fail):
    loudest = list_groups(conn).groups[0]
    assert mute_groups(conn, [loudest.id], "ann") == 1
    found = list_groups(conn)
    assert [group.failed for group in found.groups] == [1, 1]
    assert found.muted == list_groups(conn, parse_filter("attempt:1")).muted == 1
    fail(add_opened("f", data={"url": "https://x.org/1"})[0])
    muted = list_groups(conn, with_all=True).groups[0]
    assert (muted.id, muted.failed, muted.muted_by) == (loudest.id, 4, "ann")
    assert unmute_groups(conn, [loudest.id], "ben") == 1
    assert list_groups(conn).groups[0].muted_at is None


def test_muting_is_one_event_with_who_and_only_what_changed(conn, many):
    ids = [group.id for group in list_groups(conn).groups]
    mute_groups(conn, ids[:1], "ann")
    assert mute_groups(conn, ids, "ben") == 2
    assert mute_groups(conn, ids, "cat") == 0
    told = [event for event in tracker.get_events(conn) if event["kind"] == "mute"]
    assert [(event["by"], sorted(json.loads(event["detail"])["groups"])) for event in told] == [
        ("ben", sorted(ids[1:])), ("ann", ids[:1]),
    ]  # fmt: skip


# -- an older file ----------------------------------------------------------------------------------------

FILL_VERSION_6 = """
INSERT INTO work_items (item_id, job_id, key, data, discovered_at, opened_at)
VALUES (1, 'papers', 'a', '{"url": "https://me@A.org:80/1"}', 1, 2),
       (2, 'papers', 'b', '{"link": "http://a.org"}', 1, 2),
       (3, 'papers', 'c', '{}', 1, 2), (4, 'papers', 'd', 'no JSON https://x.org', 1, NULL);
INSERT INTO item_stages (item_id, job_id, stage, position, status, attempt, ended_at)
VALUES (1, 'papers', 'fetch', 0, 'failed', 2, 30), (2, 'papers', 'fetch', 0, 'failed', 1, 20),
       (3, 'papers', 'fetch', 0, 'done', 2, 40);
INSERT INTO failures (item_id, stage, attempt, job_id, failed_at, error_type, message, signature)
VALUES (1, 'fetch', 1, 'papers', 10, 'E', 'x', 'E: x'), (1, 'fetch', 2, 'papers', 30, 'E', 'x', 'E: x'),
       (2, 'fetch', 1, 'papers', 20, 'E', 'x', 'E: x'), (3, 'fetch', 1, 'papers', 5, 'E', 'y', 'E: y');
"""


def test_the_failures_of_an_older_file_are_grouped_when_it_is_migrated(tmp_path):
    path = tmp_path / "tracker.db"
    older = apsw.Connection(str(path))
    for number, sql in list_migrations():
        if number < 9:
            older.execute(sql).fetchall()
    older.execute(FILL_VERSION_6).fetchall()
    older.pragma("user_version", 8)
    older.close()
    with tracker.open_db(path) as conn:
        hosts = conn.execute("SELECT key, host FROM work_items ORDER BY key").fetchall()
        assert list(map(tuple, hosts)) == [("a", "a.org"), ("b", "a.org"), ("c", None), ("d", None)]
        found = list_groups(conn, with_all=True).groups
        assert [(one.host, one.signature, one.failed, one.attempts, one.last_seen_at) for one in found] == [
            ("a.org", "E: x", 2, 3, 30), (None, "E: y", 0, 1, 5),
        ]  # fmt: skip
        assert (found[0].example_key, found[0].first_seen_at) == ("a", 10)
        tracker.retry_failed(conn, "papers")
        check_counts(conn)
