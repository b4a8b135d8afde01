"""Run a handler to an outcome, and tell the version of what it makes."""

from __future__ import annotations

import asyncio
import inspect
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from handlers.contract import check_outcome
from pipeline.errors import HandlerContractError
from pipeline.outcomes import Outcome, RetryLaterError
from pipeline.versions import hash_version

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from handlers.base import Handler, HandlerContext


def run_handler(handler: Handler, context: HandlerContext) -> Outcome:
    """
    Run the handler, sync or async, and give the outcome it ended in.

    A `RetryLaterError` becomes `RetryLater`. Raises `HandlerContractError` for anything that is no outcome, a
    result that is not JSON, or a `sys.exit`; TimeoutError when an async handler is still running at the
    deadline; and whatever else the handler raised. Not for calling inside a running event loop.
    """
    process = os.getpid()
    try:
        outcome = _run_to_the_end(handler, context)
    except RetryLaterError as error:
        outcome = error.as_outcome()
    except SystemExit as error:
        # Subclasses are the worker's own way to stop, and must reach it.
        if type(error) is not SystemExit:
            raise
        raise HandlerContractError(
            f"{handler} called sys.exit({error.code!r}); return GiveUp instead"
        ) from error
    finally:
        if os.getpid() != process:
            # The handler forked and its child came back here: it must not go on as a second worker.
            os._exit(0)
    return check_outcome(handler, outcome)


def _run_to_the_end(handler: Handler, context: HandlerContext) -> Any:
    ended = handler.run(context)
    return asyncio.run(_await_until(context.deadline, ended)) if inspect.isawaitable(ended) else ended


async def _await_until(deadline: datetime, ended: Awaitable[Outcome]) -> Outcome:
    remaining_seconds = (deadline - datetime.now(UTC)).total_seconds()
    try:
        async with asyncio.timeout(remaining_seconds) as limit:
            return await ended
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimeoutError(f"still running at the deadline, {deadline.isoformat()}") from error


def handler_version(handler_class: type[Handler], params: Mapping[str, Any]) -> str:
    """
    Tell the version of what a handler makes with these parameters of jobs.yaml, variables unresolved.

    The declared `VERSION`, else a hash of the class's name, the source of the modules that it is written in,
    and the parameters; see `pipeline.versions`.
    """
    if handler_class.VERSION is not None:
        return handler_class.VERSION
    return hash_version(handler_class.__qualname__, handler_class.list_source_modules(params), params)
