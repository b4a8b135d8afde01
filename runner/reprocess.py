"""
Make results again: those of an older version, or all, of a job, a stage or what a filter selects.

What is meant is a choice, quoted before anything is done. Then the stages are marked, batch by batch, as one action
that can be taken up after a kill and undone (`runner.actions`); `tracker.cutoff` decides what runs and what follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import CeleriacError, NotFoundError
from pipeline.filters import parse_filter
from runner.actions import Order, carry_out
from runner.budget_review import list_budgets
from runner.choices import choose_filter
from runner.quoting import make_quote
from runner.staleness import find_version
from tracker.budgets import remember_budgets
from tracker.reprocessing import count_meant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipeline.jobspec import JobSpec, StageSpec
    from runner.actions import ActedOnMany
    from runner.quoting import Quote
    from runner.runtime import Runtime
    from tracker.actions import Action


@dataclass(frozen=True, slots=True)
class Wish:
    """
    Which results are to be made again: `how` is the choice, and `only_stale` whether it is of older versions only.

    `unknown` says of which stages the present version cannot be told, and why.
    """

    job: JobSpec
    stage: str | None
    only_stale: bool
    how: Mapping[str, Any]
    unknown: Mapping[str, str]


def make_wish(
    runtime: Runtime,
    job_id: str,
    *,
    stage: str | None = None,
    stale: bool = False,
    filter_text: str | None = None,
) -> Wish:
    """
    Say which results are meant.

    Of one stage, or of those that a filter names; without either, of every stage if only stale ones are meant, else of
    those with which an item begins, which what needs them then follows. Raises `NotFoundError`, `InvalidFilterError`,
    and what importing the handler of a stage that was named raises.
    """
    job = runtime.jobs.get_job(job_id)
    stages = _list_stages(runtime, job, stage, stale=stale, filter_text=filter_text)
    versions: dict[str, str | None] = dict.fromkeys(spec.name for spec in stages)
    unknown: dict[str, str] = {}
    for spec in stages if stale else ():
        try:
            versions[spec.name] = find_version(spec)
        except CeleriacError as error:
            if stage is not None:
                raise
            unknown[spec.name] = str(error)
            del versions[spec.name]
    how: dict[str, Any] = {"by": "results", "versions": versions}
    if filter_text is not None:
        how["text"] = choose_filter(runtime, filter_text, job_id=job_id)["text"]
    return Wish(job, stage, stale, how, unknown)


def _list_stages(
    runtime: Runtime, job: JobSpec, stage: str | None, *, stale: bool, filter_text: str | None
) -> Sequence[StageSpec]:
    if stage is not None:
        named = job.stage(stage)
        if not named.enabled:
            raise NotFoundError(f"stage of job {job.name!r} that is switched on, named", stage)
        return [named]
    on = [spec for spec in job.stages if spec.enabled]
    by_stages = filter_text is not None and parse_filter(filter_text).selects_stages
    if stale or by_stages:
        return on
    plan = runtime.plan(job)
    return [spec for spec in on if plan.switched_on.isdisjoint(plan.needs[spec.name])]


def quote(runtime: Runtime, wish: Wish, changed: Mapping[str, float] | None = None) -> Quote:
    """Tell what a wish would take. `changed` is what share of each stage's results a canary found to be others."""
    conn = runtime.tracker
    remember_budgets(conn, list_budgets(runtime.jobs))
    meant = count_meant(conn, wish.job.name, wish.how)
    return make_quote(conn, wish.job, meant, unknown=wish.unknown, changed=changed)


def reprocess(
    runtime: Runtime,
    wish: Wish,
    by: str,
    *,
    seen_to: Sequence[int] = (),
    watch: Callable[[Action], None] | None = None,
) -> ActedOnMany:
    """
    Mark what is meant, batch by batch, and send what may run; it goes behind what is fresh. Commits.

    `seen_to` are the items of a canary, which are left out.
    """
    how = {**wish.how, **({"except": sorted(seen_to)} if seen_to else {})}
    detail = {"stages": sorted(wish.how["versions"]), "stale": wish.only_stale, "canary": len(seen_to)}
    order = Order("reprocess", wish.job.name, by, how=how, detail=detail)
    return carry_out(runtime, order, watch=watch)
