"""Who works: the workers, what each runs for how long, the queues they serve, and whether beat and the sweep go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request

from dashboard.house import house_of
from dashboard.rendering import render
from dashboard.stage_facts import count_not_begun, count_waiting
from dashboard.visitors import Needs
from runner.code_version import read_code_version
from runner.worker_notes import list_notes
from tracker.live import read_counts
from tracker.notes import SWEPT_AT, find_note
from tracker.stats import get_job_stats, stage_stats
from tracker.workers import count_serving, find_beat, list_workers

if TYPE_CHECKING:
    from starlette.responses import Response

    from dashboard.house import House

router = APIRouter(include_in_schema=False)


@dataclass(slots=True)
class QueueReport:
    """
    A queue: how many living workers serve it, and of the stages that go to it how many are sent, run and wait.

    `to_come` are those that wait and those that wait for other stages: what somebody should serve the queue for.
    """

    name: str
    workers: int = 0
    sent: int = 0
    running: int = 0
    waiting: int = 0
    to_come: int = 0


@router.get("/workers", dependencies=[Depends(Needs("view"))], response_model=None)
def show_workers(request: Request) -> Response:
    """Show the workers, the longest running attempts first."""
    return render(request, "workers.html", **describe_workers(house_of(request)))


def describe_workers(house: House) -> dict[str, Any]:
    """Describe the workers, what they run, and the queues, as the templates show it."""
    workers = list_workers(house.reader)
    running = [(worker, one) for worker in workers for one in worker.running]
    swept = find_note(house.reader, SWEPT_AT)
    return {
        "workers": workers,
        "running": sorted(running, key=lambda each: each[1].started_at),
        "queues": _list_queues(house),
        "ours": read_code_version(),
        "list_notes": list_notes,
        "beat_at": find_beat(house.reader),
        "swept_at": None if swept is None else int(swept),
    }


def _list_queues(house: House) -> list[QueueReport]:
    jobs, _ = house.read_jobs()
    all_counts = read_counts(house.reader)
    found: dict[str, QueueReport] = {}
    for job in jobs.jobs.values() if jobs else ():
        counted = stage_stats(house.reader, job.name)
        unopened = get_job_stats(house.reader, job.name)["unopened"]
        for stage in job.stages:
            queue = found.setdefault(stage.queue, QueueReport(stage.queue))
            not_begun = count_not_begun(stage.needs, unopened, is_on=stage.enabled)
            queue.waiting += count_waiting(all_counts, f"{job.name}/{stage.name}", not_begun)
            queue.to_come += not_begun
            counts = counted.get(stage.name)
            if counts:
                queue.sent += counts["queued"]
                queue.running += counts["in_progress"]
                queue.to_come += counts["pending"]
    for name, workers in count_serving(house.reader).items():
        found.setdefault(name, QueueReport(name)).workers = workers
    return sorted(found.values(), key=lambda queue: queue.name)
