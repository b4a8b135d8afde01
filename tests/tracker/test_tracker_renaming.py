"""A stage that gets another name keeps all that is on record of it."""

from __future__ import annotations

import pytest
from tracker_life import check_now

import tracker
from pipeline.errors import NotFoundError, OperatorError
from tracker import actions, claims, pauses
from tracker.clock import now_ms
from tracker.costs import list_costs
from tracker.endings import Ending, Failure
from tracker.host_waits import keep_wait
from tracker.moves import settle
from tracker.pauses import Target
from tracker.renaming import RENAMES, carry_history, list_renames, rename_stage

STAGES = ["fetch", "extract", "store"]
HISTORY = {"events", "costs"}
OWN = {"stage_renames"}


def rename(conn, old="fetch", new="get", by="ann"):
    renamed = rename_stage(conn, "papers", old, new, by)
    while carry_history(conn, renamed, 3):
        pass
    return renamed


def list_stage_tables(conn):
    """List the tables with a column that names a stage."""
    sql = """SELECT DISTINCT t.name
               FROM sqlite_schema t
               JOIN pragma_table_info(t.name) c
              WHERE t.type = 'table' AND c.name IN ('stage', 'need')"""
    return {row[0] for row in conn.execute(sql)}


@pytest.fixture
def worked(conn, add_opened):
    """Give items in every state of `fetch` but running, with results, failures, costs and events."""
    done, failed, waiting, parked = add_opened("done", "failed", "waiting", "parked")
    claims.claim(conn, done, "fetch", 1, worker="w")
    tracker.log_cost(conn, "papers", 0.25, "shop", item_id=done, stage="fetch", attempt=1)
    settle(conn, done, "fetch", 1, Ending.finished('{"text": 1}', "v1"))
    claims.claim(conn, failed, "fetch", 1, worker="w")
    settle(conn, failed, "fetch", 1, Ending.failed(Failure.named("ValueError", "broken")))
    tracker.mark_stage_in_progress(conn, parked, "fetch", STAGES)
    tracker.mark_stage_retry_later(conn, parked, "fetch", STAGES, delay=3600)
    return done, failed, waiting, parked


def test_every_table_that_names_a_stage_is_renamed(conn):
    assert list_stage_tables(conn) == RENAMES.keys() | HISTORY | OWN


@pytest.mark.parametrize("table", sorted(RENAMES))
def test_a_renaming_statement_is_about_its_table(table):
    assert RENAMES[table].split()[:2] == ["UPDATE", table]


def test_nothing_on_record_has_the_old_name_afterwards(conn, worked):
    rename(conn)
    for table in list_stage_tables(conn) - OWN:
        rows = conn.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - our own names
        assert [tuple(row) for row in rows if "fetch" in tuple(row)] == [], table
    check_now(conn)


def test_results_failures_costs_and_times_are_there_under_the_new_name(conn, worked):
    counts, timings = tracker.stage_stats(conn, "papers")["fetch"], tracker.stage_timing_stats(conn, "papers")
    rename(conn)
    assert tracker.get_result(conn, "papers", "done", "get") == {"text": 1}
    assert tracker.stage_stats(conn, "papers")["get"] == counts
    assert tracker.stage_timing_stats(conn, "papers") == {"get": timings["fetch"]}
    assert conn.execute("SELECT stage, usd FROM costs").fetchall() == [("get", 0.25)]
    assert conn.execute("SELECT stage FROM v_failures WHERE key = 'failed'").fetchall() == [("get",)]
    assert conn.execute("SELECT need, stage FROM stage_needs ORDER BY 2").fetchall() == [
        ("get", "extract"),
        ("extract", "store"),
    ]


def test_items_go_on_under_the_new_name(conn, worked, stage_statuses):
    waiting = worked[2]
    rename(conn)
    assert claims.claim(conn, waiting, "get", 1, worker="w")
    settle(conn, waiting, "get", 1, Ending.finished("{}", "v1"))
    assert claims.claim(conn, waiting, "extract", 1, worker="w")
    assert stage_statuses("waiting") == ["done", "in_progress", "pending"]
    check_now(conn)


def test_another_job_with_a_stage_of_that_name_is_left_alone(conn, worked, add_opened):
    add_opened("other", job_id="talks")
    rename(conn)
    assert tracker.get_stages_dict(conn, "talks") == {"other": dict.fromkeys(STAGES, "pending")}


def test_what_another_jobs_stage_of_that_name_waits_for_is_left_alone(conn, worked, add_opened):
    (other,) = add_opened("other", job_id="talks")
    with tracker.write(conn):
        for item_id in (worked[-1], other):
            keep_wait(conn, "example.org", item_id, "fetch", 10**15)
    rename(conn)
    waits = conn.execute("SELECT item_id, stage FROM host_waits").fetchall()
    assert sorted(tuple(row) for row in waits) == [(worked[-1], "get"), (other, "fetch")]


def test_it_is_one_event_with_who_and_how_many(conn, worked):
    renamed = rename(conn)
    (event,) = [event for event in tracker.get_events(conn, "papers") if event["kind"] == "rename_stage"]
    assert (event["by"], event["stage"], event["detail"]) == ("ann", "get", '{"was": "fetch", "items": 4}')
    assert renamed.items == 4


