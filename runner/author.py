"""
The author's loop: find a few items, and put them through their stages in this process, on a tracker of their own.

All is as in production, claims, results and costs; but the tracker is a new file in a folder that goes away at the
end, and each stage is tried once. The real tracker is only read.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

from pipeline.aside import printing_aside
from pipeline.errors import ArtifactError, NotFoundError
from pipeline.lifecycle import Status
from runner.advance import advance
from runner.context import RunContext
from runner.discover import collect_found
from runner.runtime import Runtime
from tracker.attempts import list_stages, list_untried, read_attempt_report
from tracker.blobs import BlobStore
from tracker.clock import now_ms
from tracker.connection import open_readonly, write
from tracker.items import find_item, get_item, upsert_items
from tracker.near_keys import find_near_key
from tracker.plan import open_items
from tracker.results import get_result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.jobspec import JobSpec
    from pipeline.settings import Settings
    from tracker.attempts import AttemptCost, AttemptReport
    from tracker.dispatch import Message


@dataclass(frozen=True, slots=True)
class StageTrial:
    """
    What a stage came to.

    `ending` is done, skipped, retry_later, failed or not_reached; `result` is there when it is done, `reason` when it
    is not, `trace` when it raised. `usd` sums what its costs are known to be.
    """

    stage: str
    ending: str
    seconds: float = 0.0
    usd: float = 0.0
    result: dict[str, Any] | None = None
    reason: str | None = None
    delay_seconds: float | None = None
    trace: str | None = None
    costs: Sequence[AttemptCost] = ()


@dataclass(frozen=True, slots=True)
class ItemTrial:
    """An item that was put through its stages."""

    key: str
    data: Mapping[str, Any]
    stages: Sequence[StageTrial] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ToTry:
    """An item to be tested, as discovery or the real tracker has it."""

    key: str
    data: Mapping[str, Any]


class Nobody:
    """A publisher to whom nobody listens: who tests runs what is ready itself."""

    def publish_stages(self, job: JobSpec, messages: Sequence[Message]) -> None:
        """Take messages, and leave it at that."""

    def publish_discovery(self, job_id: str, *, run_id: int | None = None, scheduled: bool = False) -> None:
        """Take a wish, and leave it at that."""

    def has_waiting_messages(self) -> bool:
        """Tell that there are none."""
        return False


class ReadThrough(BlobStore):
    """A folder of artifacts that also finds, and never changes, those of another."""

    def __init__(self, folder: Path, behind: BlobStore) -> None:
        super().__init__(folder)
        self._behind = behind

    def verify(self, sha256: str, size: int | None = None) -> Path:
        """Give the path of a file here, or else behind, after reading it through. Raises `ArtifactError`."""
        try:
            return super().verify(sha256, size)
        except ArtifactError:
            return self._behind.verify(sha256, size)


def find_to_try(
    settings: Settings, job_id: str, run: RunContext, stdin: BinaryIO | None = None
) -> list[ToTry]:
    """
    Find the items to be tried: the first `limit` of a discovery, or the one with the key `test_item`.

    One that the real tracker knows is taken from there; `stdin` is what is piped in. Raises `NotFoundError`, and what
    discovery raises.
    """
    looking = Runtime(settings, publisher=None, run=RunContext(mode="dry_run"))
    looking.stdin = stdin
    job = looking.jobs.get_job(job_id)
    if run.test_stage is not None:
        job.stage(run.test_stage)
    try:
        if run.test_item is None:
            found = collect_found(looking, job, run.limit)
            return [ToTry(one.key, one.data) for one in found]
        known = _find_known(settings, job_id, run.test_item)
        return [known or _find_key(looking, job, run.test_item, settings)]
    finally:
        looking.close()


def _find_known(settings: Settings, job_id: str, key: str) -> ToTry | None:
    if not settings.db_path.exists():
        return None
    with open_readonly(settings.db_path) as conn:
        item = find_item(conn, job_id, key)
    return None if item is None else ToTry(key, json.loads(item["data"]))


def _find_key(looking: Runtime, job: JobSpec, key: str, settings: Settings) -> ToTry:
    for one in collect_found(looking, job):
        if one.key == key:
            return ToTry(one.key, one.data)
    nearest = None
    if settings.db_path.exists():
        with open_readonly(settings.db_path) as conn:
            nearest = find_near_key(conn, job.name, key)
    raise NotFoundError(f"item in job {job.name!r} with key", key, nearest)


def try_items(
    settings: Settings, job_id: str, found: Sequence[ToTry], only: str | None = None
) -> Iterator[ItemTrial]:
    """Put items through their stages, one after the other; with `only`, that stage and what leads to it."""
    with _throw_away(settings) as runtime:
        job = runtime.jobs.get_job(job_id)
        wanted = job.ancestors(only) | {only} if only else frozenset(job.stage_names)
        for one in found:
            upsert_items(runtime.tracker, job_id, [{"key": one.key, "data": one.data}])
            yield ItemTrial(one.key, one.data, _work_through(runtime, job, one.key, wanted))


@contextmanager
def _throw_away(settings: Settings) -> Iterator[Runtime]:
    """Give a runtime over a new tracker, which goes away with all that was kept."""
    with TemporaryDirectory(prefix="celeriac-test-") as name:
        folder = Path(name)
        own = settings.model_copy(update={"data": folder, "db": folder / "tracker.db"})
        run = RunContext(mode="test", active_items=frozenset())  # nothing is sent
        runtime = Runtime(own, Nobody(), run=run)
        runtime.artifacts = ReadThrough(own.artifacts_path, BlobStore(settings.artifacts_path))
        try:
            yield runtime
        finally:
            runtime.close()


def _work_through(runtime: Runtime, job: JobSpec, key: str, wanted: frozenset[str]) -> list[StageTrial]:
    conn = runtime.tracker
    item_id = get_item(conn, job.name, key)["item_id"]
    with write(conn):
        open_items(conn, job.name, [item_id], runtime.plan(job))
    tried: dict[str, StageTrial] = {}
    while ready := [stage for stage in list_untried(conn, item_id) if stage in wanted]:
        tried[ready[0]] = _try_stage(runtime, job, item_id, key, ready[0])
    stages = list_stages(conn, item_id)
    return [
        tried.get(name) or _not_tried(name, status, reason)
        for name, status, reason in stages
        if name in wanted
    ]


def _try_stage(runtime: Runtime, job: JobSpec, item_id: int, key: str, stage: str) -> StageTrial:
    began = time.monotonic()
    with printing_aside():
        advance(runtime, item_id, stage, attempt=1)
    seconds = round(time.monotonic() - began, 3)
    report = read_attempt_report(runtime.tracker, item_id, stage, attempt=1)
    return StageTrial(
        stage,
        _name_ending(report),
        seconds,
        usd=sum(cost.usd or 0.0 for cost in report.costs),
        result=get_result(runtime.tracker, job.name, key, stage) if report.status == Status.DONE else None,
        reason=report.reason if report.error is None else f"{report.error}: {report.message}",
        delay_seconds=None if report.retry_at is None else max(0.0, (report.retry_at - now_ms()) / 1000),
        trace=report.traceback,
        costs=report.costs,
    )


def _name_ending(report: AttemptReport) -> str:
    if report.status == Status.PENDING:
        return "retry_later" if report.error is None else "failed"
    return str(report.status)


def _not_tried(stage: str, status: str, reason: str | None) -> StageTrial:
    if status == Status.PENDING:
        return StageTrial(stage, "not_reached", reason="a stage that it needs did not end well")
    return StageTrial(stage, status, reason=reason)
