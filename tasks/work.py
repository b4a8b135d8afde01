"""The tasks: ids in, one call to the runner, nothing else."""

from __future__ import annotations

from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from runner import advance as advancing
from runner import discover as discovering
from runner import maintenance, presence, remote
from runner import sweep as sweeping
from runner.batch import advance_together
from runner.cargo import Cargo  # noqa: TC001 - Celery reads the annotations of tasks
from tasks.app import app, get_runtime
from tasks.line import TrackerLine

DISCOVERY_LIMIT_SECONDS = 3600
MAINTENANCE_LIMIT_SECONDS = 6 * 3600


@app.task(name="tasks.run_stage")
def run_stage(item_id: int, stage: str, attempt: int) -> None:
    """Run one attempt of one stage; see `runner.advance`."""
    advancing.advance(get_runtime(), item_id, stage, attempt)


@app.task(name="tasks.run_batch")
def run_batch(stage: str, attempts: list[tuple[int, int]]) -> None:
    """Run one attempt of one stage for several items together, given as (item, attempt); see `runner.batch`."""
    advance_together(get_runtime(), stage, attempts)


@app.task(
    name="tasks.discover", soft_time_limit=DISCOVERY_LIMIT_SECONDS, time_limit=DISCOVERY_LIMIT_SECONDS + 30
)
def discover(job_id: str, run_id: int | None = None, *, scheduled: bool = False) -> None:
    """Look for a job's items; see `runner.discover`."""
    discovering.discover(get_runtime(), job_id, scheduled=scheduled, run_id=run_id)


@app.task(name="tasks.run_remote")
def run_remote(item_id: int, stage: str, attempt: int, cargo: Cargo) -> None:
    """Run one attempt of a remote stage, far from the tracker; see `runner.remote`."""
    line = TrackerLine(app, item_id, stage, attempt)
    remote.run_away(cargo, stage, attempt, get_runtime().remote_http, line, SoftTimeLimitExceeded)


@app.task(name="tasks.remote_begun")
def remote_begun(item_id: int, stage: str, attempt: int, worker: str) -> None:
    """Claim a stage for the remote worker that began it; see `runner.remote`."""
    remote.note_begun(get_runtime(), item_id, stage, attempt, worker)


@app.task(name="tasks.remote_alive")
def remote_alive(item_id: int, stage: str, attempt: int) -> None:
    """Renew a remote worker's lease; see `runner.remote`."""
    remote.note_alive(get_runtime(), item_id, stage, attempt)


@app.task(name="tasks.remote_ended")
def remote_ended(item_id: int, stage: str, attempt: int, worker: str, report: dict[str, Any]) -> None:
    """Settle a remote attempt; see `runner.remote`."""
    remote.note_ended(get_runtime(), item_id, stage, attempt, worker, report)


@app.task(name="tasks.worker_alive")
def worker_alive(word: dict[str, Any]) -> None:
    """Record that a worker far from the file lives; see `runner.presence`."""
    presence.hear_alive(get_runtime(), word)


@app.task(name="tasks.worker_gone")
def worker_gone(host: str, pid: int) -> None:
    """Strike off a worker far from the file that stops; see `runner.presence`."""
    presence.hear_gone(get_runtime(), host, pid)


@app.task(name="tasks.sweep")
def sweep() -> None:
    """Mend and send what is due; see `runner.sweep`."""
    sweeping.sweep(get_runtime())


@app.task(name="tasks.maintain", time_limit=MAINTENANCE_LIMIT_SECONDS)
def maintain() -> None:
    """Do the chores that are due; see `runner.maintenance`."""
    maintenance.do_chores(get_runtime())