def test_a_message_on_its_way_is_taken_back(conn, worked, read_stage):
    conn.execute(
        "UPDATE item_stages SET queued_at = 1, resend_at = 2 WHERE item_id = ? AND stage = 'fetch'",
        (worked[2],),
    )
    rename(conn)
    row = read_stage(worked[2], "get")
    assert (row["queued_at"], row["resend_at"]) == (None, None)
    assert claims.claim(conn, worked[2], "fetch", 1, worker="w") is None
    check_now(conn)


def test_it_is_refused_while_attempts_run_and_changes_nothing(conn, worked):
    claims.claim(conn, worked[2], "fetch", 1, worker="w")
    with pytest.raises(OperatorError, match=r"attempts of papers\.fetch run \(1\): celeriac pause papers"):
        rename(conn)
    assert "get" not in tracker.stage_stats(conn, "papers")
    assert list_renames(conn) == []


@pytest.mark.parametrize(("old", "new", "error", "says"), [
    ("fetsh", "get", NotFoundError, "did you mean 'fetch'"),
    ("fetch", "extract", OperatorError, "has a stage 'extract' already"),
])  # fmt: skip
def test_a_stage_that_is_not_there_or_a_name_that_is_taken_is_refused(conn, worked, old, new, error, says):
    with pytest.raises(error, match=says):
        rename(conn, old, new)


def test_a_rename_killed_before_the_history_was_through_is_gone_on_with(conn, worked):
    renamed = rename_stage(conn, "papers", "fetch", "get")
    assert carry_history(conn, renamed, 2)
    assert {row[0] for row in conn.execute("SELECT stage FROM events WHERE stage IS NOT NULL")} == {
        "fetch",
        "get",
    }
    with pytest.raises(OperatorError, match="not through yet"):
        rename_stage(conn, "papers", "get", "load")
    (left,) = list_renames(conn)
    while carry_history(conn, left, 2):
        pass
    assert "fetch" not in {row[0] for row in conn.execute("SELECT stage FROM events")}
    assert list_renames(conn) == []


def test_many_costs_are_renamed_though_there_are_few_events(conn, worked):
    for _ in range(20):
        tracker.log_cost(conn, "papers", 0.25, "shop", item_id=worked[0], stage="fetch", attempt=1)
    conn.execute("DELETE FROM events WHERE event_id < (SELECT max(event_id) FROM events)")
    rename(conn)
    assert {row[0] for row in conn.execute("SELECT stage FROM costs")} == {"get"}
    assert list_renames(conn) == []


def test_what_is_spent_later_under_the_former_name_is_of_another_stage(conn, worked):
    renamed = rename_stage(conn, "papers", "fetch", "get")
    tracker.log_cost(conn, "papers", 0.5, "shop", item_id=worked[0], stage="fetch", attempt=1)
    while carry_history(conn, renamed, 1000):
        pass
    costs = conn.execute("SELECT stage, usd FROM costs ORDER BY cost_id").fetchall()
    assert [tuple(row) for row in costs] == [("get", 0.25), ("fetch", 0.5)]


def test_a_name_that_was_used_before_and_has_no_items_left_is_free(conn, worked):
    conn.execute("INSERT INTO stage_counts (job_id, stage) VALUES ('papers', 'get')")
    rename(conn)
    rename(conn, "get", "fetch")
    assert tracker.stage_stats(conn, "papers")["fetch"]["done"] == 1
    check_now(conn)


@pytest.mark.parametrize(
    ("old_until", "new_until", "kept"),
    [(None, None, "fetch"), (None, 9, "fetch"), (9, None, "get"), (8, 9, "get"), (9, 8, "fetch")],
)
def test_of_a_pause_under_each_name_the_longer_one_is_kept(conn, worked, old_until, new_until, kept):
    for stage, until in (("fetch", old_until), ("get", new_until)):
        ends_at = until and now_ms() + until * 3_600_000
        pauses.pause(conn, Target.of_stage("papers", stage), stage, ends_at, "ann")
    rename(conn)
    assert [(each.stage, each.reason) for each in pauses.list_pauses(conn)] == [("get", kept)]


@pytest.mark.parametrize("job_id", ["papers", None])
def test_it_is_refused_while_somebodys_action_is_not_through(conn, worked, job_id):
    how = {"by": "filter", "text": "stage:fetch status:failed"}
    actions.begin(conn, "retry", job_id, None, how, by="bob", total=1)
    with pytest.raises(OperatorError, match="not through yet"):
        rename(conn)
    with pytest.raises(OperatorError, match="not through yet"):
        rename(conn)


def test_what_was_spent_late_under_the_name_that_it_gets_back_is_added_up(conn, worked):
    rename(conn)
    tracker.log_cost(conn, "papers", 1.0, "shop", item_id=worked[2], stage="get", attempt=1, units={"n": 3})
    # an attempt that was overtaken says it under the name by which it began
    tracker.log_cost(conn, "papers", 0.5, "shop", item_id=worked[1], stage="fetch", attempt=1, units={"n": 4})
    rename(conn, "get", "fetch")
    (of_stage,) = list_costs(conn, "papers", "stage")
    assert (of_stage.stage, of_stage.usd, of_stage.costs, of_stage.units) == ("fetch", 1.75, 3, {"n": 7})
    counted = conn.execute("SELECT stage, attempts, usd, unknown FROM stage_costs").fetchall()
    assert counted == [("fetch", 3, 1.75, 0)]
    assert {row[0] for row in conn.execute("SELECT stage FROM costs")} == {"fetch"}
    check_now(conn)
