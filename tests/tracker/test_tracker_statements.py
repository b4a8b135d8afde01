from __future__ import annotations

import contextlib
import importlib
import pkgutil
import re

import apsw
import pytest

import tracker
from tracker.places import AtPlaces

BIG = {"work_items", "item_stages", "results", "events", "failures", "costs", "answers", "fingerprints",
       "fingerprint_bands", "results_history", "action_stages", "attempt_logs", "spent_items"}  # fmt: skip
"""The tables that grow with the items. Counters and records of jobs stay small."""

PARTIAL = {"idx_item_stages_leased", "idx_item_stages_sent", "idx_item_stages_over_budget"}
"""Indexes that hold only what is running or on its way: reading all of one is reading a runway."""

WHOLE_JOB = {
    "applying.NEWEST_ITEM": "reads one row, the last in the index's order",
    "renaming.RENAME_FAILURES": "a person renames a stage: once",
    "recovery.RESET_STAGES": "a person asks for every item of the job again",
    "item_reports.LIST_ITEMS": "stops at its LIMIT, in the index's order",
    "stages.STAGES_OF_ITEMS": "stops at its LIMIT, in the index's order",
    "lanes.OLDEST_FRESH": "reads one row, the first in the index's order",
    "item_pages.LAST_EVENT": "reads one row, the last in the index's order",
    "item_pages.LAST_ITEM": "reads one row, the last in the index's order",
    "results.LIST_RESULTS": "streamed in the index's order, for who wants them all",
    "history.LIST_PAST_OF_JOB": "streamed in the index's order, for who wants them all",
    "counters.DRIFT_OF_ITEMS": "a check-up recounts the items, in covering indexes",
    "counters.DRIFT_OF_STAGES_IN_FULL": "a full check-up recounts the stages",
    "counters.LIST_WRONG_STATUSES": "a full check-up looks at every item",
    "counters.LIST_WRONG_NEEDS": "a full check-up looks at every item",
    "dispatch.LIST_UNOPENED": "stops at its LIMIT, in the index's order",
    "stages.NEEDING_STAGE_UNOPENED": "stops at its LIMIT, in the index's order",
}
"""The statements that may walk over all the items of a job, each with its reason."""

WHOLE_FILE = {
    "recounting.COUNT_RESULTS": "a backup is recounted, in a copy that nobody else reads",
    "recounting.COUNT_STAGES_BY_STATUS": "a backup is recounted, in a copy that nobody else reads",
    "recounting.COUNT_ITEMS_BY_STATUS": "a backup is recounted, in a copy that nobody else reads",
}
"""The statements that may read all of a big table, each with its reason."""

