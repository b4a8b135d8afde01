"""A canary: the present handlers run aside on some items whose results are to be made again, old and new to compare."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline.differences import Difference, compare_results
from pipeline.versions import hash_input, hash_result
from runner.attempt import Work
from runner.big_results import MAX_CHARS, is_moved, read_needed
from runner.costs import log_spent
from runner.needed_results import NeededResults
from runner.replay import ReadingDesk, StoredResult, read_stored
from runner.sandbox import Ran, run_aside
from tracker.events import append_event
from tracker.reprocessing import Basis, Made, MeantItem, count_as_done, list_first
from tracker.results import NeededResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.jobspec import JobSpec, StageSpec
    from runner.runtime import Runtime


@dataclass(frozen=True, slots=True)
class CanaryStage:
    """
    What one stage of one item gave before, and what it gives now; `diff` is empty when that is the same.

    `made` can count as the stage's result; None for one that did not end well, or that kept files.
    """

    stage: str
    before: StoredResult
    version: str
    ran: Ran
    diff: Sequence[Difference]
    made: Made | None

    @property
    def is_changed(self) -> bool:
        """Tell whether what needs this stage would be done again."""
        return self.ran.ending != "done" or bool(self.diff)

    @property
    def has_failed(self) -> bool:
        """Tell whether it failed or gave up, and not only left the item out or asked for a later time."""
        return self.ran.ending in {"failed", "gave_up"}


@dataclass(frozen=True, slots=True)
class CanaryItem:
    """
    One item of a canary: what was run of it, and the stages that have to wait for others that were not.

    `basis` is what it was run on: the results count only while that is what the item has.
    """

    item_id: int
    key: str
    meant: Sequence[str]
    stages: Sequence[CanaryStage]
    left: Sequence[str]
    basis: Basis


def run_canary(runtime: Runtime, job: JobSpec, how: Mapping[str, Any], count: int) -> Iterator[CanaryItem]:
    """
    Run what is meant of the first `count` items aside, and give each as it is done.

    The tracker learns what that cost, and nothing else. What the handlers do elsewhere (a request, a mail) they do.
    """
    for item in list_first(runtime.tracker, job.name, how, count):
        yield _run_item(runtime, job, item)


def _run_item(runtime: Runtime, job: JobSpec, item: MeantItem) -> CanaryItem:
    meant = tuple(item.attempts)
    fresh: dict[str, NeededResult] = {}
    done: list[CanaryStage] = []
    unsettled, left = set[str](), list[str]()
    with TemporaryDirectory(prefix="celeriac-") as folder:
        for spec in job.stages:
            follows = not unsettled.isdisjoint(spec.needs)
            if spec.name in meant and not follows:
                done.append(_run_stage(runtime, job, spec, item, fresh, Path(folder)))
                _note(done[-1], fresh, unsettled, job)
            elif spec.name in meant:
                left.append(spec.name)
                unsettled.add(spec.name)
            elif follows:
                unsettled.add(spec.name)
    return CanaryItem(item.item_id, item.key, meant, tuple(done), tuple(left), item.basis)


def _note(done: CanaryStage, fresh: dict[str, NeededResult], unsettled: set[str], job: JobSpec) -> None:
    """Let later stages see a new result, and know of the stages that another result has done again."""
    if done.ran.result is None:
        unsettled.add(done.stage)
        return
    unsettled.discard(done.stage)
    fresh[done.stage] = NeededResult(done.ran.result, hash_result(done.ran.result))
    if done.is_changed:
        unsettled.update(job.children(done.stage))


def _run_stage(
    runtime: Runtime,
    job: JobSpec,
    spec: StageSpec,
    item: MeantItem,
    fresh: Mapping[str, NeededResult],
    folder: Path,
) -> CanaryStage:
    conn, item_id = runtime.tracker, item.item_id
    prepared = runtime.prepare(job, spec.name)
    needed = NeededResults(lambda: _read_needed(runtime, item_id, spec.needs, fresh))
    work = Work(
        job=job.name,
        key=item.key,
        stage=spec.name,
        attempt=1,
        data=json.loads(item.data_json),
        results=needed,
        timeout_seconds=spec.timeout,
        item_files=prepared.item_files,
    )
    before = read_stored(runtime, conn, job.name, item.key, spec.name)
    desk = ReadingDesk(folder, conn, item_id, spec.name, runtime)
    record = partial(log_spent, conn, job.name, item_id, spec.name)
    ran = run_aside(runtime, prepared.handler, work, desk, on_cost=record)
    made = _make(ran, prepared.version, hash_input(item.data_json, needed.read_hashes))
    diff = () if ran.result is None else compare_results(before.result, ran.result)
    return CanaryStage(spec.name, before, prepared.version, ran, diff, made)


def _read_needed(
    runtime: Runtime, item_id: int, needs: Sequence[str], fresh: Mapping[str, NeededResult]
) -> dict[str, NeededResult]:
    stored = read_needed(runtime, runtime.tracker, item_id, needs)
    return {need: one for need, one in {**stored, **fresh}.items() if need in needs}


def _make(ran: Ran, version: str, input_hash: str) -> Made | None:
    """Make of a run what can count: what it kept went away with the folder, and a big result would have to be kept."""
    if ran.result is None or ran.artifacts or is_moved(ran.result):
        return None
    text = json.dumps(ran.result, ensure_ascii=False, allow_nan=False)
    if len(text) > MAX_CHARS:
        return None
    return Made(text, version, input_hash, hash_result(ran.result), ran.seconds)


def approve_canary(runtime: Runtime, job_id: str, canary: Sequence[CanaryItem], by: str) -> list[int]:
    """
    Let the results of a canary count; the ids of the items that were seen to. Commits item by item.

    What follows from a result that is another one is left for workers. So is what could not count, and an item that has
    other data by now or of which something meant was done since: that would be replaced by what is older.
    """
    seen_to: list[int] = []
    for one in canary:
        made = {done.stage: done.made for done in one.stages if done.made is not None}
        if not made:
            continue
        settled = count_as_done(runtime.tracker, one.item_id, one.basis, made, by=by, worker=runtime.worker)
        if settled is not None:
            seen_to.append(one.item_id)
    if seen_to:
        append_event(runtime.tracker, job_id, "approve_canary", None, None, None, by, {"items": len(seen_to)})
    return seen_to


def find_changed_shares(canary: Sequence[CanaryItem]) -> dict[str, float]:
    """Find what share of a canary's results differ from those before, by stage."""
    runs: dict[str, list[bool]] = {}
    for one in canary:
        for done in one.stages:
            runs.setdefault(done.stage, []).append(done.is_changed)
    return {stage: sum(changed) / len(changed) for stage, changed in runs.items()}
