"""The check-up: each check in a table, with what mends what it finds; and the one event of a repair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import BrokerUnavailableError
from runner import house_checks, keeping_checks, tracker_checks
from runner.dispatch import dispatch_job
from runner.patient import Finding, Health, Patient
from tracker import counters, doctor, messages, recovery
from tracker.checkpoints import empty_log
from tracker.collecting import collect
from tracker.events import log_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.settings import Settings
    from runner.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Check:
    """One check. Those that need the tracker are left out when it cannot be opened, or is not sound."""

    look: Callable[[Patient], Iterator[Finding]]
    needs_tracker: bool = True


CHECKS = (
    Check(tracker_checks.check_sqlite, needs_tracker=False),
    Check(tracker_checks.check_tracker, needs_tracker=False),
    Check(tracker_checks.check_permissions, needs_tracker=False),
    Check(house_checks.check_disk, needs_tracker=False),
    Check(house_checks.check_jobs_file, needs_tracker=False),
    Check(house_checks.check_extras, needs_tracker=False),
    Check(house_checks.check_broker, needs_tracker=False),
    Check(tracker_checks.check_pages),
    Check(tracker_checks.check_references),
    Check(tracker_checks.check_schema),
    Check(tracker_checks.check_log),
    Check(house_checks.check_clocks, needs_tracker=False),
    Check(house_checks.check_beat),
    Check(house_checks.check_workers),
    Check(tracker_checks.check_due),
    Check(tracker_checks.check_sent),
    Check(tracker_checks.check_claims),
    Check(tracker_checks.check_counters),
    Check(tracker_checks.check_artifacts),
    Check(keeping_checks.check_chores),
    Check(keeping_checks.check_notices),
)
"""The table, in the order in which a person reads it."""


@dataclass(frozen=True, slots=True)
class CheckUp:
    """What a check-up found, and by name how much a repair has mended before it."""

    findings: list[Finding]
    mended: dict[str, int]

    @property
    def health(self) -> Health:
        """The worst of what was found."""
        found = {finding.health for finding in self.findings}
        return "error" if "error" in found else "warning" if "warning" in found else "ok"


def check_up(settings: Settings, *, full: bool = False) -> CheckUp:
    """Look at everything, and change nothing. With `full` every row and every file is read."""
    return CheckUp(list(_look_at(settings, full=full)), {})


def _look_at(settings: Settings, *, full: bool) -> Iterator[Finding]:
    with doctor.open_if_possible(settings.db_path) as (conn, error):
        yield from _look(Patient(settings, conn, error, full=full))


def _look(patient: Patient) -> Iterator[Finding]:
    is_sound = patient.conn is not None
    for check in CHECKS:
        if check.needs_tracker and not is_sound:
            continue
        for finding in _try(check, patient):
            yield finding
            is_sound = is_sound and not (finding.check == "integrity" and finding.health == "error")


def _try(check: Check, patient: Patient) -> Iterator[Finding]:
    try:
        yield from check.look(patient)
    except Exception as error:  # noqa: BLE001 - what one check meets must not keep the others from looking
        name = check.look.__name__.removeprefix("check_").replace("_", " ")
        yield Finding(name, "error", f"could not be checked: {error or type(error).__name__}")


# -- repair -----------------------------------------------------------------------------------------------


def repair(runtime: Runtime, by: str, *, full: bool = False) -> CheckUp:
    """
    Mend what is safe to mend, while all runs, and look again; how much was mended, in one event.

    That is: claims without a heartbeat taken back, what is due or was lost sent again, counters and statuses
    recounted, unused files collected, the log folded. Nothing that a worker does meanwhile is undone.
    """
    before = check_up(runtime.settings, full=full)
    wanted = dict.fromkeys(finding.mend for finding in before.findings if finding.mend)
    done = {name: count for name in wanted if (count := MENDS[name](runtime))}
    if done:
        if sent := sum(dispatch_job(runtime, job) for job in runtime.watch.current().enabled_jobs):
            done["sent"] = sent
        log_event(runtime.tracker, None, "repair", by=by, detail=done)
    return CheckUp(check_up(runtime.settings, full=full).findings, done)


def _take_back_claims(runtime: Runtime) -> int:
    taken = 0
    while count := recovery.reclaim_stuck_stages(runtime.tracker):
        taken += count
    return taken


def _wake_due(runtime: Runtime) -> int:
    return messages.wake_parked_stages(runtime.tracker)


def _take_back_lost(runtime: Runtime) -> int:
    """Take back what was not claimed in time, and all that is on its way when the broker holds nothing at all."""
    lost = messages.take_back_lost_messages(runtime.tracker)
    try:
        if runtime.publisher.has_waiting_messages():
            return lost
    except BrokerUnavailableError:
        return lost
    return lost + messages.take_back_vanished_messages(runtime.tracker)


def _mend_counters(runtime: Runtime) -> int:
    conn = runtime.tracker
    return sum(counters.mend_drifts(conn, job) for job in Patient(runtime.settings, conn).job_names)


def _mend_items(runtime: Runtime) -> int:
    conn = runtime.tracker
    return sum(counters.mend_items(conn, job) for job in Patient(runtime.settings, conn).job_names)


def _collect(runtime: Runtime) -> int:
    return collect(runtime.tracker, runtime.artifacts).files


def _empty_log(runtime: Runtime) -> int:
    return int(empty_log(runtime.tracker))


MENDS: dict[str, Callable[[Runtime], int]] = {
    "claims": _take_back_claims,
    "due": _wake_due,
    "lost": _take_back_lost,
    "items": _mend_items,
    "counters": _mend_counters,
    "artifacts": _collect,
    "log": _empty_log,
}
"""What mends what, by the name that findings have for it; each tells how much it mended."""
