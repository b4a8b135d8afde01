"""Each promise that the chaos run checks is able to break: a file in which it does is found."""

from __future__ import annotations

import json

import pytest

import tracker
from tests.chaos.aftermath import (
    Spending,
    costs_add_up_with_what_was_spent,
    every_item_ended_as_it_must,
    every_result_is_of_the_attempt_that_made_it,
    nobody_dies_once_all_is_healed,
    nobody_saw_a_locked_database,
    read_ledger,
)
from tests.chaos.promises import (
    AT_EVERY_MOMENT,
    AT_REST,
    attempts_are_numbered_without_gap_or_return,
    each_stage_has_one_result_that_counts,
    every_counter_equals_a_recount,
    every_move_is_legal_and_has_its_event,
    list_broken,
    nothing_is_under_way,
    tell_history,
    the_file_is_sound,
    what_has_ended_holds_nothing,
    what_is_derived_equals_what_it_is_derived_from,
)
from tests.chaos.workload import Edit, list_keys, must_end
from tracker.plan import make_plan, open_items

STAGES = ["ask", "keep"]


@pytest.fixture
def conn(tmp_path):
    """Give a tracker with one item that went through both of its stages."""
    with tracker.open_db(tmp_path / "tracker.db") as conn:
        tracker.upsert_items(conn, "paid", [{"key": "paid-00000"}])
        with tracker.write(conn):
            open_items(conn, "paid", [1], make_plan(STAGES))
        for stage in STAGES:
            tracker.mark_stage_in_progress(conn, 1, stage, STAGES)
            tracker.log_cost(conn, "paid", 0.5, "chaos", item_id=1, stage=stage, attempt=1)
            tracker.mark_stage_done(conn, 1, stage, STAGES)
            tracker.store_result(conn, "paid", "paid-00000", stage, {"stage": stage})
        yield conn


def test_a_life_without_mishap_breaks_no_promise(conn):
    assert list_broken(conn, AT_REST) == []


def test_what_runs_breaks_no_promise_but_the_last(conn):
    tracker.reset_stage(conn, "paid", "ask")
    tracker.mark_stage_in_progress(conn, 1, "ask", STAGES)
    assert list_broken(conn, AT_EVERY_MOMENT) == []
    assert {one.promise for one in list_broken(conn, AT_REST)} == {"nothing_is_under_way"}


FAULTS = [
    (every_move_is_legal_and_has_its_event, "DELETE FROM events WHERE kind = 'finish' AND stage = 'keep'"),
    (
        every_move_is_legal_and_has_its_event,
        "INSERT INTO events (at, item_id, stage, attempt, kind) VALUES (1, 1, 'keep', 1, 'finish')",
    ),
    (
        attempts_are_numbered_without_gap_or_return,
        "UPDATE events SET attempt = 3 WHERE kind = 'claim' AND stage = 'ask'",
    ),
    (attempts_are_numbered_without_gap_or_return, "UPDATE item_stages SET attempt = 2 WHERE stage = 'ask'"),
    (each_stage_has_one_result_that_counts, "DELETE FROM results WHERE stage = 'ask'"),
    (each_stage_has_one_result_that_counts, "UPDATE results SET attempt = 7 WHERE stage = 'ask'"),
    (
        each_stage_has_one_result_that_counts,
        "INSERT INTO events (at, item_id, stage, attempt, kind) VALUES (1, 1, 'keep', 1, 'finish')",
    ),
    (
        what_has_ended_holds_nothing,
        "INSERT INTO reservations (item_id, stage, attempt, job_id, usd) VALUES (1, 'ask', 1, 'paid', 0.1)",
    ),
    (every_counter_equals_a_recount, "UPDATE stage_counts SET queued = queued + 1 WHERE stage = 'ask'"),
    (every_counter_equals_a_recount, "UPDATE item_counts SET done = done - 1"),
    (every_counter_equals_a_recount, "UPDATE spent_totals SET usd = usd + 1"),
    (what_is_derived_equals_what_it_is_derived_from, "UPDATE work_items SET status = 'pending'"),
    (nothing_is_under_way, "UPDATE work_items SET opened_at = NULL"),
]


