"""Run a handler in this process, recording nothing: what it would give, spend, keep and tell."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from handlers.running import run_handler
from pipeline.aside import printing_aside
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater, Skip
from pipeline.redaction import KNOWN
from runner.attempt import make_context
from runner.judge import as_text, describe_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from handlers.base import Handler
    from handlers.desk import Pointer
    from handlers.spent import Spent
    from pipeline.outcomes import Outcome
    from runner.attempt import Work
    from runner.runtime import Runtime
    from runner.scratch_desk import ScratchDesk


@dataclass(frozen=True, slots=True)
class LastProgress:
    """How far a handler last said that it was."""

    done: float
    total: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Ran:
    """
    What running a handler came to.

    `ending` is done, skipped, retry_later, gave_up or failed; `result` is there when it is done, `reason` when it is
    not, `delay_seconds` when it is to be tried later, `trace` when it raised. `unavailable` says that the source was
    away. `costs` are those that it reported, `artifacts` the pointers to what it kept.
    """

    ending: str
    result: dict[str, Any] | None
    reason: str | None
    delay_seconds: float | None
    costs: Sequence[Mapping[str, Any]]
    artifacts: Sequence[Pointer]
    progress: LastProgress | None
    seconds: float
    unavailable: bool = False
    trace: str | None = None


def run_aside(
    runtime: Runtime,
    handler: Handler,
    work: Work,
    desk: ScratchDesk,
    on_error: Callable[[BaseException], None] | None = None,
    on_cost: Callable[[Spent], None] | None = None,
) -> Ran:
    """
    Run a handler, whatever it does.

    `on_error` is called with what it raises, its traceback still there; `on_cost` with each cost as it is reported.
    """
    spent: list[Spent] = []

    def record(cost: Spent) -> None:
        spent.append(cost)
        if on_cost is not None:
            on_cost(cost)

    began = time.monotonic()
    try:
        context = make_context(work, runtime.http, record, desk=desk)
        with printing_aside():
            ended: dict[str, Any] = describe_outcome(run_handler(handler, context))
    except runtime.stop_errors:
        raise
    except BaseException as error:  # noqa: BLE001 - to show what a handler raises is what this is for
        if on_error is not None:
            on_error(error)
        ended = describe_raised(error)
    return Ran(
        **{"result": None, "reason": None, "delay_seconds": None} | ended,
        costs=[_describe_cost(one) for one in spent],
        artifacts=desk.pointers,
        progress=LastProgress(*desk.progress) if desk.progress else None,
        seconds=round(time.monotonic() - began, 3),
    )


def _describe_cost(spent: Spent) -> dict[str, Any]:
    return {name: value for name, value in asdict(spent).items() if name != "receipt"}


def describe_outcome(outcome: Outcome) -> dict[str, Any]:
    """Describe what a handler returned: its `ending`, and the fields of `Ran` that belong to it."""
    if isinstance(outcome, Skip):
        return {"ending": "skipped", "reason": as_text(outcome.reason)}
    if isinstance(outcome, RetryLater):
        delay = outcome.delay_seconds()
        return {"ending": "retry_later", "reason": as_text(outcome.reason), "delay_seconds": delay}
    if isinstance(outcome, GiveUp):
        return {"ending": "gave_up", "reason": as_text(outcome.reason)}
    return {"ending": "done", "result": KNOWN.hide_in(outcome)}


def describe_raised(error: BaseException) -> dict[str, Any]:
    """Describe what a handler raised, as `describe_outcome` does."""
    failure = describe_error(error)
    return {
        "ending": "failed",
        "reason": f"{failure.error_type}: {failure.message}",
        "unavailable": isinstance(error, SourceUnavailableError),
        "trace": failure.traceback,
    }
