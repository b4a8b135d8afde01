"""What is shown: failures by the hour, costs by the day, the forecast of the backlog, pages of results and events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import apsw
import pytest
import time_machine

import tracker
from tracker.costs import list_costs
from tracker.event_pages import WantedEvents, list_events_before
from tracker.failure_hours import KEEP_HOURS, SHOWN_HOURS, prune_failure_hours, read_failure_hours
from tracker.failures import list_groups
from tracker.forecasts import Forecast, list_forecasts, total_usd
from tracker.result_pages import Place, list_result_page
from tracker.schema import list_migrations

STAGES = ["fetch", "ask"]
NOON = datetime(2026, 3, 3, 12, 30, tzinfo=UTC)
MINE = 17


@pytest.fixture
def add(conn):
    """Add items, opened at their first stage."""

    def make(*keys):
        tracker.upsert_items(conn, "papers", [{"key": key} for key in keys])
        ids = [
            conn.execute("SELECT item_id FROM work_items WHERE key = ?", (key,)).fetchone()[0] for key in keys
        ]
        for item_id in ids:
            tracker.mark_stage_in_progress(conn, item_id, "fetch", STAGES)
        return ids

    return make


def fail(conn, item_id, attempt=None):
    tracker.mark_stage_failed(conn, item_id, "fetch", STAGES, TimeoutError("no answer"), attempt=attempt)


# -- failures by the hour ---------------------------------------------------------------------------------


def test_attempts_are_counted_in_the_hour_in_which_they_failed(conn, add):
    for hours_ago, key in ((30, "a"), (23, "b"), (1, "c"), (1, "d"), (0, "e")):
        with time_machine.travel(NOON - timedelta(hours=hours_ago), tick=False):
            fail(conn, *add(key))
    (group,) = list_groups(conn).groups
    with time_machine.travel(NOON, tick=False):
        hours = read_failure_hours(conn, [group.id])[group.id]
    assert len(hours) == SHOWN_HOURS
    assert (hours[0], hours[-2], hours[-1], sum(hours)) == (1, 2, 1, 4)
    assert group.attempts == 5


def test_a_group_that_was_quiet_has_no_bars(conn, add):
    with time_machine.travel(NOON - timedelta(days=3), tick=False):
        fail(conn, *add("a"))
    (group,) = list_groups(conn).groups
    with time_machine.travel(NOON, tick=False):
        assert read_failure_hours(conn, [group.id]) == {group.id: [0] * SHOWN_HOURS}


def test_old_hours_are_forgotten(conn, add):
    with time_machine.travel(NOON - timedelta(hours=KEEP_HOURS + 1), tick=False):
        fail(conn, *add("a"))
    with time_machine.travel(NOON, tick=False):
        fail(conn, *add("b"))
        prune_failure_hours(conn)
    assert conn.execute("SELECT count(*) FROM failure_group_hours").fetchone()[0] == 1


# -- costs by the day -------------------------------------------------------------------------------------


def sums(conn, since=0):
    return [
        (one.day, one.usd, one.costs, one.unknown, one.units) for one in list_costs(conn, None, "day", since)
    ]


def test_a_day_that_is_cut_in_two_is_summed_to_the_millisecond(conn):
    for hours in range(0, 72, 6):
        with time_machine.travel(NOON + timedelta(hours=hours), tick=False):
            tracker.log_cost(conn, "papers", 1, "shop", stage="ask", units={"tokens": 2})
    since = tracker.clock.to_ms(NOON + timedelta(hours=6))
    assert sums(conn) == [
        ("2026-03-03", 2, 2, 0, {"tokens": 4}),
        ("2026-03-04", 4, 4, 0, {"tokens": 8}),
        ("2026-03-05", 4, 4, 0, {"tokens": 8}),
        ("2026-03-06", 2, 2, 0, {"tokens": 4}),
    ]
    assert sums(conn, since)[0] == ("2026-03-03", 1, 1, 0, {"tokens": 2})
    assert sums(conn, since)[1:] == sums(conn)[1:]
    assert sums(conn, since + 1)[0][0] == "2026-03-04"


def test_what_was_spent_is_known_when_the_costs_are_forgotten(conn):
    tracker.log_cost(conn, "papers", 1, "shop")
    conn.execute("DELETE FROM costs")
    assert [one.usd for one in list_costs(conn, None, "job")] == [1]


def test_a_file_from_before_gets_its_counters(tmp_path, migrated_before):
    with tracker.open_db(migrated_before) as conn:
        assert [(one.job, one.usd, one.unknown, one.units) for one in list_costs(conn, None, "job")] == [
            ("papers", 1.5, 1, {"tokens": 7})
        ]
        (group,) = list_groups(conn).groups
        assert sum(read_failure_hours(conn, [group.id])[group.id]) == 1


@pytest.fixture
def migrated_before(tmp_path):
    """Make a file as it was before these counters, with costs and a failure."""
    path = tmp_path / "before" / "tracker.db"
    path.parent.mkdir()
    conn = apsw.Connection(str(path))
    for number, sql in list_migrations():
        if number < MINE:
            conn.execute(sql).fetchall()
            conn.pragma("user_version", number)
    conn.execute(
        """
        INSERT INTO costs (spent_at, job_id, usd, provider, units)
        VALUES (1, 'papers', 1.0, 'shop', '{"tokens": 3}'), (2, 'papers', 0.5, 'shop', '{"tokens": 4, "kind": "x"}'),
               (3, 'papers', NULL, 'shop', '{}');
        INSERT INTO work_items (item_id, job_id, key, discovered_at) VALUES (1, 'papers', 'a', 1);
        INSERT INTO item_stages (item_id, stage, job_id, position, status, attempt, ended_at)
        VALUES (1, 'fetch', 'papers', 0, 'failed', 1, 1);
        INSERT INTO failures (item_id, stage, attempt, job_id, failed_at, error_type, message, signature)
        VALUES (1, 'fetch', 1, 'papers', unixepoch() * 1000 - 60000, 'E', 'm', 's');
        """
    ).fetchall()
    conn.close()
    return path


# -- the forecast -----------------------------------------------------------------------------------------


def test_the_backlog_costs_what_its_stages_cost_on_the_average(conn, add):
    first, second, _ = add("a", "b", "c")
    for item_id, usd in ((first, 0.25), (second, 0.75)):
        tracker.mark_stage_done(conn, item_id, "fetch", STAGES, {})
        attempt = tracker.mark_stage_in_progress(conn, item_id, "ask", STAGES)
        tracker.log_cost(conn, "papers", usd, "shop", item_id=item_id, stage="ask", attempt=attempt)
        tracker.mark_stage_done(conn, item_id, "ask", STAGES, {})
    tracker.upsert_items(conn, "papers", [{"key": "d"}, {"key": "e"}])
    found = list_forecasts(conn)
    assert found == [Forecast("papers", "ask", waiting=3, usd_each=0.5, usd=1.5)]
    assert total_usd(found) == 1.5
    assert list_forecasts(conn, "talks") == []


def test_what_nobody_knows_the_price_of_is_no_nothing(conn, add):
    first, _ = add("a", "b")
    tracker.log_cost(conn, "papers", None, "shop", item_id=first, stage="fetch", attempt=1)
    tracker.upsert_items(conn, "papers", [{"key": "c"}])
    assert list_forecasts(conn) == [Forecast("papers", "fetch", waiting=1, usd_each=None, usd=None)]


# -- pages ------------------------------------------------------------------------------------------------


def test_a_page_of_results_ends_when_it_is_large(conn, add, monkeypatch):
    monkeypatch.setattr("tracker.result_pages.MOST_CHARS", 100)
    for item_id in add("a", "b", "c"):
        tracker.mark_stage_done(conn, item_id, "fetch", STAGES, {"text": "x" * 90})
    page = list_result_page(conn, "papers")
    assert [one.key for one in page.results] == ["a"]
    assert [
        one.key for one in list_result_page(conn, "papers", after=Place.parse(page.next_after)).results
    ] == ["b"]


def test_results_that_are_rare_are_reached_by_going_on(conn, add, monkeypatch):
    monkeypatch.setattr("tracker.result_pages.LOOK_AT", 2)
    ids = add(*"abcde")
    tracker.mark_stage_done(conn, ids[-1], "fetch", STAGES, {})
    keys, after, pages = [], None, 0
    while True:
        page = list_result_page(conn, "papers", after=after)
        keys, pages = keys + [one.key for one in page.results], pages + 1
        if page.next_after is None:
            break
        after = Place.parse(page.next_after)
    assert keys == ["e"]
    assert 2 <= pages <= 6


@pytest.mark.parametrize("text", ["", "1", "1:2:3", "a:b", "-1:1", f"1:{2**70}"])
def test_a_place_that_nobody_gave_is_refused(text):
    with pytest.raises(ValueError, match=r"place among results|invalid literal"):
        Place.parse(text)


def test_acts_are_found_among_any_number_of_moves(conn):
    tracker.log_event(conn, "papers", "pause", by="ann")
    for _ in range(300):
        tracker.log_event(conn, "papers", "claim", item_id=7)
    page = list_events_before(conn, WantedEvents(acts=True), limit=10)
    assert [(one.kind, one.by) for one in page.events] == [("pause", "ann")]
    assert page.is_full
