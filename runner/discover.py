"""Discover a job: run its strategy, store what it finds, send the first stages."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import structlog

from discovery.base import BaseDiscovery
from discovery.items import admit_items
from pipeline import catalog
from pipeline.errors import JobsFileError, PluginError, SourceRejectedError, SourceUnavailableError
from pipeline.variables import current_environment, resolve_variables
from runner.advance import wait_for_room
from runner.dispatch import dispatch_job
from runner.judge import as_text, describe_error, due_in
from tracker import discoveries
from tracker.clock import to_ms
from tracker.discoveries import Yield
from tracker.items import ItemToStore, upsert_items

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from discovery.base import FoundItem
    from pipeline.jobspec import JobSpec
    from runner.runtime import Runtime
    from tracker.connection import Connection

log = structlog.get_logger(__name__)

BATCH = 1000
"""How many found items are stored in one transaction."""

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 60.0, 3600.0
MAX_ATTEMPTS = 8
"""A run that failed or died so often is given up; the next slot begins afresh."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """What a discovery came to. `error` is None when it worked; `retry_at` (Unix ms) when it is tried again."""

    job: str
    found: int = 0
    new: int = 0
    refused: int = 0
    error: str | None = None
    retry_at: int | None = None


def discover(
    runtime: Runtime, job_id: str, *, scheduled: bool = False, run_id: int | None = None
) -> Discovered | None:
    """
    Look for a job's items now, for its present slot, or again for a run that waited or died.

    None when there was nothing to do: another beat had the slot, or somebody else took up the run. What goes
    wrong at the source is recorded, and is no exception. Commits batch by batch: items stored before a crash
    stay, and are known the next time.
    """
    job = runtime.jobs.get_job(job_id)
    begun = wait_for_room(lambda: _begin(runtime.tracker, job, scheduled=scheduled, run_id=run_id))
    if begun is None:
        log.debug("nothing to discover", job=job_id)
        return None
    wait_for_room(lambda: discoveries.drop_older_retries(runtime.tracker, job_id, begun))
    if discoveries.count_attempts(runtime.tracker, begun) > MAX_ATTEMPTS:
        return _fail(runtime, job, begun, f"given up: its worker died under it {MAX_ATTEMPTS} times", None)
    with runtime.leases.hold(f"{job_id} discovery", lambda conn: discoveries.renew_discovery(conn, begun)):
        ended = _look(runtime, job, begun)
    if ended.error is None:
        dispatch_job(runtime, job)
    return ended


def _begin(conn: Connection, job: JobSpec, *, scheduled: bool, run_id: int | None) -> int | None:
    if run_id is not None:
        return run_id if discoveries.resume_discovery(conn, run_id) else None
    slot_at = None
    if scheduled and job.schedule is not None:
        slot_at = to_ms(job.schedule.previous_slot(datetime.now(UTC)))
    return discoveries.begin_discovery(conn, job.name, slot_at)


def _look(runtime: Runtime, job: JobSpec, run_id: int) -> Discovered:
    try:
        strategy, found = find_items(runtime, job)
    except runtime.stop_errors:
        raise
    except SourceUnavailableError as error:
        return _fail(runtime, job, run_id, f"source unavailable: {error}", _retry_at(runtime, run_id, error))
    except (SourceRejectedError, PluginError, JobsFileError) as error:
        return _fail(runtime, job, run_id, str(error), None)
    except BaseException as error:  # a strategy may also call sys.exit: its run fails, not the worker
        log.exception("discovery failed", job=job.name)
        failure = describe_error(error)
        return _fail(runtime, job, run_id, f"{failure.error_type}: {failure.message}", None)
    new = store_found(runtime.tracker, job, found)
    brought = Yield(len(found), new, dict(Counter(strategy.refused)))
    wait_for_room(lambda: discoveries.finish_discovery(runtime.tracker, run_id, brought))
    log.info("discovered", job=job.name, found=brought.found, new=new, refused=brought.refused)
    return Discovered(job.name, brought.found, new, sum(brought.refused.values()))


def make_strategy(runtime: Runtime, job: JobSpec) -> BaseDiscovery:
    """Make a job's strategy of its parameters, variables resolved."""
    strategy: Callable[..., BaseDiscovery] = catalog.load(catalog.STRATEGY, job.discovery.strategy)
    params = resolve_variables(job.discovery.params, current_environment())
    return strategy(params, runtime.access(job.name))


def find_items(runtime: Runtime, job: JobSpec) -> tuple[BaseDiscovery, list[FoundItem]]:
    """Run a job's strategy, and store nothing; the strategy, with what it refused, and what it found."""
    strategy = make_strategy(runtime, job)
    found = asyncio.run(strategy.discover())
    if type(strategy).discover is BaseDiscovery.discover:
        return strategy, found
    return strategy, [item.as_found() for item in admit_items(found, strategy.refused)]  # it overrode the template, and its checks


def store_found(conn: Connection, job: JobSpec, found: Sequence[FoundItem]) -> int:
    """Store found items in batches, each in one transaction; how many were new."""
    batches = [_as_stored(found[at : at + BATCH]) for at in range(0, len(found), BATCH)]
    return sum(wait_for_room(partial(upsert_items, conn, job.name, batch, job.priority)) for batch in batches)


def _as_stored(found: Sequence[FoundItem]) -> list[ItemToStore]:
    return [{"key": item.key, "data": item.data, "priority": item.priority} for item in found]


def _retry_at(runtime: Runtime, run_id: int, error: SourceUnavailableError) -> int | None:
    attempt = discoveries.count_attempts(runtime.tracker, run_id)
    if attempt >= MAX_ATTEMPTS:
        return None
    wait = min(FIRST_RETRY_SECONDS * 2 ** (attempt - 1), LONGEST_RETRY_SECONDS)
    return due_in(max(wait, error.retry_after_seconds or 0))


def _fail(runtime: Runtime, job: JobSpec, run_id: int, error: str, retry_at: int | None) -> Discovered:
    error = as_text(error)
    wait_for_room(lambda: discoveries.fail_discovery(runtime.tracker, run_id, error, retry_at))
    log.warning("discovery failed", job=job.name, error=error, retry_at=retry_at)
    return Discovered(job.name, error=error, retry_at=retry_at)
