"""How an attempt ends, as the tracker records it. Made only by the constructors here, each with its reason."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass, replace
from typing import Any, Self

from pipeline.lifecycle import (
    EXPIRE,
    FAIL,
    FINISH,
    MARK_DONE,
    MARK_FAILED,
    RELEASE,
    RETRY,
    RETRY_LATER,
    SKIP,
    Move,
    Status,
)

CRASH_LIMIT = 3
"""A stage that its worker did not survive so often is poison: it fails, and is not tried for ever."""

MAX_MESSAGE_CHARS = 2_000
MAX_TRACEBACK_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Failure:
    """
    An unexpected failure: its type, message and traceback, and the signature that groups it.

    `host` is the one that was asked, `handler_version` the version of the handler that failed, where they are known.
    """

    error_type: str
    message: str
    signature: str
    traceback: str | None = None
    host: str | None = None
    handler_version: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Describe an exception; a very long message or traceback is cut in the middle."""
        text = "".join(traceback.format_exception(error))
        return cls.named(type(error).__name__, str(error), text)

    @classmethod
    def named(cls, error_type: str, message: str, trace: str | None = None) -> Self:
        """Describe a failure that is no exception of ours, such as a worker's death."""
        message = make_storable(message)
        cut = _shorten(message, MAX_MESSAGE_CHARS)
        shortened = _shorten(make_storable(trace), MAX_TRACEBACK_CHARS) if trace else None
        return cls(error_type, cut, make_signature(error_type, message), shortened)


def make_storable(text: str) -> str:
    """Spell out what UTF-8 cannot hold, as in the names of some files."""
    return text.encode("utf-8", "backslashreplace").decode()


def _shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}\n… {len(text) - limit} characters left out …\n{text[-limit // 2 :]}"


_STRUCK_OUT = (
    (re.compile(r"(?:\w+://|\$\{\w+\}[/?#])\S*"), "<url>"),  # the second once a variable stands in it again
    (re.compile(r"'[^']*'|\"[^\"]*\""), "<text>"),
    (re.compile(r"\b[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]+)*\b"), "<id>"),
    (re.compile(r"\d+"), "<n>"),
)


def make_signature(error_type: str, message: str) -> str:
    """
    Strike out of an error what differs from case to case, so that like failures group.

    >>> make_signature("TimeoutError", "no answer from https://a.org/7 in 30 s")
    'TimeoutError: no answer from <url> in <n> s'
    """
    text = message[:500].split("\n", 1)[0]
    for pattern, word in _STRUCK_OUT:
        text = pattern.sub(word, text)
    return f"{error_type}: {text}"[:200]


@dataclass(frozen=True, slots=True)
class Ending:
    """One ending of an attempt."""

    move: Move
    reason: str | None = None
    source: Status = Status.IN_PROGRESS
    result_json: str | None = None
    handler_version: str | None = None
    input_hash: str | None = None
    output_hash: str | None = None
    failure: Failure | None = None
    retry_at: int | None = None
    waits_for_host: str | None = None
    skips_rest: bool = False
    is_crash: bool = False

    @property
    def uses_retry(self) -> bool:
        """Tell whether this ending counts against the stage's retries."""
        return self.move is RETRY

    def as_detail(self) -> dict[str, Any] | None:
        """Give what the event should say beyond the move."""
        detail = {"reason": self.reason, "retry_at": self.retry_at, "crash": self.is_crash or None}
        return {name: value for name, value in detail.items() if value is not None} or None

    @classmethod
    def finished(
        cls,
        result_json: str | None,
        handler_version: str | None,
        *,
        input_hash: str | None = None,
        output_hash: str | None = None,
    ) -> Self:
        """Finish with this result, as JSON text; None when a person says so and has no result."""
        return cls(
            FINISH,
            result_json=result_json,
            handler_version=handler_version,
            input_hash=input_hash,
            output_hash=output_hash,
        )

    @classmethod
    def skipped(cls, reason: str, *, rest: bool = False) -> Self:
        """Leave the stage out, as the handler asked, and with `rest` all that needs it."""
        return cls(SKIP, reason, skips_rest=rest)

    @classmethod
    def gave_up(cls, reason: str, handler_version: str | None = None) -> Self:
        """Fail, because the handler, of this version, knows that trying again will not help."""
        failure = replace(Failure.named("GiveUp", reason), handler_version=handler_version)
        return cls(FAIL, reason, failure=failure)

    @classmethod
    def failed(cls, failure: Failure) -> Self:
        """Fail unexpectedly, with no retry left."""
        return cls(FAIL, f"{failure.error_type}: {failure.message}", failure=failure)

    @classmethod
    def retried(cls, failure: Failure, retry_at: int) -> Self:
        """Fail unexpectedly, to be tried again at `retry_at`."""
        return cls(RETRY, f"{failure.error_type}: {failure.message}", failure=failure, retry_at=retry_at)

    @classmethod
    def later(cls, reason: str, retry_at: int, host: str | None = None) -> Self:
        """Wait until `retry_at`, as the handler asked, or for the pause of a host to end."""
        return cls(RETRY_LATER, reason, retry_at=retry_at, waits_for_host=host)

    @classmethod
    def released(cls, reason: str) -> Self:
        """Give the claim back, unused and unharmed."""
        return cls(RELEASE, reason)

    @classmethod
    def expired(cls, crashes: int) -> Self:
        """Let the lease run out; after `CRASH_LIMIT` dead workers in all the stage is poison."""
        return cls._died(EXPIRE, "the lease ran out: its worker died or was cut off", crashes)

    @classmethod
    def worker_lost(cls, reason: str, crashes: int) -> Self:
        """Give back the claim of a process that died; after `CRASH_LIMIT` times the stage is poison."""
        return cls._died(RELEASE, reason, crashes)

    @classmethod
    def _died(cls, move: Move, reason: str, crashes: int) -> Self:
        if crashes + 1 < CRASH_LIMIT:
            return cls(move, reason, is_crash=True)
        poison = f"poison: its worker died under it {crashes + 1} times; the last time: {reason}"
        return cls(FAIL, poison, failure=Failure.named("WorkerDied", poison), is_crash=True)

    @classmethod
    def counted_done(
        cls,
        result_json: str | None = None,
        handler_version: str | None = None,
        *,
        output_hash: str | None = None,
    ) -> Self:
        """Count the stage as done, for a person or an injection further on, with a result if there is one."""
        return cls(
            MARK_DONE,
            source=Status.PENDING,
            result_json=result_json,
            handler_version=handler_version,
            output_hash=output_hash,
        )

    @classmethod
    def counted_failed(cls, reason: str) -> Self:
        """Count the stage as failed, for a person."""
        return cls(MARK_FAILED, reason, source=Status.PENDING, failure=Failure.named("Marked", reason))

    @classmethod
    def counted_skipped(cls, reason: str) -> Self:
        """Leave the stage out before it began, for a person."""
        return cls(SKIP, reason, source=Status.PENDING)
