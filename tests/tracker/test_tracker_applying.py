"""A changed list of stages is brought to a job's items batch by batch, and may be killed between any two."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tracker_life import check_now

import tracker
from tracker import applying, claims
from tracker.endings import Ending
from tracker.moves import settle
from tracker.plan import SWITCHED_OFF, find_plan, make_plan, open_items, remember_made_of, remember_plan

STAGES = ["fetch", "extract", "store"]
MORE = [*STAGES, "print"]


@pytest.fixture
def many(conn, add_opened):
    """Give seven opened items, the first two of them finished."""
    item_ids = add_opened(*"abcdefg")
    for item_id in item_ids[:2]:
        finish(conn, item_id)
    return item_ids


def finish(conn, item_id, stages=STAGES):
    for stage in stages:
        tracker.mark_stage_in_progress(conn, item_id, stage, stages)
        tracker.mark_stage_done(conn, item_id, stage, stages, {"made by": stage})


def carry(conn, limit=2):
    while applying.carry_over(conn, "papers", limit):
        pass


def read_rows(conn):
    sql = "SELECT item_id, stage, status, position, needs_left FROM item_stages ORDER BY item_id, stage"
    return [tuple(row) for row in conn.execute(sql)]


def test_items_come_to_a_changed_list_in_batches_and_it_is_told_how_far_that_is(conn, many):
    assert applying.begin_change(conn, "papers", MORE, "ann")
    assert applying.carry_over(conn, "papers", 3)
    change = applying.find_change(conn, "papers")
    assert (change.by, change.items, change.looked, change.reopened) == ("ann", 7, 3, 3)
    assert sum(1 for row in read_rows(conn) if row[1] == "print") == 3
    carry(conn)
    assert sum(1 for row in read_rows(conn) if row[1] == "print") == 7
    assert applying.list_changes(conn) == []
    check_now(conn)


def test_a_change_is_one_event_with_who_and_how_many_when_the_last_item_is_there(conn, many):
    applying.begin_change(conn, "papers", ["fetch", "extract", "print"], "ann")
    applying.carry_over(conn, "papers", 3)
    assert [event["kind"] for event in tracker.get_events(conn, "papers")].count("apply_plan") == 0
    carry(conn)
    (event,) = [event for event in tracker.get_events(conn, "papers") if event["kind"] == "apply_plan"]
    assert event["by"] == "ann"
    assert '"items": 7, "reopened": 7, "skipped": 5' in event["detail"]


def test_batches_come_to_the_same_as_one_transaction(conn, many):
    changed = ["look", "fetch", "print"]
    conn.execute("BEGIN")
    applying.apply_plan(conn, "papers", changed)
    at_once = read_rows(conn)
    conn.execute("ROLLBACK")
    applying.begin_change(conn, "papers", changed)
    carry(conn)
    assert read_rows(conn) == at_once


def test_a_list_that_changes_again_on_the_way_begins_anew_and_all_come_to_the_newest(conn, many):
    applying.begin_change(conn, "papers", MORE)
    applying.carry_over(conn, "papers", 4)
    assert applying.begin_change(conn, "papers", ["fetch", "extract"])
    carry(conn)
    assert find_plan(conn, "papers").names == ("fetch", "extract")
    assert {row[1] for row in read_rows(conn) if row[2] == "pending"} == {"fetch", "extract"}
    check_now(conn)


def test_an_item_opened_between_two_changes_comes_to_the_second_too(conn, many, add_items, add_opened):
    add_items("unopened")
    applying.begin_change(conn, "papers", MORE)
    applying.carry_over(conn, "papers", 4)
    add_opened("late", stages=MORE)
    applying.begin_change(conn, "papers", [*MORE, "send"])
    change = applying.find_change(conn, "papers")
    assert (change.items, change.looked) == (8, 0)
    carry(conn)
    assert sum(1 for row in read_rows(conn) if row[1] == "send") == 8


def test_an_item_opened_on_the_way_has_the_new_stages_at_once(conn, many, add_opened, stage_statuses):
    applying.begin_change(conn, "papers", MORE)
    add_opened("new")
    assert stage_statuses("new") == ["pending"] * 4
    carry(conn)
    check_now(conn)


def test_a_stage_settled_on_the_way_does_not_let_its_item_forget_the_new_one(conn, many, read_stage):
    applying.begin_change(conn, "papers", ["fetch", "clean", "extract", "store"])
    last = many[-1]
    tracker.mark_stage_in_progress(conn, last, "fetch", STAGES)
    tracker.mark_stage_done(conn, last, "fetch", STAGES, {}, attempt=1)
    carry(conn)
    assert read_stage(last, "extract")["needs_left"] == 1
    assert claims.claim(conn, last, "clean", 1, worker="w")
    check_now(conn)


def test_a_stage_that_comes_back_does_not_wait_for_what_it_was_given_to_need_and_is_done(
    conn, many, read_stage
):
    last = many[-1]
    claims.claim(conn, last, "fetch", 1, worker="w")
    applying.apply_plan(conn, "papers", ["look", *STAGES])
    claims.claim(conn, last, "look", 1, worker="v")
    settle(conn, last, "look", 1, Ending.finished("{}", None))
    settle(conn, last, "fetch", 1, Ending.released("its worker stops"))
    row = read_stage(last, "fetch")
    assert (row["status"], row["needs_left"]) == ("pending", 0)


def test_nothing_changed_is_no_change(conn, many):
    assert not applying.begin_change(conn, "papers", STAGES)
    assert not applying.carry_over(conn, "papers")
    assert applying.find_change(conn, "papers") is None


def test_a_finished_item_that_is_reopened_goes_at_backfill_priority_and_one_under_way_does_not(
    conn, many, read_stage
):
    applying.apply_plan(conn, "papers", MORE)
    assert [read_stage(item_id, "print")["backfill"] for item_id in (many[0], many[-1])] == [1, 0]


def test_the_index_of_what_is_switched_off_has_the_reason_that_the_code_gives(conn):
    sql = "SELECT sql FROM sqlite_schema WHERE name = 'idx_item_stages_switched_off'"
    assert f"'{SWITCHED_OFF}'" in conn.execute(sql).fetchone()[0]


def test_what_stages_are_made_of_is_remembered_with_the_plan_and_changes_without_one(conn):
    plan = make_plan(STAGES)
    with tracker.write(conn):
        remember_plan(conn, "papers", plan)
    known = find_plan(conn, "papers")
    assert (known, known.made_of) == (plan, {})
    made = {"fetch": "1", "extract": "2"}
    remember_made_of(conn, "papers", type(plan)(plan.names, plan.needs, plan.switched_on, made))
    assert find_plan(conn, "papers").made_of == made


LISTS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    lists=st.lists(LISTS, min_size=1, max_size=3),
    batches=st.lists(st.integers(0, 3), max_size=3),
    data=st.data(),
)
def test_whatever_is_changed_opened_and_settled_on_the_way_all_agrees_at_the_end(conn, lists, batches, data):
    conn.execute("DELETE FROM work_items")
    conn.execute("DELETE FROM job_stages")
    conn.execute("DELETE FROM stage_needs")
    tracker.upsert_items(conn, "papers", [{"key": str(number)} for number in range(5)])
    item_ids = [row[0] for row in conn.execute("SELECT item_id FROM work_items ORDER BY item_id")]
    for step, stages in enumerate(lists):
        with tracker.write(conn):
            applying.begin_change(conn, "papers", stages)
            open_items(conn, "papers", item_ids[: data.draw(st.integers(0, 5))], make_plan(stages))
        for _ in range(batches[step] if step < len(batches) else 0):
            applying.carry_over(conn, "papers", 1)
            settle_one(conn, data)
    carry(conn, 1)
    check_now(conn)


def settle_one(conn, data):
    sql = "SELECT item_id, stage, attempt FROM item_stages WHERE status = 'pending' AND needs_left = 0"
    ready = [tuple(row) for row in conn.execute(sql)]
    if ready:
        item_id, stage, attempt = data.draw(st.sampled_from(ready))
        claims.claim(conn, item_id, stage, attempt + 1, worker="w")
        ending = data.draw(st.sampled_from([Ending.finished("{}", "v"), Ending.released("x")]))
        settle(conn, item_id, stage, attempt + 1, ending)
