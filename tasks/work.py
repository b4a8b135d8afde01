"""The tasks: ids in, one call to the runner, nothing else. Those of the `tracker` queue are in `tasks.hearing`."""

from __future__ import annotations

from functools import cache

from celery.exceptions import SoftTimeLimitExceeded
from kombu.serialization import loads, prepare_accept_content

from handlers.time_limit import TIME_LIMIT
from runner import discover as discovering
from runner import far, maintenance
from runner import sweep as sweeping
from runner.batch import advance_together
from runner.cargo import Cargo  # noqa: TC001 - Celery reads the annotations of tasks
from runner.far_desk import Place
from runner.group_commit import GroupCommit
from runner.runtime import Runtime  # noqa: TC001 - as above
from tasks.app import app, get_runtime
from tasks.line import TrackerLine
from tasks.pool import INBOX

ACCEPTED = prepare_accept_content(app.conf.accept_content)
DISCOVERY_LIMIT_SECONDS = 3600
MAINTENANCE_LIMIT_SECONDS = 6 * 3600


@cache
def get_group(runtime: Runtime) -> GroupCommit:
    """Get what runs the stages of a process."""
    return GroupCommit(runtime, list_waiting, runtime.settings.together)


def list_waiting(most: int) -> list[tuple[int, str, int]]:
    """List at most so many of the attempts whose messages wait in this process, up to one that is for no stage."""
    attempts = []
    for name, _uuid, _request, body, content_type, encoding in INBOX.look(most):
        if name != run_stage.name:
            break
        args, _kwargs, _embedded = loads(body, content_type, encoding, accept=ACCEPTED)
        attempts.append(tuple(args))
    return attempts


@app.task(name="tasks.run_stage")
def run_stage(item_id: int, stage: str, attempt: int) -> None:
    """Run one attempt of one stage; see `runner.group_commit`."""
    TIME_LIMIT.begin()
    get_group(get_runtime()).advance(item_id, stage, attempt)


@app.task(name="tasks.run_batch")
def run_batch(stage: str, attempts: list[tuple[int, int]]) -> None:
    """Run one attempt of one stage for several items together, given as (item, attempt); see `runner.batch`."""
    TIME_LIMIT.begin()
    advance_together(get_runtime(), stage, attempts)


@app.task(
    name="tasks.discover", soft_time_limit=DISCOVERY_LIMIT_SECONDS, time_limit=DISCOVERY_LIMIT_SECONDS + 30
)
def discover(job_id: str, run_id: int | None = None, *, scheduled: bool = False) -> None:
    """Look for a job's items; see `runner.discover`."""
    TIME_LIMIT.begin()  # what struck the stage before, after its handler had ended, is not this one's
    with TIME_LIMIT.applies():
        discovering.discover(get_runtime(), job_id, scheduled=scheduled, run_id=run_id)


@app.task(name="tasks.run_remote")
def run_remote(item_id: int, stage: str, attempt: int, cargo: Cargo) -> None:
    """Run one attempt of a remote stage, far from the tracker; see `runner.far`."""
    TIME_LIMIT.begin()
    runtime, line = get_runtime(), TrackerLine(app, item_id, stage, attempt)
    place = Place(item_id, stage, attempt, runtime.worker)
    far.run_away(cargo, place, runtime.remote_http, line, SoftTimeLimitExceeded, runtime.afar)


@app.task(name="tasks.sweep")
def sweep() -> None:
    """Mend and send what is due; see `runner.sweep`."""
    sweeping.sweep(get_runtime())


@app.task(name="tasks.maintain", time_limit=MAINTENANCE_LIMIT_SECONDS)
def maintain() -> None:
    """Do the chores that are due; see `runner.maintenance`."""
    maintenance.do_chores(get_runtime())
