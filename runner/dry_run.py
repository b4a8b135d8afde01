"""Run a few items through their stages in this process, writing nothing, to see what each would give."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import structlog

from handlers.running import run_handler
from pipeline.aside import printing_aside
from pipeline.errors import NotFoundError
from pipeline.outcomes import Outcome, Skip
from runner.attempt import Work, make_context
from runner.discover import collect_found
from runner.judge import as_text
from runner.sandbox import describe_outcome, describe_raised
from runner.scratch_desk import ScratchDesk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discovery.base import FoundItem
    from handlers.spent import Spent
    from pipeline.jobspec import JobSpec, StageSpec
    from runner.context import RunContext
    from runner.runtime import Runtime
    from tracker.blobs import BlobStore

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
    Discover, then run each stage of the first `limit` items (or of `test_item`) after those that it needs.

    The tracker is not opened for writing, and what handlers keep goes away at the end. With `test_stage`, only
    that and what leads to it. Raises what discovery raises.
    """
    job = runtime.jobs.get_job(job_id)
    if run.test_stage is not None:
        job.stage(run.test_stage)
    found = collect_found(runtime, job, run.limit if run.test_item is None else None)
    with TemporaryDirectory(prefix="celeriac-") as folder:
        scratch = Scratch(Path(folder), runtime.artifacts)
        for item in _choose(found, job_id, run):
            yield from _rehearse_item(runtime, job, item, run.test_stage, scratch)


@dataclass(frozen=True, slots=True)
class Scratch:
    """What the handlers of a rehearsal keep and remember, until it is over."""

    folder: Path
    kept: BlobStore
    memory: dict[str, Any] = field(default_factory=dict)
    fingerprints: dict[str, dict[str, int]] = field(default_factory=dict)

    def make_desk(self, key: str, stage: str) -> ScratchDesk:
        """Make the desk for one stage of one item."""
        noted = self.fingerprints.setdefault(stage, {})
        return ScratchDesk(self.folder, key, kept=self.kept, memory=self.memory, fingerprints=noted)


def _choose(found: list[FoundItem], job_id: str, run: RunContext) -> list[FoundItem]:
    if run.test_item is None:
        return found[: run.limit]
    chosen = [item for item in found if item.key == run.test_item]
    if not chosen:
        raise NotFoundError(f"item found by job {job_id!r} with key", run.test_item)
    return chosen


LeftOut = tuple[str, str]
"""The ending, and the reason, of the stages after one that did not end well, or that skipped the rest."""

NOT_REACHED: LeftOut = "not_reached", "a stage that it needs did not end well"


def _rehearse_item(
    runtime: Runtime, job: JobSpec, item: FoundItem, last: str | None, scratch: Scratch
) -> Iterator[WouldGive]:
    results: dict[str, dict[str, Any]] = {}
    left_out: dict[str, LeftOut] = {}
    for spec in _list_in_order(job, last):
        causes = [left_out[need] for need in spec.needs if need in left_out]
        if causes:
            left_out[spec.name] = min(causes, key=lambda cause: cause is NOT_REACHED)  # a skip goes further
            yield WouldGive(item.key, spec.name, left_out[spec.name][0], reason=left_out[spec.name][1])
            continue
        outcome = _rehearse_stage(runtime, job, spec, item, results, scratch.make_desk(item.key, spec.name))
        if isinstance(outcome, dict):
            results[spec.name] = outcome
        elif not isinstance(outcome, Skip):
            left_out[spec.name] = NOT_REACHED
        elif outcome.rest:
            left_out[spec.name] = "skipped", as_text(outcome.reason)
        yield _describe(item.key, spec.name, outcome)


def _list_in_order(job: JobSpec, last: str | None) -> list[StageSpec]:
    """List the stages that are on, each after what it needs: all, or `last` and what leads to it."""
    ordered: dict[str, StageSpec] = {}

    def add(spec: StageSpec) -> None:
        if spec.name not in ordered:
            for need in spec.needs:
                add(job.stage(need))
            ordered[spec.name] = spec

    for spec in job.stages if last is None else (job.stage(last),):
        add(spec)
    return [spec for spec in ordered.values() if spec.enabled]


def _rehearse_stage(
    runtime: Runtime,
    job: JobSpec,
    spec: StageSpec,
    item: FoundItem,
    results: dict[str, dict[str, Any]],
    desk: ScratchDesk,
) -> Outcome | BaseException:
    try:
        prepared = runtime.prepare(job, spec.name)
        work = Work(
            job=job.name,
            key=item.key,
            stage=spec.name,
            attempt=1,
            data=item.data,
            results={name: results[name] for name in spec.needs if name in results},
            timeout_seconds=spec.timeout,
            item_files=prepared.item_files,
        )
        context = make_context(work, runtime.http, _tell_cost, desk=desk)
        with printing_aside():
            return run_handler(prepared.handler, context)
    except runtime.stop_errors:
        raise
    except BaseException as error:  # noqa: BLE001 - to show what a handler raises is what this is for
        return error


def _tell_cost(cost: Spent) -> None:
    log.info("would cost", usd=cost.usd, provider=cost.provider, model=cost.model, units=cost.units)


def _describe(key: str, stage: str, outcome: Outcome | BaseException) -> WouldGive:
    known = describe_raised(outcome) if isinstance(outcome, BaseException) else describe_outcome(outcome)
    return WouldGive(key, stage, known["ending"], known.get("result"), known.get("reason"))
