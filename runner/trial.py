"""
Try a strategy out, in this process, storing nothing: what it finds, and what would come of it.

The runtime is one of a dry run, whose manners towards hosts are not written down either.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from discovery.memory import EnoughError, Recalled, recall_nothing
from pipeline.catalog import STRATEGY
from pipeline.errors import CeleriacError, SourceUnavailableError
from pipeline.jobspec import JobSpec
from runner.discover import find_items, make_strategy
from runner.fields_seen import FieldSeen, look_at_fields
from runner.given_params import check_params
from runner.intake import Sieve
from runner.judge import as_text, describe_error
from tracker.connection import open_readonly
from tracker.findings import find_held, find_versions
from tracker.sources import read_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from discovery.base import BaseDiscovery
    from discovery.items import AdmittedItem
    from discovery.memory import Batch, Recall
    from runner.runtime import Runtime


@dataclass(frozen=True, slots=True)
class TriedItem:
    """
    A found thing that was not stored.

    `state` is what it would be to its job: new, known, changed (known, with another version) or held (waiting for
    approval); None without a job.
    """

    key: str
    data: dict[str, Any]
    priority: int | None
    version: str | None
    source: str | None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What a trial came to.

    `items` are at most as many as asked for, out of `found`; with `stopped` it looked no further, and there may be
    more. `error` says why it ended before its end; `unavailable` that trying again later may help. `trace` is there
    when the strategy itself broke.
    """

    strategy: str
    items: Sequence[TriedItem]
    fields: Sequence[FieldSeen]
    found: int
    stopped: bool
    refused: Mapping[str, int]
    problems: Sequence[str]
    requests: int
    seconds: float
    error: str | None = None
    unavailable: bool = False
    retry_after_seconds: float | None = None
    trace: str | None = None


def try_strategy(runtime: Runtime, name: str, params: Mapping[str, Any], limit: int) -> Trial:
    """
    Run a strategy without a job, until it has found `limit` items or all.

    Raises `InvalidParamsError` with every mistake, `UnknownNameError`, or `LackingError`.
    """
    check_params(STRATEGY, name, params)
    found_by = {"strategy": name, "params": params}
    job = JobSpec.model_validate({"name": "trial", "discovery": found_by, "stages": ["fetch"]})
    return _try(runtime, job, limit, recall_nothing, lambda items: list(map(_describe, items)))


def try_job(runtime: Runtime, job_id: str, limit: int) -> Trial:
    """
    Run a job's strategy as its next discovery would, until it has found `limit` items or all.

    It goes on at the cursors of earlier discoveries, but asks also what has not changed since. The tracker is
    only read; without one, all is new.
    """
    job = runtime.jobs.get_job(job_id)

    def recall(source: str) -> Recalled:
        with open_readonly(runtime.settings.db_path) as conn:
            return Recalled(read_memory(conn, job_id, source).cursor)

    def describe(items: Sequence[AdmittedItem]) -> list[TriedItem]:
        with open_readonly(runtime.settings.db_path) as conn:
            keys = [item.key for item in items]
            versions, held = find_versions(conn, job_id, keys), find_held(conn, job_id, keys)
        return [_describe(item, _tell_state(item, versions, held)) for item in items]

    if not runtime.settings.db_path.exists():
        return _try(
            runtime, job, limit, recall_nothing, lambda items: [_describe(item, "new") for item in items]
        )
    return _try(runtime, job, limit, recall, describe)


# -- the trial itself -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Collector:
    """Keeps what is found, as the job would have it, and ends the discovery when that is enough."""

    sieve: Sieve
    limit: int
    items: dict[str, AdmittedItem] = field(default_factory=dict)
    stopped: bool = False

    def receive(self, batch: Batch) -> None:
        for item in self.sieve.sift(batch):
            self.items.setdefault(item.key, replace(item, source=item.source or batch.source or None))
        if len(self.items) >= self.limit:
            self.stopped = True
            raise EnoughError


def _try(
    runtime: Runtime,
    job: JobSpec,
    limit: int,
    recall: Recall,
    describe: Callable[[Sequence[AdmittedItem]], list[TriedItem]],
) -> Trial:
    collector = _Collector(Sieve(job), limit)
    access = replace(runtime.access(job, collector.receive), recall=recall)
    strategy = make_strategy(job, access)
    began = time.monotonic()
    ended = _run(runtime, strategy, collector)
    seconds = time.monotonic() - began
    items = describe(list(collector.items.values())[:limit])
    return Trial(
        strategy=job.discovery.strategy,
        items=items,
        fields=look_at_fields([item.data for item in items]),
        found=len(collector.items),
        stopped=collector.stopped,
        refused=dict(strategy.refused + collector.sieve.refused),
        problems=[as_text(each) for each in (*strategy.problems, *collector.sieve.problems)],
        requests=sum(look.requests for look in strategy.looks.values()),
        seconds=round(seconds, 3),
        **ended,
    )


def _run(runtime: Runtime, strategy: BaseDiscovery, collector: _Collector) -> dict[str, Any]:
    try:
        find_items(strategy, collector.receive)
    except EnoughError:
        pass
    except runtime.stop_errors:
        raise
    except SourceUnavailableError as error:
        wait = error.retry_after_seconds
        return {"error": as_text(error), "unavailable": True, "retry_after_seconds": wait}
    except CeleriacError as error:
        return {"error": as_text(error)}
    except BaseException as error:  # noqa: BLE001 - to show what a strategy raises is what this is for
        failure = describe_error(error)
        return {"error": f"{failure.error_type}: {failure.message}", "trace": failure.traceback}
    return {}


def _describe(item: AdmittedItem, state: str | None = None) -> TriedItem:
    return TriedItem(item.key, item.data, item.priority, item.version, item.source, state)


def _tell_state(item: AdmittedItem, versions: Mapping[str, str | None], held: set[str]) -> str:
    if item.key not in versions:
        return "held" if item.key in held else "new"
    was = versions[item.key]
    return "changed" if None not in {was, item.version} and was != item.version else "known"
