"""The tasks: ids in, one call to the runner, nothing else."""

from __future__ import annotations

from runner import advance as advancing
from runner import discover as discovering
from runner import sweep as sweeping
from tasks.app import app, get_runtime

DISCOVERY_LIMIT_SECONDS = 3600


@app.task(name="tasks.run_stage")
def run_stage(item_id: int, stage: str, attempt: int) -> None:
    """Run one attempt of one stage; see `runner.advance`."""
    advancing.advance(get_runtime(), item_id, stage, attempt)


@app.task(
    name="tasks.discover", soft_time_limit=DISCOVERY_LIMIT_SECONDS, time_limit=DISCOVERY_LIMIT_SECONDS + 30
)
def discover(job_id: str, run_id: int | None = None, *, scheduled: bool = False) -> None:
    """Look for a job's items; see `runner.discover`."""
    discovering.discover(get_runtime(), job_id, scheduled=scheduled, run_id=run_id)


@app.task(name="tasks.sweep")
def sweep() -> None:
    """Mend and send what is due; see `runner.sweep`."""
    sweeping.sweep(get_runtime())