@pytest.mark.parametrize(("promise", "fault"), FAULTS)
def test_a_fault_is_found(conn, promise, fault):
    conn.execute(fault)
    assert list(promise(conn))


def test_a_file_that_is_not_sound_is_found(conn):
    conn.execute("PRAGMA foreign_keys = OFF")
    conn.execute("DELETE FROM work_items")
    assert list(the_file_is_sound(conn))


def test_a_history_tells_the_events_of_the_stage_that_is_concerned(conn):
    conn.execute("DELETE FROM results WHERE stage = 'ask'")
    (broken,) = each_stage_has_one_result_that_counts(conn)
    assert [line.split()[3] for line in tell_history(conn, broken).splitlines()] == ["claim", "finish"]


# -- what the workload promises ---------------------------------------------------------------------------

ATTEMPT = ("paid", "paid-00000", "keep", 1)
BOTH = {("paid", "paid-00000", "ask", 1): Spending([0.5], saw_all_recorded=True)}


@pytest.mark.parametrize("spent", [[0.5], [0.5, 0.7]])
def test_a_killed_attempt_may_owe_the_last_thing_that_it_spent(conn, spent):
    assert list(costs_add_up_with_what_was_spent(conn, BOTH | {ATTEMPT: Spending(spent)})) == []


@pytest.mark.parametrize(
    "spending",
    [
        Spending([0.5, 0.7], saw_all_recorded=True),
        Spending([0.5, 0.7, 0.9]),
        Spending([0.6]),
        Spending([]),
    ],
)
def test_costs_that_do_not_add_up_are_found(conn, spending):
    assert list(costs_add_up_with_what_was_spent(conn, BOTH | {ATTEMPT: spending}))


def test_a_cost_that_was_not_spent_is_found(conn):
    assert list(costs_add_up_with_what_was_spent(conn, dict(BOTH)))


def test_the_ledger_is_read_in_its_order(tmp_path):
    lines = [[*ATTEMPT, "spent", 0.5], [*ATTEMPT, "spent", 0.7], [*ATTEMPT, "recorded", None]]
    (tmp_path / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_ledger(tmp_path / "ledger.jsonl") == {ATTEMPT: Spending([0.5, 0.7], saw_all_recorded=True)}


def test_an_item_that_was_not_found_or_ended_otherwise_is_found(conn):
    whats = [broken.what for broken in every_item_ended_as_it_must(conn, 1)]
    assert "swift-00000 of swift was not found, or not asked for" in whats
    assert not any("paid" in what for what in whats)
    tracker.reset_stage(conn, "paid", "keep")
    assert "keep of paid-00000 is pending" in [one.what for one in every_item_ended_as_it_must(conn, 1)]


def test_a_result_under_the_number_of_another_attempt_is_found(conn):
    conn.execute("""UPDATE results SET result = '{"key": "paid-00000", "attempt": 1}'""")
    assert list(every_result_is_of_the_attempt_that_made_it(conn)) == []
    conn.execute("UPDATE results SET attempt = 2 WHERE stage = 'ask'")
    assert [one.stage for one in every_result_is_of_the_attempt_that_made_it(conn)] == ["ask"]


def test_a_lease_that_ran_out_when_all_was_well_is_found(conn):
    conn.execute("INSERT INTO events (at, item_id, stage, attempt, kind) VALUES (1, 1, 'ask', 1, 'expire')")
    assert len(list(nobody_dies_once_all_is_healed(conn, 0))) == 1
    assert list(nobody_dies_once_all_is_healed(conn, 1000)) == []


def test_a_word_of_a_locked_database_is_found_in_any_log(tmp_path):
    (tmp_path / "worker-0.log").write_text("all is well\napsw.BusyError: database is locked\n")
    assert [one.what for one in nobody_saw_a_locked_database(tmp_path)] == [
        "worker-0.log: apsw.BusyError: database is locked"
    ]


def test_the_workload_is_a_jobs_file_that_names_the_stages_that_must_end(tmp_path):
    from pipeline.jobs_file import load_jobs_file

    (tmp_path / "jobs.yaml").write_text(Edit().text())
    jobs = load_jobs_file(tmp_path / "jobs.yaml").jobs
    for job, key in list_keys(1):
        assert [stage.name for stage in jobs[job].stages] == list(must_end(job, key))