HOT = {
    "notice_messages.HAS_DUE_MESSAGE": "notice_messages USING COVERING INDEX idx_notice_messages_due (due_at<?)",
    "exporting.NEXT_ITEMS": "work_items USING COVERING INDEX idx_work_items_job (job_id=? AND item_id>?)",
    "exporting.NEW_FINISHES": "events USING INDEX idx_events_job (job_id=? AND event_id>?)",
    "troubles.COUNT_ENDED": "item_minutes USING PRIMARY KEY (job_id=? AND minute>?)",
    "claims.LIST_CLAIMABLE": "s USING PRIMARY KEY (item_id=? AND stage=?)",
    "claims.CLAIM_STAGES.one": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "claims.CLAIM_STAGES.many": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "moves.FIND_STAGES": "s USING PRIMARY KEY (item_id=? AND stage=?)",
    "moves.SETTLE_STAGES.one": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "moves.SETTLE_STAGES.many": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "claims.RENEW_LEASE": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "dispatch.LIST_SENDABLE": "s USING PRIMARY KEY (item_id=? AND stage=?)",
    "dispatch.STAMP_STAGES.one": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "dispatch.STAMP_STAGES.many": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "dispatch.LIST_READY": "item_stages USING INDEX idx_item_stages_ready "
    "(job_id=? AND stage=? AND over_budget=? AND backfill=?)",
    "dispatch.COUNT_LOADS": "item_stages USING INDEX idx_item_stages_sent (resend_at>?)",
    "dispatch.NEWEST_STAMP": "item_stages USING INDEX idx_item_stages_sent (resend_at>?)",
    "dispatch.LIST_UNOPENED": "work_items USING INDEX idx_work_items_unopened (job_id=?)",
    "stages.NEEDING_STAGE": "s USING INDEX idx_item_stages_ready "
    "(job_id=? AND stage=? AND over_budget=? AND backfill=?)",
    "lanes.OLDEST_FRESH": "work_items USING COVERING INDEX idx_work_items_fresh (job_id=?)",
    "over_budget.LIST_MARKED": "item_stages USING COVERING INDEX idx_item_stages_over_budget "
    "(job_id=? AND stage=? AND item_id>?)",
    "spending.SPENDING": "q USING PRIMARY KEY (job_id=? AND quarter>?)",
    "spending.SPENT_ON_ITEMS": "spent_items USING INTEGER PRIMARY KEY (rowid=?)",
    "recovery.LIST_EXPIRED": "item_stages USING INDEX idx_item_stages_leased (leased_until<?)",
    "messages.HAS_LOST": "item_stages USING INDEX idx_item_stages_sent (resend_at<?)",
    "messages.TAKE_BACK_LOST": "item_stages USING INDEX idx_item_stages_sent (resend_at<?)",
    "messages.HAS_DUE": "item_stages USING INDEX idx_item_stages_parked (job_id=? AND retry_at<?)",
    "messages.WAKE_DUE": "item_stages USING INDEX idx_item_stages_parked (job_id=? AND retry_at<?)",
    "items.RETRY_FAILED_STAGES": "item_stages USING INDEX idx_item_stages_status "
    "(job_id=? AND stage=? AND status=?)",
    "items.LIST_BY_STATUS": "work_items USING INDEX idx_work_items_job_status (job_id=? AND status=?)",
    "items.LIST_IN_PROGRESS": "work_items USING INTEGER PRIMARY KEY (rowid=?)",
    "runs.LIST_REFUSED": "discovery_runs USING INDEX idx_discovery_runs_job (job_id=? AND run_id>?)",
    "runs.LIST_RUNS": "discovery_runs USING INDEX idx_discovery_runs_job (job_id=?)",
    "item_lists.LIST_BY_KEY": "work_items USING INDEX sqlite_autoindex_work_items_1 (job_id=? AND key>?)",
    "item_lists.LIST_BY_PRIORITY": "work_items USING INDEX idx_work_items_job_status "
    "(job_id=? AND status=? AND priority=? AND item_id>?)",
    "item_lists.NEXT_LOWER_PRIORITY": "work_items USING COVERING INDEX idx_work_items_job_status "
    "(job_id=? AND status=? AND priority<?)",
    "item_lists.LIST_IN_PROGRESS": "work_items USING INTEGER PRIMARY KEY (rowid=?)",
    "item_attempts.MOVES_OF_ITEM": "events USING INDEX idx_events_item (item_id=?)",
    "item_attempts.LAST_FAILURES_OF_ITEM": "failures USING PRIMARY KEY (item_id=?)",
    "item_attempts.LAST_LOGS_OF_ITEM": "attempt_logs USING INDEX sqlite_autoindex_attempt_logs_1 (item_id=?)",
    "retention.NEXT_ATTEMPT_LOGS": "attempt_logs USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    "retention.FORGET_ATTEMPT_LOGS": "attempt_logs USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    "item_story.COSTS_OF_ITEM": "costs USING INDEX idx_costs_attempt (item_id=?)",
    "item_story.EVENTS_OF_ITEM_BEFORE": "events USING INDEX idx_events_item (item_id=? AND event_id<?)",
    "item_story.VERSIONS_OF_ITEM": "results_history USING INDEX idx_results_history_stage (item_id=?)",
    "search_index.SHOW_EVENTS": "events USING INDEX idx_events_job (job_id=? AND event_id>?)",
    "search_index.LIST_READ_BACKWARDS": "work_items USING COVERING INDEX idx_work_items_job "
    "(job_id=? AND item_id<?)",
    "findings.FIND_KNOWN": "i USING INDEX sqlite_autoindex_work_items_1 (job_id=? AND key=?)",
    "findings.FIND_HELD": "h USING COVERING INDEX sqlite_autoindex_held_items_1 (job_id=? AND key=?)",
    "results.COUNT_VERSIONS": "result_versions USING PRIMARY KEY (job_id=?)",
    "results.STALE_COUNT": "result_versions USING PRIMARY KEY (job_id=? AND stage=?)",
    "cutoff.MARK_CHILDREN": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "costs.SUM_COSTS": "costs USING INDEX idx_costs_spent (spent_at>? AND spent_at<?)",
    "costs.SUM_COSTS_OF_JOB": "costs USING INDEX idx_costs_job_day (job_id=? AND spent_at>? AND spent_at<?)",
    "costs.SUM_UNITS": "c USING INDEX idx_costs_spent (spent_at>? AND spent_at<?)",
    "costs.SUM_UNITS_OF_JOB": "c USING INDEX idx_costs_job_day (job_id=? AND spent_at>? AND spent_at<?)",
    "costs.SUM_DAYS": "spent_days USING PRIMARY KEY (day>?)",
    "costs.SUM_UNITS_OF_DAYS": "spent_units USING PRIMARY KEY (day>?)",
    "event_pages.LIST_BEFORE_OF_JOB": "events USING INDEX idx_events_job (job_id=? AND event_id>? AND event_id<?)",
    "event_pages.LIST_ACTS_BEFORE": "events USING INDEX idx_events_acts (event_id>? AND event_id<?)",
    "event_pages.LIST_AFTER_OF_JOB": "events USING INDEX idx_events_job (job_id=? AND event_id>?)",
    "result_pages.LIST_PAGE": "r USING INDEX sqlite_autoindex_results_1 (item_id=?)",
    "failure_hours.READ_HOURS": "h USING PRIMARY KEY (group_id=? AND hour>?)",
    "failure_hours.PRUNE_HOURS": "failure_group_hours USING INDEX idx_failure_group_hours_hour (hour<?)",
    "gauges.FRESH_AGES": "i USING COVERING INDEX idx_work_items_fresh (job_id=? AND discovered_at>?)",
    "costs.SPENT_SINCE": "spent_quarters USING PRIMARY KEY (job_id=? AND quarter>?)",
    "doctor.READ_FLOW": "item_stages USING INDEX idx_item_stages_parked (job_id=? AND retry_at<?)",
    "explain.EXPLAIN": "item_stages USING INDEX idx_item_stages_parked (job_id=? AND retry_at>?)",
    "held.NEXT_HELD": "held_items USING INDEX idx_held_items_job (job_id=?)",
    "pauses.READ_PAUSE": "pauses USING PRIMARY KEY (scope=? AND job_id=? AND stage=? AND host=?)",
    "paused.FIND_PAUSES_OF": "pauses USING PRIMARY KEY (scope=? AND job_id=? AND stage=?)",
    "paused.READ_HOLDS": "pauses USING PRIMARY KEY (scope=? AND job_id=?)",
    "paused.FIND_HOST_PAUSE": "pauses USING PRIMARY KEY (scope=? AND job_id=? AND stage=? AND host=?)",
    "pauses.LIST_DUE_PAUSES": "pauses USING INDEX idx_pauses_until (until_at<?)",
    "breaker.FORGET_ROW": "failure_rows USING PRIMARY KEY (job_id=? AND stage=? AND host=?)",
    "probes.TAKE_BACK_PROBE": "probes USING PRIMARY KEY (item_id=? AND stage=? AND attempt=?)",
    "hosts.READ_SLOWED": "hosts USING PRIMARY KEY (host=?)",
    "hosts.NOTE_SUCCESS": "hosts USING PRIMARY KEY (host=?)",
    "hosts.FIND_ROBOTS": "robots USING PRIMARY KEY (origin=?)",
    "answers.RECALL": "answers USING INDEX sqlite_autoindex_answers_1 (key_hash=?)",
    "fingerprints.LIST_ALIKE": "b USING PRIMARY KEY (job_id=? AND stage=? AND band=? AND bits=?)",
    "fingerprints.FIND_EARLIEST": "f USING INDEX idx_fingerprints_value "
    "(job_id=? AND stage=? AND fingerprint=? AND place<?)",
    "progress.LIST_PROGRESS": "p USING INDEX idx_progress_job (job_id=?)",
    "acts.TO_PENDING": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "acts.TO_SKIPPED": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "acts.TO_CANCELLED": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "cancels.LIST_STOPPING": "item_stages USING PRIMARY KEY (item_id=?)",
    "cancels.LIFT_CANCELS": "item_stages USING PRIMARY KEY (item_id=?)",
    "bulk.REMEMBER_STAGES": "s USING PRIMARY KEY (item_id=?)",
    "followers.RECOUNT_NEEDS": "item_stages USING PRIMARY KEY (item_id=?)",
    "choosing.LIST_FAILED": "item_stages USING COVERING INDEX idx_item_stages_status "
    "(job_id=? AND stage=? AND status=? AND item_id>?)",
    "undoing.TO_ENDED_AGAIN": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "hosts.DROP_OLD_ROBOTS": "robots USING INDEX idx_robots_good_until (good_until<?)",
}
"""How the statements that run most often, or over most, must find their rows."""

