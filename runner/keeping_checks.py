"""Checks of what the house does for itself: its chores, its backups, and whether people can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.patient import Finding
from runner.saying import say_distance
from tracker.chores import find_last_chore
from tracker.clock import now_ms
from tracker.notice_messages import list_unsent
from tracker.notices import list_open_notices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.patient import Patient


def check_chores(patient: Patient) -> Iterator[Finding]:
    """Check that the chores of `maintenance:` were done; without any there is nothing to say."""
    chores = patient.jobs.maintenance.schedules if patient.jobs else {}
    for chore in chores:
        last = find_last_chore(patient.tracker, chore)
        if last is None:
            yield Finding(
                "chores", "warning", f"{chore} was never done", "celeriac up, or celeriac beat and a worker"
            )
        elif last.error is not None:
            again = f"; again {say_distance(last.retry_at, now_ms())}" if last.retry_at else ""
            yield Finding(
                "chores", "error", f"{chore} failed: {last.error}{again}", "celeriac notices, celeriac events"
            )
        else:
            when = say_distance(last.ended_at or last.started_at, now_ms())
            yield Finding("chores", "ok", f"{chore}: {when if last.ended_at else 'runs now'}")


def check_notices(patient: Patient) -> Iterator[Finding]:
    """Check that people can be told of what is wrong; without `notify:` there is nothing to say."""
    jobs = patient.jobs
    if jobs is None or not (jobs.notify or any(job.notify for job in jobs.jobs.values())):
        return
    for problem in jobs.lacks:
        yield Finding("notices", "warning", f"{problem.path}: {problem.message}", "celeriac check")
    unsent = list_unsent(patient.tracker)
    if unsent:
        last = unsent[-1]
        words = f"{len(unsent)} not sent; by {last.channel}: {last.error}"
        yield Finding("notices", "error", words, "celeriac notices --test")
    elif not jobs.lacks:
        count = len(list_open_notices(patient.tracker))
        yield Finding("notices", "ok", f"people can be told; {count} open")
