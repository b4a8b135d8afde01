"""Discover a job: run its strategy, store what it finds, send the first stages."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from inspect import isawaitable
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from discovery.base import BATCH
from discovery.items import admit_items, require_items
from discovery.memory import Batch, EnoughError, recall_nothing
from pipeline import catalog
from pipeline.aside import printing_aside
from pipeline.errors import (
    HostPausedError,
    JobsFileError,
    PluginError,
    SourceRejectedError,
    SourceUnavailableError,
    StaleRunError,
)
from pipeline.on_schedule import OnSchedule
from pipeline.redaction import KNOWN
from pipeline.variables import fill_from_environment, resolve_params
from runner.dispatch import dispatch_job
from runner.intake import Intake, Sieve
from runner.judge import as_text, describe_error, due_in
from runner.on_schedule import leave_out, say_pause
from runner.room import wait_for_room
from tracker import discoveries
from tracker.clock import to_ms
from tracker.discoveries import Findings
from tracker.events import log_event
from tracker.host_waits import wait_for_host
from tracker.items import get_pending_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from discovery.base import Access, BaseDiscovery, FoundItem
    from discovery.memory import Receive
    from pipeline.jobspec import JobSpec
    from runner.runtime import Runtime
    from tracker.connection import Connection
    from tracker.discoveries import RunLease

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 60.0, 3600.0
MAX_ATTEMPTS = 8
"""A run that failed or died so often is given up; the next slot begins afresh."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """
    What a discovery came to.

    `held` counts new items above the job's cap, which wait for approval. `error` is None when it worked;
    `retry_at` (Unix ms) when it is tried again. `skipped` says why it was left out. `refused_for` counts by reason what
    was refused.
    """

    job: str
    found: int = 0
    new: int = 0
    changed: int = 0
    refused: int = 0
    held: int = 0
    error: str | None = None
    retry_at: int | None = None
    skipped: str | None = None
    refused_for: Mapping[str, int] = field(default_factory=dict)


def discover(
    runtime: Runtime, job_id: str, *, scheduled: bool = False, run_id: int | None = None
) -> Discovered | None:
    """
    Look for a job's items now, for its present slot, or again for a run that waited or died.

    None when there was nothing to do: another beat had the slot, or somebody else took up the run. What goes
    wrong at the source is recorded, and is no exception. Commits batch by batch: items stored before a crash
    stay, and a strategy that pages goes on where it was.
    """
    job = runtime.jobs.get_job(job_id)
    slot_at = _find_slot(job) if scheduled else None
    paused = say_pause(runtime.tracker, job) if scheduled or run_id is not None else None
    if paused is not None and job.on_schedule is not OnSchedule.QUEUE:
        return _leave_out(runtime, job, slot_at, paused) if run_id is None else None
    if run_id is None and (reason := _too_much_waits(runtime.tracker, job)):
        return _skip(runtime, job, slot_at, reason)
    run = wait_for_room(lambda: _begin(runtime.tracker, job, slot_at, run_id))
    if run is None:
        log.debug("nothing to discover", job=job_id)
        return None
    if paused is not None:
        wait_for_room(
            lambda: log_event(runtime.tracker, job_id, "discover_queued", detail={"reason": paused})
        )
    wait_for_room(lambda: discoveries.drop_older_retries(runtime.tracker, run))
    with runtime.leases.hold(f"{job_id} discovery", lambda conn: discoveries.renew_discovery(conn, run)):
        ended = _look(runtime, job, run)
    if ended is not None and ended.error is None:
        dispatch_job(runtime, job)
    return ended


def _find_slot(job: JobSpec) -> int | None:
    return to_ms(job.schedule.previous_slot(datetime.now(UTC))) if job.schedule else None


def _begin(conn: Connection, job: JobSpec, slot_at: int | None, run_id: int | None) -> RunLease | None:
    if run_id is not None:
        return discoveries.resume_discovery(conn, run_id)
    return discoveries.begin_discovery(conn, job.name, slot_at)


def _too_much_waits(conn: Connection, job: JobSpec) -> str | None:
    if job.max_waiting is None:
        return None
    waiting = get_pending_count(conn, job.name)
    return (
        f"{waiting:,} items wait, over max_waiting {job.max_waiting:,}" if waiting > job.max_waiting else None
    )


def _skip(runtime: Runtime, job: JobSpec, slot_at: int | None, reason: str) -> Discovered | None:
    if not wait_for_room(lambda: discoveries.skip_discovery(runtime.tracker, job.name, slot_at, reason)):
        return None
    log.info("discovery skipped", job=job.name, reason=reason)
    return Discovered(job.name, skipped=reason)


def _leave_out(runtime: Runtime, job: JobSpec, slot_at: int | None, reason: str) -> Discovered | None:
    if not wait_for_room(lambda: leave_out(runtime.tracker, job, slot_at, reason)):
        return None
    log.info("discovery left out", job=job.name, reason=reason)
    return Discovered(job.name, skipped=reason)


def _look(runtime: Runtime, job: JobSpec, run: RunLease) -> Discovered | None:
    intake = Intake(runtime.tracker, job, run)
    attempt = Attempt(runtime, job, run, intake)
    if run.tries > MAX_ATTEMPTS:
        return attempt.fail(f"given up: its worker died under it {MAX_ATTEMPTS} times")
    try:
        attempt.strategy = make_strategy(job, runtime.access(job, intake.receive))
        find_items(attempt.strategy, intake.receive)
    except runtime.stop_errors:
        raise
    except StaleRunError as error:
        log.warning("another process took up this discovery", job=job.name, error=str(error))
        return None
    except SourceUnavailableError as error:
        return attempt.wait_or_fail(error)
    except (SourceRejectedError, PluginError, JobsFileError) as error:
        return attempt.fail(str(error))
    except BaseException as error:  # a strategy may also call sys.exit: its run fails, not the worker
        log.exception("discovery failed", job=job.name)
        failure = describe_error(error)
        return attempt.fail(f"{failure.error_type}: {failure.message}")
    return attempt.finish()


@dataclass(slots=True)
class Attempt:
    """One attempt at one discovery, and how it ends on record."""

    runtime: Runtime
    job: JobSpec
    run: RunLease
    intake: Intake
    strategy: BaseDiscovery | None = None

    def finish(self) -> Discovered:
        """Record that it worked."""
        findings = self._tell(None)
        wait_for_room(lambda: discoveries.finish_discovery(self.runtime.tracker, self.run, findings))
        return self._conclude(findings)

    def fail(self, error: str, retry_at: int | None = None) -> Discovered:
        """Record that it failed, and when (Unix ms) it is tried again."""
        error = as_text(error)
        findings = self._tell(error)
        wait_for_room(
            lambda: discoveries.fail_discovery(self.runtime.tracker, self.run, error, retry_at, findings)
        )
        return self._conclude(findings, error, retry_at)

    def find_paused_host(self, error: SourceUnavailableError) -> HostPausedError | None:
        """Find the paused host for which nothing could be had, the first to go on; None if something else failed."""
        looks = self.strategy.looks.values() if self.strategy else ()
        paused = [look.paused for look in looks if look.paused is not None]
        if isinstance(error, HostPausedError):
            paused.append(error)
        if any(look.error is not None and look.paused is None for look in looks):
            return None
        return min(paused, key=lambda each: each.retry_after_seconds or 0, default=None)

    def wait_or_fail(self, error: SourceUnavailableError) -> Discovered:
        """Record that nothing could be had now: because of a paused host, or as a failure that is tried again."""
        if (paused := self.find_paused_host(error)) is not None:
            return self.wait(paused)
        return self.fail(f"source unavailable: {error}", self.retry_at(error))

    def wait(self, paused: HostPausedError) -> Discovered:
        """Record that it waits for a host's pause to end, which is no failure."""
        conn, host, reason = self.runtime.tracker, paused.host or "", as_text(paused)
        retry_at = due_in(paused.retry_after_seconds or 0)
        wait_for_room(lambda: wait_for_host(conn, self.run, host, reason, retry_at))
        log.info("discovery waits", job=self.job.name, reason=reason, retry_at=retry_at)
        return Discovered(self.job.name, **asdict(self.intake.counts), error=reason, retry_at=retry_at)

    def retry_at(self, error: SourceUnavailableError) -> int | None:
        """Tell when to try again (Unix ms): twice as late each time, or as the source asks; None to give up."""
        if self.run.tries >= MAX_ATTEMPTS:
            return None
        wait = min(FIRST_RETRY_SECONDS * 2 ** (self.run.tries - 1), LONGEST_RETRY_SECONDS)
        return due_in(max(wait, error.retry_after_seconds or 0))

    def _tell(self, error: str | None) -> Findings:
        strategy, intake = self.strategy, self.intake
        looks = strategy.looks if strategy else {}
        refused = intake.refused + (strategy.refused if strategy else Counter[str]())
        problems = [*(strategy.problems if strategy else ()), *intake.problems]
        return Findings(refused, [as_text(each) for each in problems], intake.list_looks(looks, error))

    def _conclude(
        self, findings: Findings, error: str | None = None, retry_at: int | None = None
    ) -> Discovered:
        counts = asdict(self.intake.counts)
        ended = Discovered(
            self.job.name,
            **counts,
            refused=sum(findings.refused.values()),
            error=error,
            retry_at=retry_at,
            refused_for=dict(findings.refused),
        )
        if error is None:
            log.info("discovered", job=self.job.name, **counts, refused=dict(findings.refused))
        else:
            log.warning("discovery failed", job=self.job.name, error=error, retry_at=retry_at)
        return ended