IS_STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


LETS_GO = "k(4,,,,)"
"""What an attempt that kept artifacts lets go of at its end: the one table that a trigger may build."""


def list_statements():
    """List every statement of the tracker as (name, SQL)."""
    modules = [
        importlib.import_module(f"tracker.{module.name}") for module in pkgutil.iter_modules(tracker.__path__)
    ]
    found = {}
    for module in modules:
        within = f"{module.__name__.removeprefix('tracker.')}."
        for name, value in vars(module).items():
            if isinstance(value, AtPlaces):
                found.setdefault(value.one, f"{within}{name}.one")
                found.setdefault(value.many, f"{within}{name}.many")
            elif name.isupper() and isinstance(value, str) and IS_STATEMENT.match(value):
                found.setdefault(value, within + name)
    return {name: sql for sql, name in found.items()}


STATEMENTS = list_statements()


def explain(conn, sql):
    bare = re.sub(r"'[^']*'|--[^\n]*", "", sql)
    bindings = dict.fromkeys(re.findall(r":(\w+)", bare))
    return [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)]


def tables_by_alias(sql):
    """Map the names by which a statement calls its tables to the tables."""
    named = re.findall(
        r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)(?:\s+(?!INDEXED|SET|WHERE|ON|GROUP|ORDER)(\w+))?", sql
    )
    return {alias or table: table for table, alias in named}


