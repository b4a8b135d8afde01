"""Run a stage again on what is stored: aside, to compare, or for good, which resets it and what needs it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline.differences import Difference, compare_results
from pipeline.errors import NotFoundError
from pipeline.lifecycle import Status
from runner.attempt import Work
from runner.big_results import read_needed
from runner.sandbox import Ran, run_aside
from runner.scratch_desk import ScratchDesk
from tracker import answers, fingerprints, items
from tracker.connection import open_readonly
from tracker.results import get_handler_version
from tracker.stages import get_stage_status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.jobspec import JobSpec
    from runner.prepared import Prepared
    from runner.runtime import Runtime
    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class StoredResult:
    """The result that counts of a stage of an item, and the version that made it; None for none."""

    result: dict[str, Any] | None
    version: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a stage gave before and what it gives now; `diff` is empty when that is the same."""

    job: str
    key: str
    stage: str
    before: StoredResult
    version: str
    ran: Ran
    diff: Sequence[Difference]


def replay_aside(
    runtime: Runtime,
    job_id: str,
    key: str,
    stage: str,
    on_error: Callable[[BaseException], None] | None = None,
) -> Replayed:
    """
    Run a stage on the item's data and the stored results that it needs; the tracker is only read.

    The handler recalls what it remembered, and sees what other items noted. What it does elsewhere (a request, a
    mail, a file) it does. `on_error` is called with what it raises. Raises `NotFoundError` for what is not there.
    """
    job = runtime.jobs.get_job(job_id)
    prepared = runtime.prepare(job, stage)
    with open_readonly(runtime.settings.db_path) as conn, TemporaryDirectory(prefix="celeriac-") as folder:
        item = items.get_item(conn, job_id, key)
        work = _describe_work(runtime, conn, prepared, item)
        before = read_stored(runtime, conn, job_id, key, stage)
        desk = ReadingDesk(Path(folder), conn, item["item_id"], stage, runtime)
        ran = run_aside(runtime, prepared.handler, work, desk, on_error)
    diff = compare_results(before.result, ran.result)
    return Replayed(job_id, key, stage, before, prepared.version, ran, diff)


def require_ready(conn: Connection, job: JobSpec, key: str, stage: str) -> None:
    """Raise `NotFoundError` for an item that is not there, or whose stage waits for the results of others."""
    item_id = items.get_item(conn, job.name, key)["item_id"]
    for need in job.stage(stage).needs:
        if get_stage_status(conn, item_id, need) not in {Status.DONE, Status.SKIPPED}:
            raise NotFoundError(f"result of a stage that {stage!r} needs, named", need)


def read_stored(runtime: Runtime, conn: Connection, job_id: str, key: str, stage: str) -> StoredResult:
    """Read the result of a stage, a big one from its file, and its version."""
    found = read_needed(runtime, conn, items.get_item(conn, job_id, key)["item_id"], [stage])
    version = get_handler_version(conn, job_id, key, stage)
    return StoredResult(found[stage].result if stage in found else None, version)


def _describe_work(runtime: Runtime, conn: Connection, prepared: Prepared, item: Any) -> Work:
    job, spec = prepared.job, prepared.spec
    require_ready(conn, job, item["key"], spec.name)
    needed = read_needed(runtime, conn, item["item_id"], spec.needs)
    return Work(
        job=job.name,
        key=item["key"],
        stage=spec.name,
        attempt=1,
        data=json.loads(item["data"]),
        results={stage: one.result for stage, one in needed.items()},
        timeout_seconds=spec.timeout,
        item_files=prepared.item_files,
    )


class ReadingDesk(ScratchDesk):
    """A desk that leaves nothing behind, and knows what the tracker knows."""

    def __init__(self, folder: Path, conn: Connection, item_id: int, stage: str, runtime: Runtime) -> None:
        super().__init__(folder, kept=runtime.artifacts)
        self._conn, self._item_id, self._stage = conn, item_id, stage

    def recall(self, key: str) -> Any:
        """Recall what was remembered here, or else by any attempt before."""
        remembered = super().recall(key)
        return answers.recall(self._conn, key) if remembered is None else remembered

    def find_twin(self, fingerprint: int, distance: int) -> str | None:
        """Find the nearest fingerprint that another item noted before this one, noting nothing."""
        return fingerprints.look_for_twin(self._conn, self._item_id, self._stage, fingerprint, distance)
