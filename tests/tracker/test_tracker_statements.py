from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import tracker

BIG = {"work_items", "item_stages", "results", "events", "failures", "costs", "answers", "fingerprints",
       "fingerprint_bands"}  # fmt: skip
"""The tables that grow with the items. Counters and records of jobs stay small."""

PARTIAL = {"idx_item_stages_leased", "idx_item_stages_sent"}
"""Indexes that hold only what is running or on its way: reading all of one is reading a runway."""

WHOLE_JOB = {
    "recovery.ADD_STAGES": "once for each change of a job's stages: every opened item gets the new ones",
    "recovery.SWITCH_ON": "once for each change of a job's stages",
    "recovery.SWITCH_OFF": "once for each change of a job's stages",
    "recovery.RECOUNT_JOB": "once for each change of a job's stages",
    "recovery.RESET_STAGES": "a person asks for every item of the job again",
    "reports.LIST_ITEMS": "stops at its LIMIT, in the index's order",
    "stages.STAGES_OF_ITEMS": "stops at its LIMIT, in the index's order",
    "item_pages.LAST_EVENT": "reads one row, the last in the index's order",
    "item_pages.LAST_ITEM": "reads one row, the last in the index's order",
    "results.COUNT_VERSIONS": "a person asks what is stale: one pass over the index, without the results",
    "results.LIST_RESULTS": "streamed in the index's order, for who wants them all",
    "dispatch.LIST_UNOPENED": "stops at its LIMIT, in the index's order",
    "stages.NEEDING_STAGE_UNOPENED": "stops at its LIMIT, in the index's order",
}
"""The statements that may walk over all the items of a job, each with its reason."""

HOT = {
    "claims.CLAIM_STAGE": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "moves.SETTLE_STAGE": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "claims.RENEW_LEASE": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "dispatch.STAMP_STAGE": "item_stages USING PRIMARY KEY (item_id=? AND stage=?)",
    "dispatch.LIST_READY": "item_stages USING INDEX idx_item_stages_ready (job_id=? AND stage=?)",
    "dispatch.LIST_UNOPENED": "work_items USING INDEX idx_work_items_unopened (job_id=?)",
    "stages.NEEDING_STAGE": "s USING INDEX idx_item_stages_ready (job_id=? AND stage=?)",
    "recovery.LIST_EXPIRED": "item_stages USING INDEX idx_item_stages_leased (leased_until<?)",
    "messages.HAS_LOST": "item_stages USING INDEX idx_item_stages_sent (resend_at<?)",
    "messages.TAKE_BACK_LOST": "item_stages USING INDEX idx_item_stages_sent (resend_at<?)",
    "messages.HAS_DUE": "item_stages USING INDEX idx_item_stages_parked (job_id=? AND retry_at<?)",
    "messages.WAKE_DUE": "item_stages USING INDEX idx_item_stages_parked (job_id=? AND retry_at<?)",
    "items.RETRY_FAILED_STAGES": "item_stages USING INDEX idx_item_stages_ended "
    "(job_id=? AND stage=? AND status=?)",
    "items.LIST_BY_STATUS": "work_items USING INDEX idx_work_items_job_status (job_id=? AND status=?)",
    "runs.LIST_RUNS": "discovery_runs USING INDEX idx_discovery_runs_job (job_id=?)",
    "findings.FIND_KNOWN": "i USING INDEX sqlite_autoindex_work_items_1 (job_id=? AND key=?)",
    "findings.FIND_HELD": "h USING COVERING INDEX sqlite_autoindex_held_items_1 (job_id=? AND key=?)",
    "costs.SUM_COSTS": "costs USING INDEX idx_costs_spent (spent_at>?)",
    "costs.SUM_COSTS_OF_JOB": "costs USING INDEX idx_costs_job_day (job_id=? AND spent_at>?)",
    "costs.SUM_UNITS": "c USING INDEX idx_costs_spent (spent_at>?)",
    "costs.SUM_UNITS_OF_JOB": "c USING INDEX idx_costs_job_day (job_id=? AND spent_at>?)",
    "held.NEXT_HELD": "held_items USING INDEX idx_held_items_job (job_id=?)",
    "hosts.READ_SLOWED": "hosts USING PRIMARY KEY (host=?)",
    "hosts.NOTE_SUCCESS": "hosts USING PRIMARY KEY (host=?)",
    "hosts.FIND_ROBOTS": "robots USING PRIMARY KEY (origin=?)",
    "answers.RECALL": "answers USING INDEX sqlite_autoindex_answers_1 (key_hash=?)",
    "fingerprints.LIST_ALIKE": "b USING PRIMARY KEY (job_id=? AND stage=? AND band=? AND bits=?)",
    "fingerprints.FIND_EARLIEST": "f USING INDEX idx_fingerprints_value "
    "(job_id=? AND stage=? AND fingerprint=? AND place<?)",
    "progress.LIST_PROGRESS": "p USING INDEX idx_progress_job (job_id=?)",
    "hosts.DROP_OLD_ROBOTS": "robots USING INDEX idx_robots_good_until (good_until<?)",
}
"""How the statements that run most often, or over most, must find their rows."""

IS_STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


def list_statements():
    """List every statement of the tracker as (name, SQL)."""
    modules = [
        importlib.import_module(f"tracker.{module.name}") for module in pkgutil.iter_modules(tracker.__path__)
    ]
    found = {}
    for module in modules:
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, str) and IS_STATEMENT.match(value):
                found.setdefault(value, f"{module.__name__.removeprefix('tracker.')}.{name}")
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
    assert HOT.keys() | WHOLE_JOB.keys() <= STATEMENTS.keys()


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_compiles_and_reads_no_more_than_it_must(conn, name):
    walks = find_walks(conn, STATEMENTS[name])
    if name in WHOLE_JOB:
        assert walks, f"{name} walks no longer: strike it from the list"
        assert not [step for step in walks if step.startswith("SCAN")], walks
    else:
        assert walks == []


@pytest.mark.parametrize("name", sorted(HOT))
def test_a_hot_statement_finds_its_rows_by_the_index_made_for_it(conn, name):
    assert f"SEARCH {HOT[name]}" in explain(conn, STATEMENTS[name])


@pytest.mark.parametrize("name", ["dispatch.LIST_READY", "dispatch.LIST_UNOPENED", "items.LIST_BY_STATUS",
                                  "reports.LIST_ITEMS", "stages.NEEDING_STAGE"])  # fmt: skip
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