def find_walks(conn, sql):
    """Find the steps of a plan that read a big table whole, or all that a job has in it."""
    tables = tables_by_alias(sql)
    walks = []
    for step in explain(conn, sql):
        found = re.match(
            r"(SCAN|SEARCH) (\w+)(?: EXISTS)?(?: USING (?:COVERING )?INDEX (\w+)(?: (\(.*\)))?)?", step
        )
        if not found or tables.get(found[2], found[2]) not in BIG or found[3] in PARTIAL:
            continue
        if found[1] == "SCAN" or found[4] == "(job_id=?)":
            walks.append(step)
    return walks


def test_the_statements_were_found():
    assert len(STATEMENTS) > 100
    assert HOT.keys() | WHOLE_JOB.keys() | WHOLE_FILE.keys() <= STATEMENTS.keys()


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_compiles_and_reads_no_more_than_it_must(conn, name):
    walks = find_walks(conn, STATEMENTS[name])
    if name in WHOLE_FILE:
        assert [step for step in walks if step.startswith("SCAN")], f"{name} scans no longer: strike it"
    elif name in WHOLE_JOB:
        assert walks, f"{name} walks no longer: strike it from the list"
        assert not [step for step in walks if step.startswith("SCAN")], walks
    else:
        assert walks == []


@pytest.mark.parametrize("name", sorted(HOT))
def test_a_hot_statement_finds_its_rows_by_the_index_made_for_it(conn, name):
    assert f"SEARCH {HOT[name]}" in explain(conn, STATEMENTS[name])


