"""
The tracker: one SQLite file that knows every item, and the only package that speaks SQL.

Each name is imported when it is first used: a command that reads one table need not wait for all of this.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracker.connection import DB_PATH, ensure_schema, open_db, open_raw_db, open_readonly, write
    from tracker.events import get_daily_cost, get_events, log_cost, log_event
    from tracker.items import (
        get_failed,
        get_pending,
        get_pending_count,
        inject_at_stage,
        mark_done,
        mark_failed,
        mark_in_progress,
        mark_skipped,
        merge_discovery_data,
        retry_failed,
        update_item_priority,
        upsert_items,
    )
    from tracker.jobs import (
        clear_errors,
        get_all_job_paused,
        get_job_error,
        get_jobs_due_unpause,
        get_pause_reason,
        get_retry_info,
        increment_auto_unpause,
        is_job_paused,
        pause_job,
        set_job_paused,
        unpause_job,
        wake_job,
    )
    from tracker.recovery import (
        reclaim_stuck_items,
        reclaim_stuck_stages,
        reopen_items_for_new_stages,
        reprocess_fast,
        reset_in_progress_stages,
        reset_stage,
        skip_disabled_stages,
    )
    from tracker.results import (
        get_handler_version,
        get_result,
        get_results,
        get_stale_count,
        reprocess_stale,
        stage_version_hash,
        store_result,
    )
    from tracker.stages import (
        get_items_needing_stage,
        get_stage_status,
        get_stages_dict,
        mark_stage_done,
        mark_stage_failed,
        mark_stage_in_progress,
        mark_stage_retry_later,
    )
    from tracker.stats import (
        all_job_stats,
        get_job_stats,
        get_stage_pipeline_metrics,
        show_status,
        stage_stats,
        stage_timing_stats,
    )

_HOMES = {
    "tracker.connection": (
        "DB_PATH",
        "ensure_schema",
        "open_db",
        "open_raw_db",
        "open_readonly",
        "write",
    ),
    "tracker.events": (
        "get_daily_cost",
        "get_events",
        "log_cost",
        "log_event",
    ),
    "tracker.items": (
        "get_failed",
        "get_pending",
        "get_pending_count",
        "inject_at_stage",
        "mark_done",
        "mark_failed",
        "mark_in_progress",
        "mark_skipped",
        "merge_discovery_data",
        "retry_failed",
        "update_item_priority",
        "upsert_items",
    ),
    "tracker.jobs": (
        "clear_errors",
        "get_all_job_paused",
        "get_job_error",
        "get_jobs_due_unpause",
        "get_pause_reason",
        "get_retry_info",
        "increment_auto_unpause",
        "is_job_paused",
        "pause_job",
        "set_job_paused",
        "unpause_job",
        "wake_job",
    ),
    "tracker.recovery": (
        "reclaim_stuck_items",
        "reclaim_stuck_stages",
        "reopen_items_for_new_stages",
        "reprocess_fast",
        "reset_in_progress_stages",
        "reset_stage",
        "skip_disabled_stages",
    ),
    "tracker.results": (
        "get_handler_version",
        "get_result",
        "get_results",
        "get_stale_count",
        "reprocess_stale",
        "stage_version_hash",
        "store_result",
    ),
    "tracker.stages": (
        "get_items_needing_stage",
        "get_stage_status",
        "get_stages_dict",
        "mark_stage_done",
        "mark_stage_failed",
        "mark_stage_in_progress",
        "mark_stage_retry_later",
    ),
    "tracker.stats": (
        "all_job_stats",
        "get_job_stats",
        "get_stage_pipeline_metrics",
        "show_status",
        "stage_stats",
        "stage_timing_stats",
    ),
}
"""Each module, and the names of it that are ours as well; as above, which is for those who read types."""

_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module 'tracker' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


__all__ = [
    "DB_PATH",
    "all_job_stats",
    "clear_errors",
    "ensure_schema",
    "get_all_job_paused",
    "get_daily_cost",
    "get_events",
    "get_failed",
    "get_handler_version",
    "get_items_needing_stage",
    "get_job_error",
    "get_job_stats",
    "get_jobs_due_unpause",
    "get_pause_reason",
    "get_pending",
    "get_pending_count",
    "get_result",
    "get_results",
    "get_retry_info",
    "get_stage_pipeline_metrics",
    "get_stage_status",
    "get_stages_dict",
    "get_stale_count",
    "increment_auto_unpause",
    "inject_at_stage",
    "is_job_paused",
    "log_cost",
    "log_event",
    "mark_done",
    "mark_failed",
    "mark_in_progress",
    "mark_skipped",
    "mark_stage_done",
    "mark_stage_failed",
    "mark_stage_in_progress",
    "mark_stage_retry_later",
    "merge_discovery_data",
    "open_db",
    "open_raw_db",
    "open_readonly",
    "pause_job",
    "reclaim_stuck_items",
    "reclaim_stuck_stages",
    "reopen_items_for_new_stages",
    "reprocess_fast",
    "reprocess_stale",
    "reset_in_progress_stages",
    "reset_stage",
    "retry_failed",
    "set_job_paused",
    "show_status",
    "skip_disabled_stages",
    "stage_stats",
    "stage_timing_stats",
    "stage_version_hash",
    "store_result",
    "unpause_job",
    "update_item_priority",
    "upsert_items",
    "wake_job",
    "write",
]
