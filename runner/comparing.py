"""Compare two results of a stage of an item: the one that counts with an older one, or two older ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.differences import Difference, compare
from runner.big_results import is_moved, read_back
from tracker.history import PastResult, choose_two, list_results_of_stage
from tracker.results import NeededResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.runtime import Runtime
    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class Compared:
    """Two results of a stage of an item, and what differs between them; `diff` is empty when that is nothing."""

    job: str
    key: str
    stage: str
    before: PastResult
    after: PastResult
    diff: Sequence[Difference]


def compare_stored(
    runtime: Runtime, conn: Connection, job_id: str, key: str, stage: str, attempts: Sequence[int] = ()
) -> Compared:
    """
    Compare two results by the attempts that made them; without any the last two, with one that and the last.

    Big ones are read from their files. Raises `NotFoundError` for what is not there, and `ArtifactError`.
    """
    found = list_results_of_stage(conn, job_id, key, stage)
    before, after = (_read(runtime, one) for one in choose_two(found, key, *attempts))
    return Compared(job_id, key, stage, before, after, compare(before.result, after.result))


def _read(runtime: Runtime, one: PastResult) -> PastResult:
    if not is_moved(one.result):
        return one
    return replace(one, result=read_back(runtime, NeededResult(one.result, "")).result)