def test_a_claim_looks_for_pauses_by_their_key_only(conn):
    steps = [step for step in explain(conn, STATEMENTS["claims.LIST_CLAIMABLE"]) if " p " in step]
    whole_key = "SEARCH p USING PRIMARY KEY (scope=? AND job_id=? AND stage=? AND host=?)"
    assert [step.replace(" EXISTS", "") for step in steps] == [whole_key] * 4


def list_tables_built(conn, sql, *, only_by_triggers=False):
    """List the columns of each temporary table that a statement may build: its triggers do so for each row."""
    steps = conn.execute(f"EXPLAIN {sql}", dict.fromkeys(re.findall(r":(\w+)", sql))).fetchall()
    first_trigger = next(number for number, step in enumerate(steps) if number and step["addr"] == 0)
    of_interest = steps[first_trigger:] if only_by_triggers else steps
    return [step["p4"] for step in of_interest if step["opcode"] == "OpenEphemeral"]


@pytest.mark.parametrize("name", ["claims.CLAIM_STAGES.many", "moves.SETTLE_STAGES.many", "dispatch.STAMP_STAGES.many",
                                  "followers.RECOUNT_STAGES.many", "acts.TO_PENDING"])  # fmt: skip
def test_the_triggers_of_a_move_build_no_tables(conn, name):
    # as a list of three values or more is one, built anew for each row
    assert set(list_tables_built(conn, STATEMENTS[name], only_by_triggers=True)) <= {LETS_GO}


@pytest.mark.parametrize("name", ["claims.CLAIM_STAGES.one", "moves.SETTLE_STAGES.one", "dispatch.STAMP_STAGES.one",
                                  "followers.RECOUNT_STAGES.one"])  # fmt: skip
def test_the_move_of_one_stage_builds_no_table(conn, name):
    assert set(list_tables_built(conn, STATEMENTS[name])) <= {LETS_GO}


@pytest.mark.parametrize("name", sorted(name for name, sql in STATEMENTS.items() if "pragma_" not in sql))
def test_a_statement_is_planned_once_whatever_its_values(conn, name):
    sql = STATEMENTS[name]
    bindings = dict.fromkeys(re.findall(r":(\w+)", re.sub(r"'[^']*'|--[^\n]*", "", sql)), 1)
    planned = []

    def note(*_):
        planned.append(name)
        return apsw.SQLITE_OK

    conn.set_authorizer(note)
    with contextlib.suppress(apsw.ConstraintError):
        conn.execute(sql, bindings).fetchall()
    assert planned
    planned.clear()
    with contextlib.suppress(apsw.ConstraintError):
        conn.execute(sql, bindings).fetchall()
    assert planned == []


@pytest.mark.parametrize("name", ["dispatch.LIST_READY", "dispatch.LIST_UNOPENED", "items.LIST_BY_STATUS",
                                  "item_reports.LIST_ITEMS", "stages.NEEDING_STAGE"])  # fmt: skip
def test_a_list_that_stops_at_its_limit_sorts_nothing_first(conn, name):
    assert "USE TEMP B-TREE FOR ORDER BY" not in explain(conn, STATEMENTS[name])


def test_a_statement_that_walks_over_a_big_table_would_be_seen(conn):
    assert find_walks(conn, "SELECT * FROM item_stages WHERE reason = :reason")
    assert find_walks(conn, "SELECT i.key FROM work_items i WHERE i.job_id = :job_id AND i.data = :data")
    assert find_walks(conn, "DELETE FROM events WHERE at < :before")


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_is_upper_case_and_never_built_from_pieces(name):
    words = re.findall(r"\b(?:select|from|where|update|set|insert|delete|join)\b", STATEMENTS[name])
    assert words == []
    assert "{" not in STATEMENTS[name]
    assert "?" not in STATEMENTS[name]
