"""Which items an action is for: named by their keys, selected by a filter, or all there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.catalog import find_nearest
from pipeline.errors import NotFoundError
from pipeline.filters import Filter, parse_filter
from tracker import items, reports
from tracker.failures import get_group, keep_to_failures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.runtime import Runtime
    from tracker.failures import FailureGroup

EVERY_FAILURE: dict[str, Any] = {"by": "failed"}
"""The choice of all that failed: of the order's job and stage, or of every job."""

OF_EITHER = {"status", "cost"}
"""The words of filters that are asked of the stage in a filter that selects stages, else of the item."""

EVERY_ITEM: dict[str, Any] = {"by": "job"}
"""The choice of all items of the order's job."""


def choose_keys(runtime: Runtime, job_id: str, keys: Sequence[str]) -> dict[str, Any]:
    """Choose items of a job by their keys. Raises `NotFoundError`, with the nearest key, for one that is not there."""
    runtime.jobs.get_job(job_id)
    ids = {items.get_item(runtime.tracker, job_id, key)["item_id"] for key in keys}
    return {"by": "items", "items": sorted(ids)}


def choose_filter(
    runtime: Runtime,
    text: str | None,
    *,
    job_id: str | None,
    stage: str | None = None,
    group: str | None = None,
    only_failed: bool = False,
) -> dict[str, Any]:
    """
    Choose what a filter selects, narrowed to a job, a stage and a group of failures if these are given.

    With `only_failed`, the stages that are failed of what it selects. A filter that selects whole items of a job, by
    words that mean the same of a stage, is left as it is: items that have no stages yet are chosen too, and the order
    says which stage is meant. Raises `InvalidFilterError`, and `NotFoundError`, with the nearest, for a job, stage or
    group that is not there.
    """
    wanted = parse_filter(text) if text is not None else Filter()
    _require_names(runtime, wanted, job_id)
    whole = _require_group(runtime, group, job_id).id if group is not None else None
    chooses_items = job_id is not None and whole is None and not only_failed and _is_of_items(wanted)
    for word, name in (("job", job_id), ("stage", stage), ("signature", whole)):
        if name is not None and not (word == "stage" and chooses_items):
            wanted = wanted.narrow(word, name)
    return {"by": "filter", "text": str(keep_to_failures(wanted) if only_failed else wanted)}


def _is_of_items(wanted: Filter) -> bool:
    """Tell whether a filter selects items, by nothing that would be asked of a stage if it were narrowed to one."""
    return not wanted.selects_stages and not any(term.word in OF_EITHER for term in wanted.terms)


def _require_group(runtime: Runtime, name: str, job_id: str | None) -> FailureGroup:
    found = get_group(runtime.tracker, name)
    if job_id not in {None, found.job}:
        raise NotFoundError(
            f"group of failures of job {job_id!r} (it is one of {found.job!r}) with the id", name
        )
    return found


def _require_names(runtime: Runtime, wanted: Filter, job_id: str | None) -> None:
    """Refuse names of jobs and stages that mean nothing; the beginnings of names may."""
    jobs = {job.name: job for job in runtime.jobs.jobs.values()}
    known = {*jobs, *reports.list_job_names(runtime.tracker)}
    _require("job", wanted, known)
    if job_id is not None or not any(term.word == "stage" for term in wanted.terms):
        _require("stage", wanted, {stage.name for stage in jobs[job_id].stages} if job_id in jobs else None)
    else:
        _require("stage", wanted, {stage.name for job in jobs.values() for stage in job.stages})


def _require(word: str, wanted: Filter, known: Iterable[str] | None) -> None:
    names = [
        value.text
        for term in wanted.terms
        if term.word == word
        for value in term.values
        if not value.is_prefix
    ]
    for name in names:
        if known is not None and name not in known:
            raise NotFoundError(f"{word} named", name, find_nearest(name, sorted(known)))
