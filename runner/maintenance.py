"""The chores of jobs.yaml's `maintenance:`: each slot done once, by one process at a time."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC
from typing import TYPE_CHECKING, Any

import structlog

from pipeline.variables import current_environment, resolve_variables
from runner.backup import write_backup
from tracker.chores import begin_chore, fail_chore, finish_chore
from tracker.clock import now_ms, to_datetime, to_ms
from tracker.collecting import collect
from tracker.compacting import compact
from tracker.retention import forget_old

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pipeline.maintenance import MaintenanceSpec
    from runner.runtime import Runtime

log = structlog.get_logger(__name__)


def do_chores(runtime: Runtime) -> list[str]:
    """
    Do what is due, one after the other; the names of what was done, well or not.

    Of the slots that were missed while all was down, the last is made up. Another process that does chores now is
    left to it. A chore that fails is on record, and keeps none of the others from being done.
    """
    spec = runtime.jobs.maintenance
    if not spec.schedules:
        return []
    with _alone(runtime.settings.db_path) as is_ours:
        return list(_do_due(runtime, spec)) if is_ours else []


@contextmanager
def _alone(db_path: Path) -> Iterator[bool]:
    """Tell whether no other process does chores; this one does, until the end of the block. A killed one does not."""
    with db_path.with_name(f"{db_path.name}.chores").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _do_due(runtime: Runtime, spec: MaintenanceSpec) -> Iterator[str]:
    for chore, schedule in spec.schedules.items():
        slot_at = to_ms(schedule.previous_slot(to_datetime(now_ms()).astimezone(UTC)))
        taken = begin_chore(runtime.tracker, chore, slot_at)
        if taken is None:
            continue
        try:
            detail = _DOING[chore](runtime, spec)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be on record, and the next one done
            log.error("a chore failed", chore=chore, attempt=taken.attempt, error=str(error))
            fail_chore(runtime.tracker, taken, str(error))
        else:
            log.info("a chore is done", chore=chore, **detail)
            finish_chore(runtime.tracker, taken, detail)
        yield chore


def _back_up(runtime: Runtime, spec: MaintenanceSpec) -> dict[str, Any]:
    assert spec.backup is not None  # noqa: S101 - it has a schedule
    target = runtime.settings.data / resolve_variables(spec.backup.to, current_environment())
    done = write_backup(runtime.settings, target, keep=spec.backup.keep)
    return {"path": done.path, "bytes": done.bytes, "items": done.items, "missing": len(done.missing)}


def _forget(runtime: Runtime, spec: MaintenanceSpec) -> dict[str, Any]:
    assert spec.retention is not None  # noqa: S101 - it has a schedule
    return dict(forget_old(runtime.tracker, spec.retention))


def _collect(runtime: Runtime, _: MaintenanceSpec) -> dict[str, Any]:
    return asdict(collect(runtime.tracker, runtime.artifacts))


def _compact(runtime: Runtime, _: MaintenanceSpec) -> dict[str, Any]:
    return asdict(compact(runtime.settings.db_path))


_DOING: Mapping[str, Callable[[Runtime, MaintenanceSpec], dict[str, Any]]] = {
    "backup": _back_up,
    "retention": _forget,
    "artifacts": _collect,
    "compact": _compact,
}
