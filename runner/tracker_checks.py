"""Checks of the tracker's file, of what lies in it, and of the files that handlers keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import TrackerDamagedError
from runner.patient import Finding
from runner.saying import say_bytes, say_count, say_counted, say_distance
from tracker import doctor
from tracker.clock import now_ms
from tracker.collecting import plan_collection
from tracker.counters import list_drifts, list_wrong_items
from tracker.verifying import list_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.patient import Health, Patient

LOG_LARGE_BYTES = 128 * 1024**2
"""Eight times what a checkpoint is made at: something has kept it from being made."""

RESTORE = "restore a backup: celeriac restore"


def check_sqlite(patient: Patient) -> Iterator[Finding]:
    """Check SQLite's version, and the file system."""
    version, is_safe = doctor.read_library()
    if is_safe:
        yield Finding("sqlite", "ok", f"SQLite {version}")
    else:
        yield Finding(
            "sqlite", "error", f"SQLite {version} can lose committed rows", "install apsw 3.54 or newer"
        )
    kind, is_safe = doctor.read_file_system(patient.settings.db_path)
    if is_safe:
        yield Finding("file system", "ok", f"{kind or 'unknown to this kernel'}")
    else:
        words = f"{kind}, on which SQLite's write-ahead log corrupts databases"
        yield Finding("file system", "error", words, "keep the tracker on a local disk or in a named volume")


def check_tracker(patient: Patient) -> Iterator[Finding]:
    """Check that the tracker can be opened."""
    path = patient.settings.db_path
    if patient.conn is not None:
        yield Finding("tracker", "ok", f"{path}, {say_bytes(path.stat().st_size)}")
    elif not path.exists():
        yield Finding(
            "tracker", "warning", f"there is none at {path} yet", "celeriac up or celeriac run makes it"
        )
    else:
        do = RESTORE if isinstance(patient.unusable, TrackerDamagedError) else ""  # any other says what helps
        yield Finding("tracker", "error", str(patient.unusable), do)


def check_permissions(patient: Patient) -> Iterator[Finding]:
    """Check that this user can read and write the tracker's files and folder, and that not everybody can."""
    faults = doctor.list_permission_faults(patient.settings.db_path)
    for fault in faults:
        health: Health = "error" if "cannot" in fault else "warning"
        yield Finding("permissions", health, fault, "chmod or chown it, or mount it for writing")
    if not faults and doctor.list_companions(patient.settings.db_path):
        yield Finding("permissions", "ok", "this user can read and write the tracker's files")


def check_pages(patient: Patient) -> Iterator[Finding]:
    """Check the file's pages, and with `--full` its indexes too."""
    faults = doctor.list_page_faults(patient.tracker, full=patient.full)
    for fault in faults:
        yield Finding("integrity", "error", " ".join(fault.split()), RESTORE)
    if not faults:
        yield Finding(
            "integrity", "ok", "every page and index is sound" if patient.full else "every page is sound"
        )


def check_references(patient: Patient) -> Iterator[Finding]:
    """Check that every row refers to one that is there."""
    faults = doctor.list_reference_faults(patient.tracker)
    for fault in sorted(set(faults)):
        yield Finding("foreign keys", "error", f"{fault} ({faults.count(fault)} or more)", RESTORE)
    if not faults:
        yield Finding("foreign keys", "ok", "every row refers to one that is there")


def check_schema(patient: Patient) -> Iterator[Finding]:
    """Check that tables, indexes, triggers and views are as the migrations make them."""
    drift = doctor.compare_schema(patient.tracker)
    for how, names in (("is missing", drift.missing), ("was changed", drift.changed)):
        for name in names:
            yield Finding("schema", "error", f"the {name} {how}", RESTORE)
    for name in drift.added:
        yield Finding(
            "schema", "warning", f"the {name} is not ours", "see that nothing of ours depends on it"
        )
    if not (drift.missing or drift.changed or drift.added):
        yield Finding("schema", "ok", "as the migrations make it")


def check_counters(patient: Patient) -> Iterator[Finding]:
    """Check that counters equal recounts: what indexes can tell, with `--full` everything."""
    wrong = False
    for job in patient.job_names:
        for drift in list_drifts(patient.tracker, job, full=patient.full):
            wrong = True
            what = f"{drift.stage} of {job}" if drift.stage else f"items of {job}"
            words = f"{what}: {drift.counter} is off by {-drift.off:+,}"
            yield Finding("counters", "error", words, "celeriac doctor --repair", "counters")
        if patient.full:
            statuses, needs = list_wrong_items(patient.tracker, job)
            if statuses or needs:
                wrong = True
                count = len({*statuses, *needs})
                items = say_counted(count, f"[item of {job} has|items of {job} have]")
                words = f"{items} another status, or other needs, than the stages say"
                yield Finding("counters", "error", words, "celeriac doctor --repair", "items")
    if not wrong:
        yield Finding(
            "counters", "ok", "equal what is there" + ("" if patient.full else ", as far as indexes tell")
        )


