"""Run a few items through their stages in this process, writing nothing, to see what each would give."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from handlers.base import HandlerContext
from handlers.running import run_handler
from pipeline.errors import NotFoundError
from pipeline.outcomes import GiveUp, RetryLater, Skip
from runner.discover import find_items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discovery.base import FoundItem
    from pipeline.jobspec import JobSpec, StageSpec
    from runner.context import RunContext
    from runner.runtime import Runtime

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WouldGive:
    """
    What one stage would give for one item.

    `ending` is done, skipped, retry_later, gave_up, failed or not_reached; `result` is there when it is done,
    `reason` when it is not.
    """

    key: str
    stage: str
    ending: str
    result: dict[str, Any] | None = None
    reason: str | None = None


def rehearse(runtime: Runtime, job_id: str, run: RunContext) -> Iterator[WouldGive]:
    """
    Discover, then run each stage of the first `limit` items (or of `test_item`), in the order of jobs.yaml.

    The tracker is not opened for writing. Up to `test_stage` if given. Raises what discovery raises.
    """
    job = runtime.jobs.get_job(job_id)
    if run.test_stage is not None:
        job.stage(run.test_stage)
    _, found = find_items(runtime, job)
    for item in _choose(found, job_id, run):
        yield from _rehearse_item(runtime, job, item, run.test_stage)


def _choose(found: list[FoundItem], job_id: str, run: RunContext) -> list[FoundItem]:
    if run.test_item is None:
        return found[: run.limit]
    chosen = [item for item in found if item.key == run.test_item]
    if not chosen:
        raise NotFoundError(f"item found by job {job_id!r} with key", run.test_item)
    return chosen


def _rehearse_item(runtime: Runtime, job: JobSpec, item: FoundItem, last: str | None) -> Iterator[WouldGive]:
    results: dict[str, dict[str, Any]] = {}
    left_out: set[str] = set()
    for spec in job.stages:
        if not spec.enabled:
            continue
        if left_out & set(spec.needs):
            left_out.add(spec.name)
            yield WouldGive(
                item.key, spec.name, "not_reached", reason="a stage that it needs did not end well"
            )
            continue
        given = _rehearse_stage(runtime, job, spec, item, results)
        if given.result is not None:
            results[spec.name] = given.result
        elif given.ending != "skipped":
            left_out.add(spec.name)
        yield given
        if spec.name == last:
            return


def _rehearse_stage(
    runtime: Runtime, job: JobSpec, spec: StageSpec, item: FoundItem, results: dict[str, dict[str, Any]]
) -> WouldGive:
    try:
        context = HandlerContext(
            job=job.name,
            key=item.key,
            data=item.data,
            results={name: results[name] for name in spec.needs if name in results},
            attempt=1,
            log=log.bind(job=job.name, key=item.key, stage=spec.name, attempt=1),
            http=runtime.http,
            deadline=datetime.now(UTC) + timedelta(seconds=spec.timeout),
            record_cost=lambda usd, provider, units: log.info(
                "would cost", usd=usd, provider=provider, units=units
            ),
        )
        outcome = run_handler(runtime.prepare(job, spec.name).handler, context)
    except Exception as error:  # noqa: BLE001 - to show what a handler raises is what this is for
        return WouldGive(item.key, spec.name, "failed", reason=f"{type(error).__name__}: {error}")
    if isinstance(outcome, Skip):
        return WouldGive(item.key, spec.name, "skipped", reason=outcome.reason)
    if isinstance(outcome, RetryLater):
        return WouldGive(item.key, spec.name, "retry_later", reason=outcome.reason)
    if isinstance(outcome, GiveUp):
        return WouldGive(item.key, spec.name, "gave_up", reason=outcome.reason)
    return WouldGive(item.key, spec.name, "done", result=outcome)
