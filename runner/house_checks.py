"""Checks of what is around the tracker: jobs.yaml, the broker, clocks, beat, workers, the disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from runner.code_version import read_code_version
from runner.edited_code import DO, list_edited
from runner.explain import explain_job, find_job
from runner.patient import Finding
from runner.saying import say_bytes, say_count, say_counted, say_distance, say_span
from runner.sending import SWEEP_LATE_MS
from tracker.backlog import is_anything_held
from tracker.clock import now_ms
from tracker.notes import SWEPT_AT, find_note
from tracker.workers import SILENT_MS, SKEW_MS, count_serving, find_beat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.patient import Health, Patient

GIB = 1024**3
DISK_SHORT_BYTES, DISK_FULL_BYTES = GIB, GIB // 10
SKEW_BAD_MS = 10_000
"""A claim holds for 30 seconds by the clock of whoever made it: a third of that is too much."""


def check_jobs_file(patient: Patient) -> Iterator[Finding]:
    """Check that jobs.yaml is in order."""
    if patient.jobs is None:
        reason = (patient.refusal or "").splitlines()[0]
        yield Finding("jobs.yaml", "error", f"is refused: {reason}", "celeriac check names all that is wrong")
    else:
        yield Finding("jobs.yaml", "ok", f"{say_count(len(patient.jobs.jobs), 'job')}, in order")


def check_extras(patient: Patient) -> Iterator[Finding]:
    """Check that this machine has what the jobs need: extras, variables."""
    if patient.jobs is None:
        return
    for job, problems in sorted(patient.jobs.unavailable.items()):
        yield Finding("extras", "warning", f"{job} cannot run here: {problems[0].message}", "celeriac check")
    if not patient.jobs.unavailable:
        yield Finding("extras", "ok", "every job can run here")


def check_broker(patient: Patient) -> Iterator[Finding]:
    """Check that the broker answers, and forgets nothing when its memory is full."""
    broker = patient.broker
    if isinstance(broker, str):
        do = "start it" if patient.settings.broker_url else "celeriac up brings one of its own"
        yield Finding("broker", "error", f"does not answer: {broker}", do)
        return
    waiting = say_counted(sum(broker.messages.values()), "[message waits|messages wait]")
    words = (
        f"{broker.server} answers in {broker.answer_ms} ms, {say_bytes(broker.used_bytes)} used, {waiting}"
    )
    yield Finding("broker", "ok", words)
    if broker.may_drop_messages:
        words = f"forgets messages when its memory is full (maxmemory-policy {broker.policy})"
        yield Finding("broker", "warning", words, "set maxmemory-policy noeviction")


def check_clocks(patient: Patient) -> Iterator[Finding]:
    """Check that all clocks agree: leases, waits and slots are instants."""
    wrong = False
    for whose, skew_ms in _list_skews(patient):
        if abs(skew_ms) < SKEW_MS:
            continue
        wrong = True
        off = f"{say_span(abs(skew_ms))} {'ahead of' if skew_ms > 0 else 'behind'} ours"
        health: Health = "error" if abs(skew_ms) >= SKEW_BAD_MS else "warning"
        yield Finding("clocks", health, f"the clock of {whose} is {off}", "set both by NTP")
    if patient.conn is not None and patient.flow.ahead:
        wrong = True
        ahead = say_counted(patient.flow.ahead, "[attempt was|attempts were]")
        words = f"{ahead} claimed in the future: another clock is ahead, or ours was"
        yield Finding("clocks", "error", words, "set all clocks by NTP")
    if not wrong:
        yield Finding("clocks", "ok", "agree to within 2 s")


def _list_skews(patient: Patient) -> Iterator[tuple[str, int]]:
    if not isinstance(patient.broker, str):
        yield "the broker", patient.broker.skew_ms
    if patient.conn is None:
        return
    now = now_ms()
    for worker in patient.workers:
        # seen in our future: whoever wrote that has another clock
        ahead_ms = max(0, worker.seen_at - now)
        yield f"worker {worker.name}", round(worker.skew_seconds * 1000) + ahead_ms


def check_beat(patient: Patient) -> Iterator[Finding]:
    """Check that beat ticks, and that its sweeps are done."""
    now, ticked_at, swept = now_ms(), find_beat(patient.tracker), find_note(patient.tracker, SWEPT_AT)
    if ticked_at is None:
        yield Finding("beat", "warning", "has never ticked", "celeriac up, or celeriac beat")
    elif now - ticked_at > SILENT_MS:
        yield Finding(
            "beat", "error", f"ticked last {say_distance(ticked_at, now)}", "celeriac up, or celeriac beat"
        )
    else:
        yield Finding("beat", "ok", f"ticked {say_distance(ticked_at, now)}")
    if swept is None:
        yield Finding("sweep", "warning", "there was none yet", "celeriac up, or celeriac beat and a worker")
    elif now - int(swept) > SWEEP_LATE_MS:
        words = f"the last was {say_distance(int(swept), now)}"
        if ticked_at is not None and now - ticked_at <= SILENT_MS and is_anything_held(patient.tracker):
            words = f"{words}: what runs takes long, and it waits for a process"
            yield Finding(
                "sweep",
                "warning",
                words,
                "celeriac worker: more processes, or long stages on a queue of their own",
            )
        else:
            yield Finding("sweep", "error", words, "celeriac up, or celeriac beat and a worker")
    else:
        yield Finding("sweep", "ok", f"the last was {say_distance(int(swept), now)}")


def check_workers(patient: Patient) -> Iterator[Finding]:
    """Check that workers live, run the code that is here, and serve every queue on which work waits."""
    living = [one for one in patient.workers if not one.is_silent]
    silent = [one for one in patient.workers if one.is_silent]
    ours = read_code_version()
    if living:
        processes = sum(len(one.processes) or 1 for one in living)
        yield Finding(
            "workers",
            "ok",
            f"{say_counted(len(living), '[lives|live]')}, with {say_count(processes, 'process', 'es')}",
        )
    else:
        yield Finding("workers", "warning", "none lives", "celeriac up, or celeriac worker")
    for one in silent:
        words = f"{one.name} has been silent since {say_distance(one.seen_at, now_ms())}"
        yield Finding("workers", "warning", words, "see whether it runs; it is forgotten after an hour")
    for one in living:
        if one.version != ours:
            words = f"{one.name} runs the code {one.version}, here is {ours}"
            yield Finding("code version", "warning", words, f"restart {one.name}")
    if living and all(one.version == ours for one in living):
        yield Finding("code version", "ok", f"all run {ours}")
    yield from _check_handlers(patient)
    yield from _check_queues(patient)


def _check_handlers(patient: Patient) -> Iterator[Finding]:
    for one in list_edited(patient.jobs.enabled_jobs if patient.jobs else (), patient.workers):
        yield Finding("handlers", "warning", one.say(), DO)


def _check_queues(patient: Patient) -> Iterator[Finding]:
    served = count_serving(patient.tracker)
    for job in patient.jobs.enabled_jobs if patient.jobs else ():
        explained = explain_job(patient.tracker, find_job(patient.jobs, job.name), job.name)
        held = [part for part in explained.parts if part.cause.cause == "no_worker"]
        if held:
            waiting = sum(part.count for part in held)
            queues = ", ".join(sorted({stage.queue for stage in job.stages} - served.keys()))
            stages = say_counted(waiting, f"[stage of {job.name} waits|stages of {job.name} wait]")
            words = f"no worker serves {queues}, where {stages}"
            yield Finding("queues", "error", words, "; ".join(dict.fromkeys(part.cause.do for part in held)))


def check_disk(patient: Patient) -> Iterator[Finding]:
    """Check that there is room for the tracker and for the files that handlers keep."""
    folder = patient.settings.db_path.absolute().parent
    if not folder.exists():
        yield Finding("disk", "warning", f"there is no folder {folder} yet", "celeriac up makes it")
        return
    free, total = shutil.disk_usage(folder).free, shutil.disk_usage(folder).total
    words = f"{say_bytes(free)} of {say_bytes(total)} are free"
    if free < DISK_FULL_BYTES:
        yield Finding("disk", "error", words, "make room: a full disk stops all workers")
    elif free < DISK_SHORT_BYTES:
        yield Finding("disk", "warning", words, "make room: celeriac artifacts gc, celeriac compact")
    else:
        yield Finding("disk", "ok", words)
