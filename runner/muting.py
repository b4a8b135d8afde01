"""Mute groups of failures, and show them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.operate import Acted
from tracker import failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.filters import Filter
    from runner.runtime import Runtime


def find_groups(runtime: Runtime, ids: Sequence[str], wanted: Filter | None) -> list[failures.FailureGroup]:
    """Find groups by their ids, and all those that a filter selects. Raises `NotFoundError`."""
    conn = runtime.tracker
    found = {group.id: group for group in (failures.get_group(conn, name) for name in ids)}
    if wanted is not None:
        listed = failures.list_groups(conn, wanted, with_all=True, limit=-1)
        found |= {group.id: group for group in listed.groups}
    return list(found.values())


def mute(runtime: Runtime, groups: Sequence[failures.FailureGroup], by: str) -> Acted:
    """Mute groups; `items` counts those that were not muted yet. One event, if there are any."""
    muted = failures.mute_groups(runtime.tracker, [group.id for group in groups], by)
    return Acted("mute", _name_job(groups), muted)


def unmute(runtime: Runtime, groups: Sequence[failures.FailureGroup], by: str) -> Acted:
    """Show groups again; `items` counts those that were muted. One event, if there are any."""
    shown = failures.unmute_groups(runtime.tracker, [group.id for group in groups], by)
    return Acted("unmute", _name_job(groups), shown)


def _name_job(groups: Sequence[failures.FailureGroup]) -> str:
    return ", ".join(sorted({group.job for group in groups}))
