"""
Remote stages: run by workers that cannot open the tracker's file, and recorded by those beside it.

The message carries what the stage needs (its cargo). The remote worker says when it begins, that it is alive,
and how it ended; a worker beside the file claims, renews and settles for it, by the same functions and with
the same fencing. Whatever of this is lost, the lease runs out and the stage is sent again.
"""

from __future__ import annotations

import threading
from asyncio import CancelledError
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from handlers.running import run_handler
from handlers.spent import Spent
from pipeline.errors import NotFoundError
from runner.advance import conclude
from runner.attempt import Work, make_context
from runner.claimed import Claimed
from runner.costs import Costs
from runner.judge import describe_error, describe_timeout, judge_failure, judge_outcome
from runner.leases import RENEW_EVERY_SECONDS
from runner.runtime import make_handler
from tracker import claims
from tracker.endings import Ending, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from net.client import PoliteClient
    from runner.cargo import Cargo
    from runner.runtime import Runtime

log = structlog.get_logger(__name__)

Report = dict[str, Any]
"""How a remote attempt ended: an ending's name with what belongs to it, and costs."""


# -- far from the file ------------------------------------------------------------------------------------


class Line(Protocol):
    """What a remote attempt says to the workers beside the file. Best effort: the lease covers what is lost."""

    def begun(self) -> None:
        """Say that the handler is about to run."""

    def alive(self) -> None:
        """Say that it still runs."""

    def ended(self, report: Report) -> None:
        """Say how it ended."""


def run_away(
    cargo: Cargo, stage: str, attempt: int, http: PoliteClient, line: Line, timeout_error: type[BaseException]
) -> None:
    """Run a remote attempt and report it; only what ends the process comes through as an exception."""
    line.begun()
    spent: list[Spent] = []
    with _kept_alive(line):
        report = _run(cargo, stage, attempt, http, spent, timeout_error)
    line.ended(report | {"job": cargo["job"], "costs": [asdict(cost) for cost in spent]})


@contextmanager
def _kept_alive(line: Line) -> Iterator[None]:
    done = threading.Event()

    def keep() -> None:
        while not done.wait(RENEW_EVERY_SECONDS):
            line.alive()

    keeper = threading.Thread(target=keep, name="remote-lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _run(
    cargo: Cargo,
    stage: str,
    attempt: int,
    http: PoliteClient,
    spent: list[Spent],
    timeout_error: type[BaseException],
) -> Report:
    work = Work(
        job=cargo["job"],
        key=cargo["key"],
        stage=stage,
        attempt=attempt,
        data=cargo["data"],
        results=cargo["results"],
        timeout_seconds=cargo["timeout_seconds"],
    )
    version = None
    try:
        handler, version = make_handler(cargo["handler"], cargo["params"])
        outcome = run_handler(handler, make_context(work, http, spent.append))
        return _as_report(judge_outcome(outcome, version, cargo["input_hash"]))
    except timeout_error as error:
        timeout = describe_timeout(work.timeout_seconds, describe_error(error).traceback)
        return _as_failure(replace(timeout, handler_version=version))
    except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever a handler raises is its stage's failure
        return _as_failure(replace(describe_error(error), handler_version=version))


def _as_failure(failure: Failure) -> Report:
    return {"ended": "failure", "failure": asdict(failure)}


def _as_report(ending: Ending) -> Report:
    return {
        "ended": ending.move.name,
        "reason": ending.reason,
        "result_json": ending.result_json,
        "version": ending.failure.handler_version if ending.failure else ending.handler_version,
        "input_hash": ending.input_hash,
        "output_hash": ending.output_hash,
        "retry_at": ending.retry_at,
        "skips_rest": ending.skips_rest,
    }


# -- beside the file --------------------------------------------------------------------------------------


def note_begun(runtime: Runtime, item_id: int, stage: str, attempt: int, worker: str) -> None:
    """Claim a stage for the remote worker that has begun it; a duplicate changes nothing."""
    claims.claim(runtime.tracker, item_id, stage, attempt, worker=worker)


def note_alive(runtime: Runtime, item_id: int, stage: str, attempt: int) -> None:
    """Renew the lease of a remote worker that still runs."""
    claims.renew_lease(runtime.tracker, item_id, stage, attempt)


def note_ended(runtime: Runtime, item_id: int, stage: str, attempt: int, worker: str, report: Report) -> None:
    """
    Settle a remote attempt. If the word that it began was lost, it is claimed first.

    An attempt that was overtaken changes nothing but the costs, like any other.
    """
    costs = Costs(runtime, report["job"], item_id, stage, attempt)
    for cost in report["costs"]:
        costs.record(Spent(**cost))
    claim = claims.read_claim(runtime.tracker, item_id, stage, attempt) or claims.claim(
        runtime.tracker, item_id, stage, attempt, worker=worker
    )
    if claim is None:
        log.warning("dropped", reason="the remote attempt was overtaken", item_id=item_id, stage=stage)
        return
    conclude(runtime, Claimed(runtime, claim), _as_ending(runtime, claim, report))


def _as_ending(runtime: Runtime, claim: claims.Claim, report: Report) -> Ending:
    if report["ended"] == "failure":
        try:
            spec = runtime.jobs.get_job(claim.job_id).stage(claim.stage)
        except NotFoundError as error:
            return Ending.released(f"not in this worker's jobs.yaml: {error}")
        return judge_failure(spec, claim.retries, Failure(**report["failure"]))
    makers: dict[str, Callable[[], Ending]] = {
        "finish": lambda: Ending.finished(
            report["result_json"],
            report["version"],
            input_hash=report["input_hash"],
            output_hash=report["output_hash"],
        ),
        "skip": lambda: Ending.skipped(report["reason"], rest=report["skips_rest"]),
        "fail": lambda: Ending.gave_up(report["reason"], report["version"]),
        "retry_later": lambda: Ending.later(report["reason"], report["retry_at"]),
    }
    return makers[report["ended"]]()
