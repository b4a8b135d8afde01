"""Judge how an attempt ended: what a handler returned, or raised, into the ending that is recorded."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.durations import format_duration
from pipeline.errors import HandlerContractError, SourceError
from pipeline.outcomes import GiveUp, Outcome, RetryLater, Skip
from pipeline.redaction import KNOWN
from pipeline.versions import hash_result
from runner.traces import write_trace
from tracker.clock import now_ms
from tracker.endings import Ending, Failure

if TYPE_CHECKING:
    from handlers.spent import Spent
    from pipeline.jobspec import StageSpec

LONGEST_BACKOFF_SECONDS = 3600.0
"""As far as doubling goes; a `backoff` in jobs.yaml that is longer stays as it is."""

LATEST_MS = 253_402_300_799_000
"""The end of the year 9999, which every reader of the tracker can still show."""


_RESULT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def judge_outcome(outcome: Outcome, version: str, input_hash: str | None) -> Ending:
    """Turn what a handler returned into the ending that is recorded, without the secrets that it may hold."""
    if isinstance(outcome, Skip):
        return Ending.skipped(as_text(outcome.reason), rest=bool(outcome.rest))
    if isinstance(outcome, GiveUp):
        return Ending.gave_up(as_text(outcome.reason), version)
    if isinstance(outcome, RetryLater):
        return Ending.later(as_text(outcome.reason), due_in(outcome.delay_seconds()), outcome.host)
    result = KNOWN.hide_in(outcome)
    return Ending.finished(
        _RESULT.encode(result), version, input_hash=input_hash, output_hash=hash_result(result)
    )


def judge_failure(spec: StageSpec, retries: int, failure: Failure) -> Ending:
    """Turn a failure into another try after a backoff, or into the end when the retries are used up."""
    if retries >= spec.retries:
        return Ending.failed(failure)
    return Ending.retried(failure, due_in(backoff_seconds(spec.backoff, retries)))


def backoff_seconds(first: float, retries: int) -> float:
    """Tell how long to wait before the next retry: doubled each time, and half to one and a half of that."""
    wait = min(first * 2.0 ** min(retries, 30), max(first, LONGEST_BACKOFF_SECONDS))
    return wait * random.uniform(0.5, 1.5)  # noqa: S311 - jitter keeps retries apart, it guards nothing


def due_in(seconds: float) -> int:
    """Tell the instant (Unix ms) so many seconds from now, at most the end of the year 9999."""
    return min(now_ms() + int(min(seconds, LATEST_MS) * 1000), LATEST_MS)


def describe_error(error: BaseException) -> Failure:
    """Describe an exception, even one that cannot say what it is; of a broken contract the cause, if any."""
    if isinstance(error, HandlerContractError) and error.__cause__ is not None:
        error = error.__cause__
    try:
        message = as_text(error)
    except Exception as fault:  # noqa: BLE001 - a plugin's own __str__ may raise anything
        message = f"(its text cannot be had: {type(fault).__name__})"
    failure = Failure.named(type(error).__name__, message, as_text(write_trace(error)))
    return replace(failure, host=error.host if isinstance(error, SourceError) else None)


def describe_timeout(timeout_seconds: float, trace: str | None = None) -> Failure:
    """Describe an attempt that ran past its stage's timeout; `trace` says where it was, if that is known."""
    return Failure.named("StageTimeout", f"exceeded its timeout of {format_duration(timeout_seconds)}", trace)


def clean_spent(spent: Spent) -> Spent:
    """Make of a cost what the tracker can hold, without secrets."""
    return replace(
        spent,
        provider=as_text(spent.provider),
        model=None if spent.model is None else as_text(spent.model),
        units=KNOWN.hide_in(spent.units),
        price=KNOWN.hide_in(spent.price),
    )


def as_text(value: object) -> str:
    r"""
    Write anything as text that the tracker can hold: bytes of a file name that are no UTF-8 are spelled out.

    What variables of jobs.yaml stand for is written as the variable.

    >>> as_text("caf\udce9")
    'caf\\udce9'
    """
    return KNOWN.hide(str(value)).encode("utf-8", "backslashreplace").decode()