def make_strategy(job: JobSpec, access: Access) -> BaseDiscovery:
    """Make a job's strategy of its parameters, variables resolved."""
    strategy: Callable[..., BaseDiscovery] = catalog.load(catalog.STRATEGY, job.discovery.strategy)
    made = strategy(resolve_params(fill_from_environment(strategy, job.discovery.params)), access)
    KNOWN.learn_model(getattr(made, "params", None))
    return made


def find_items(strategy: BaseDiscovery, receive: Receive) -> None:
    """Run a strategy to its end; `receive` also gets what it returns instead of handing it over."""
    with printing_aside():
        returned = asyncio.run(_await_found(strategy))
        # what overrides the template leaves out its checks
        items = require_items(returned, f"{type(strategy).__name__}.discover")
        for_the_first_time = admit_items(items, strategy.refused)
        while batch := list(islice(for_the_first_time, BATCH)):
            receive(Batch(batch))


async def _await_found(strategy: BaseDiscovery) -> object:
    found: object = strategy.discover()  # an override may be a plain function
    return await found if isawaitable(found) else found


def collect_found(runtime: Runtime, job: JobSpec, limit: int | None = None) -> list[FoundItem]:
    """
    Find at most `limit` items as a first discovery of the job would, storing nothing and remembering nothing.

    Raises what the strategy raises.
    """
    sieve = Sieve(job)
    found: list[FoundItem] = []

    def collect(batch: Batch) -> None:
        found.extend(item.as_found() for item in sieve.sift(batch))
        if limit is not None and len(found) >= limit:
            raise EnoughError

    access = replace(runtime.access(job, collect), recall=recall_nothing)
    with suppress(EnoughError):
        find_items(make_strategy(job, access), collect)
    return found[:limit]
