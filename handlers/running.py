"""Run a handler to an outcome, and tell the version of what it makes."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from handlers.base import Handler
from handlers.contract import check_outcome
from handlers.source_waits import wait_as_asked
from handlers.time_limit import TIME_LIMIT
from pipeline.errors import HandlerContractError, SourceUnavailableError
from pipeline.outcomes import Outcome, RetryLater, RetryLaterError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from handlers.base import HandlerContext


def run_handler(handler: Handler, context: HandlerContext) -> Outcome:
    """
    Run the handler, sync or async, and give the outcome it ended in.

    A `RetryLaterError` becomes `RetryLater`, and so does a `SourceUnavailableError` that says when to come back, as a
    busy host does. Raises `HandlerContractError` for anything that is no outcome, a
    result that is not JSON, a `sys.exit`, or a KeyboardInterrupt of its own; TimeoutError when an async handler is
    still running at the deadline; and whatever else the handler raised. Not for calling inside a running event loop.
    """
    return check_outcome(handler, _run(handler, partial(_call, handler, context), context.deadline))


def run_handler_together(handler: Handler, contexts: Sequence[HandlerContext]) -> list[Outcome | Exception]:
    """
    Run the handler on several items together; for each, in their order, its outcome or its own unexpected failure.

    Raises as `run_handler` does when all of them failed together. An outcome that all must share, such as
    `RetryLater` when the source is away, is given to each.
    """
    ended = _run(handler, partial(handler.run_batch, contexts), min(one.deadline for one in contexts))
    if isinstance(ended, RetryLater):
        return [ended for _ in contexts]
    if not isinstance(ended, Sequence) or isinstance(ended, str | bytes) or len(ended) != len(contexts):
        raise HandlerContractError(
            f"{handler}.run_batch returned no list of {len(contexts)} outcomes: {ended!r:.80}"
        )
    return [_check_one(handler, one) for one in ended]


def _check_one(handler: Handler, ended: object) -> Outcome | Exception:
    if isinstance(ended, Exception):
        return _as_expected(ended) or ended
    try:
        return check_outcome(handler, ended)
    except HandlerContractError as error:
        return error


def _run(handler: Handler, call: Callable[[], Any], deadline: datetime) -> Any:
    process = os.getpid()
    try:
        with TIME_LIMIT.applies():
            return _run_to_the_end(call, deadline)
    except SystemExit as error:
        # Subclasses are the worker's own way to stop, and must reach it.
        if type(error) is not SystemExit:
            raise
        raise HandlerContractError(
            f"{handler} called sys.exit({error.code!r}); return GiveUp instead"
        ) from error
    except KeyboardInterrupt as error:
        # Nobody's Ctrl-C where that is ignored, as in a worker's processes: given back, it would come again for ever.
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            raise
        raise HandlerContractError(f"{handler} raised KeyboardInterrupt; return GiveUp instead") from error
    except Exception as error:
        if (outcome := _as_expected(error)) is None:
            raise
        return outcome
    finally:
        if os.getpid() != process:
            # The handler forked and its child came back here: it must not go on as a second worker.
            os._exit(0)


def _as_expected(error: Exception) -> Outcome | None:
    """Give the outcome that an exception stands for, or None for one that nobody expected."""
    if isinstance(error, RetryLaterError):
        return error.as_outcome()
    return wait_as_asked(error) if isinstance(error, SourceUnavailableError) else None


def _call(handler: Handler, context: HandlerContext) -> Any:
    if type(handler).run is not Handler.run or not handler.takes_batches():
        return handler.run(context)
    return _only(handler.run_batch([context]))


def _only(ended: Any) -> Any:
    """Give the one outcome of a batch of one, now or when it is there."""
    if inspect.isawaitable(ended):
        return _await_only(ended)
    (outcome,) = ended
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _await_only(ended: Awaitable[Any]) -> Any:
    return _only(await ended)


def _run_to_the_end(call: Callable[[], Any], deadline: datetime) -> Any:
    ended = call()
    return asyncio.run(_await_until(deadline, ended)) if inspect.isawaitable(ended) else ended


async def _await_until(deadline: datetime, ended: Awaitable[Outcome]) -> Outcome:
    remaining_seconds = (deadline - datetime.now(UTC)).total_seconds()
    try:
        async with asyncio.timeout(remaining_seconds) as limit:
            return await ended
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimeoutError(f"still running at the deadline, {deadline.isoformat()}") from error