def check_due(patient: Patient) -> Iterator[Finding]:
    """Check that nothing is due and not sent."""
    if patient.flow.overdue:
        stages = say_counted(patient.flow.overdue, "[stage is|stages are]")
        words = f"{stages} not sent, though the time to do so has come"
        yield Finding("due", "warning", words, "celeriac doctor --repair, or start beat and a worker", "due")
    else:
        yield Finding("due", "ok", "nothing is due and not sent")


def check_sent(patient: Patient) -> Iterator[Finding]:
    """Check that what was sent is claimed, and that the broker has what the tracker takes to be with it."""
    flow, broker = patient.flow, patient.broker
    held = None if isinstance(broker, str) else sum(broker.messages.values())
    if flow.lost:
        messages = say_counted(flow.lost, "[message was|messages were]")
        words = f"{messages} not claimed in time, and not sent again"
        yield Finding("sent", "error", words, "celeriac doctor --repair, or start beat and a worker", "lost")
    elif flow.unclaimed:
        since = say_distance(flow.sent_at or 0, now_ms())
        with_broker = "" if held is None else f"; the broker holds {held:,}"
        messages = say_counted(flow.unclaimed, "[message waits|messages wait]")
        words = f"{messages} for over a minute, the first sent {since}{with_broker}"
        yield Finding("sent", "warning", words, "celeriac doctor --repair, or more workers", "lost")
    elif flow.sent and held == 0 and not any(not one.is_silent for one in patient.workers):
        words = f"{_say_on_their_way(flow)}, but the broker holds none, and no worker lives"
        yield Finding("sent", "warning", words, "celeriac doctor --repair sends them again", "lost")
    else:
        yield Finding("sent", "ok", _say_on_their_way(flow))


def _say_on_their_way(flow: doctor.Flow) -> str:
    return say_counted(flow.sent, "[message is on its|messages are on their] way")


def check_claims(patient: Patient) -> Iterator[Finding]:
    """Check that every claim has a heartbeat."""
    flow = patient.flow
    if flow.abandoned:
        words = f"{say_counted(flow.abandoned, '[stage is|stages are]')} claimed without a heartbeat"
        yield Finding("claims", "error", words, "celeriac doctor --repair takes them back", "claims")
    if flow.discoveries:
        discoveries = say_counted(flow.discoveries, "[discovery is|discoveries are]")
        words = f"{discoveries} running without a heartbeat"
        yield Finding("claims", "warning", words, "start beat and a worker: the sweep takes them up")
    if not flow.abandoned and not flow.discoveries:
        yield Finding("claims", "ok", "every claim has its heartbeat")


def check_artifacts(patient: Patient) -> Iterator[Finding]:
    """Check the files that handlers keep: which are missing, which nobody refers to; with `--full` their content."""
    missing = _list_broken(patient)
    for sha256 in missing:
        words = f"{sha256[:12]}… is gone or was changed, and something refers to it"
        yield Finding("artifacts", "error", words, "celeriac artifacts show it; restore it from a backup")
    unused = plan_collection(patient.tracker, patient.store)
    if unused.files:
        words = (
            f"nothing refers to {say_count(unused.files, 'file')}, {say_bytes(unused.bytes)} "
            f"({say_count(unused.strays, 'stray')})"
        )
        yield Finding(
            "artifacts", "warning", words, "celeriac artifacts gc, or celeriac doctor --repair", "artifacts"
        )
    if not missing and not unused.files:
        yield Finding("artifacts", "ok", "every file is there, and used")


def _list_broken(patient: Patient) -> list[str]:
    if not patient.full:
        return doctor.list_missing_files(patient.tracker, patient.store.folder)
    faults = list_faults(patient.tracker, patient.store)
    return [fault.sha256 for fault in faults if fault.uses][: doctor.MOST_FAULTS]


def check_log(patient: Patient) -> Iterator[Finding]:
    """Check that the write-ahead log is folded into the file from time to time."""
    size = doctor.measure_log(patient.settings.db_path)
    if size > LOG_LARGE_BYTES:
        words = f"the write-ahead log has {say_bytes(size)}: a reader that does not end keeps it from being folded"
        yield Finding("log", "warning", words, "celeriac doctor --repair folds it", "log")
    else:
        yield Finding("log", "ok", f"the write-ahead log has {say_bytes(size)}")
