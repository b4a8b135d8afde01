from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tracker

VOCABULARY = {
    "connection": """
        open_db open_raw_db open_readonly DB_PATH ensure_schema write
    """,
    "items": """
        upsert_items merge_discovery_data get_pending get_failed get_pending_count mark_in_progress
        mark_done mark_failed mark_skipped retry_failed inject_at_stage update_item_priority
    """,
    "stages": """
        mark_stage_in_progress mark_stage_done mark_stage_failed mark_stage_retry_later
        get_items_needing_stage get_stage_status get_stages_dict
    """,
    "recovery": """
        reset_in_progress_stages reclaim_stuck_items reclaim_stuck_stages
        reopen_items_for_new_stages skip_disabled_stages reset_stage reprocess_fast
    """,
    "jobs": """
        set_job_paused is_job_paused get_pause_reason get_retry_info get_all_job_paused
        get_jobs_due_unpause increment_auto_unpause pause_job unpause_job wake_job clear_errors
        get_job_error
    """,
    "stats": """
        get_job_stats all_job_stats stage_stats stage_timing_stats get_stage_pipeline_metrics
        show_status
    """,
    "events": """
        log_event get_events log_cost get_daily_cost
    """,
    "results": """
        store_result get_result get_results get_handler_version stage_version_hash get_stale_count
        reprocess_stale
    """,
}
"""The names that users of the job runner before Celeriac know, by the module of their concern."""

NAMES = [(module, name) for module, names in VOCABULARY.items() for name in names.split()]


def names_used_in_tests():
    """List the attributes of `tracker` that some test function uses."""
    used = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "tracker"
            ):
                used.add(node.attr)
    return used


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[name for _, name in NAMES])
def test_a_known_name_imports_from_tracker_and_lives_where_it_belongs(module, name):
    found = getattr(tracker, name)
    assert name.isupper() or found.__module__ == f"tracker.{module}"
    assert found is getattr(getattr(tracker, module), name)


def test_the_tracker_offers_just_the_known_names():
    assert sorted(tracker.__all__) == sorted(name for _, name in NAMES)


def test_every_known_name_is_used_by_a_test():
    # DB_PATH is used inside of a process of its own
    assert {name for _, name in NAMES} - names_used_in_tests() == {"DB_PATH"}


@pytest.mark.parametrize("thing", ["work_items", "item_stages", "results", "events", "item_derived_status",
                                   "idx_item_stages_item_status"])  # fmt: skip
def test_a_known_table_view_or_index_is_there(conn, thing):
    assert conn.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (thing,)).fetchone()


def test_the_derived_status_has_its_known_columns(conn):
    columns = conn.execute("SELECT name FROM pragma_table_info('item_derived_status')").fetchall()
    assert columns == [("item_id",), ("job_id",), ("derived_status",)]


def test_what_a_reader_of_types_sees_is_what_is_imported():
    tree = ast.parse(Path(tracker.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {
        node.module: tuple(alias.name for alias in node.names)
        for node in imports
        if node.module.startswith("tracker.")
    }
    assert seen == tracker._HOMES
    assert sorted(tracker._MODULES) == tracker.__all__
