"""
Run a remote attempt, on a machine that cannot open the tracker's file.

All that it needs comes with its message, or from the dashboard. It says when it begins, that it is alive, and how it
ended; see `runner.remote` for what is made of that.
"""

from __future__ import annotations

import threading
from asyncio import CancelledError
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from handlers.places import ItemFiles
from handlers.running import run_handler
from pipeline.errors import CeleriacError
from pipeline.outcomes import RetryLaterError
from runner import leases
from runner.attempt import Work, make_context
from runner.attempt_log import Lines
from runner.big_results import CONTENT_TYPE, NAME, is_to_be_moved, write_moved
from runner.far_desk import FarDesk, FarResults, Place
from runner.judge import describe_error, describe_timeout, judge_outcome
from runner.prepared import make_handler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handlers.spent import Spent
    from net.client import PoliteClient
    from runner.cargo import Cargo
    from runner.far_desk import Afar, HowFar
    from tracker.endings import Ending, Failure

log = structlog.get_logger(__name__)

Report = dict[str, Any]
"""How a remote attempt ended: an ending's name with what belongs to it, costs, what it logged, small artifacts."""


class Line(Protocol):
    """What a remote attempt says to the workers beside the file. Best effort: the lease covers what is lost."""

    def begun(self) -> None:
        """Say that the handler is about to run."""

    def alive(self, told: HowFar | None) -> None:
        """Say that it still runs, and how far it is."""

    def ended(self, report: Report) -> None:
        """Say how it ended."""


def run_away(
    cargo: Cargo,
    place: Place,
    http: PoliteClient,
    line: Line,
    timeout_error: type[BaseException],
    afar: Afar,
) -> None:
    """Run a remote attempt and report it; only what ends the process comes through as an exception."""
    line.begun()
    spent: list[Spent] = []
    lines = Lines(job=cargo["job"], key=cargo["key"], stage=place.stage, attempt=place.attempt)
    with FarDesk(afar, place) as desk:
        with _kept_alive(line, desk) as unwanted, lines:
            report = _run(cargo, desk, http, spent, timeout_error, unwanted)
        logged = lines.write()
        line.ended(
            report
            | desk.sent_along()
            | {
                "job": cargo["job"],
                "costs": [asdict(cost) for cost in spent],
                "log": None if logged is None else asdict(logged),
            }
        )


@contextmanager
def _kept_alive(line: Line, desk: FarDesk) -> Iterator[threading.Event]:
    done, unwanted = threading.Event(), threading.Event()

    def keep() -> None:
        while not done.wait(leases.RENEW_EVERY_SECONDS):
            line.alive(desk.take_told())
            if not _is_wanted(desk):
                unwanted.set()

    keeper = threading.Thread(target=keep, name="remote-lease", daemon=True)
    keeper.start()
    try:
        yield unwanted
    finally:
        done.set()  # not waited for: it may be waiting for the dashboard, and a late word does no harm


def _is_wanted(desk: FarDesk) -> bool:
    """Tell whether anybody still waits for the result; yes, as long as it is not known."""
    place, dashboard = desk.place, desk.afar.dashboard
    try:
        return dashboard is None or dashboard.is_wanted(place.item_id, place.stage, place.attempt)
    except CeleriacError as error:
        log.debug("cannot ask whether this attempt is wanted", reason=str(error))
        return True


def _run(
    cargo: Cargo,
    desk: FarDesk,
    http: PoliteClient,
    spent: list[Spent],
    timeout_error: type[BaseException],
    unwanted: threading.Event,
) -> Report:
    place, folder = desk.place, cargo.get("folder")
    work = Work(
        job=cargo["job"],
        key=cargo["key"],
        stage=place.stage,
        attempt=place.attempt,
        data=cargo["data"],
        results=FarResults(cargo["results"], cargo.get("moved", ()), desk),
        timeout_seconds=cargo["timeout_seconds"],
        item_files=ItemFiles(Path(folder) if folder else None),
    )
    version = None
    try:
        handler, version = make_handler(cargo["handler"], cargo["params"])
        context = make_context(work, http, spent.append, unwanted.is_set, desk)
        outcome = run_handler(handler, context)
        return _as_report(judge_outcome(outcome, version, cargo.get("input_hash")), desk)
    except RetryLaterError as error:
        return _as_report(judge_outcome(error.as_outcome(), version or "", None), desk)
    except timeout_error as error:
        timeout = describe_timeout(work.timeout_seconds, describe_error(error).traceback)
        return as_failure(replace(timeout, handler_version=version))
    except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever a handler raises is its stage's failure
        return as_failure(replace(describe_error(error), handler_version=version))


def as_failure(failure: Failure) -> Report:
    """Report an unexpected failure."""
    return {"ended": "failure", "failure": asdict(failure)}


def _as_report(ending: Ending, desk: FarDesk) -> Report:
    result_json, is_moved = _move_if_big(ending.result_json, desk)
    return {
        "ended": ending.move.name,
        "reason": ending.reason,
        "result_json": result_json,
        "moved": is_moved,
        "version": ending.failure.handler_version if ending.failure else ending.handler_version,
        "input_hash": ending.input_hash,
        "output_hash": ending.output_hash,
        "retry_at": ending.retry_at,
        "host": ending.waits_for_host,
        "skips_rest": ending.skips_rest,
    }


def _move_if_big(text: str | None, desk: FarDesk) -> tuple[str | None, bool]:
    """Send a big result to the dashboard as an artifact; where there is none, it goes whole with the outcome."""
    if text is None or desk.afar.dashboard is None or not is_to_be_moved(text):
        return text, False
    return write_moved(text, desk.keep(NAME, text.encode(), CONTENT_TYPE)), True
