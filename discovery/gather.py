"""Asking many sources, a few at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from discovery.base import BaseDiscovery

S = TypeVar("S")
T = TypeVar("T")


async def gather_bounded(
    ask: Callable[[S], Awaitable[T]], sources: Sequence[S], at_once: int
) -> list[T | SourceError]:
    """
    Ask every source, at most `at_once` at a time; answers in the order of the sources.

    A source that fails is answered by its `SourceError`. Any other exception is raised, and ends the rest.
    """
    turns = asyncio.Semaphore(at_once)

    async def ask_one(source: S) -> T | SourceError:
        async with turns:
            try:
                return await ask(source)
            except SourceError as error:
                return error

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask_one(source)) for source in sources]
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None  # the cause, under its own name
    return [task.result() for task in tasks]


def keep_answers(
    answers: Sequence[T | SourceError], what: str, strategy: BaseDiscovery, names: Sequence[str] = ()
) -> list[T]:
    """
    Give the answers that came; the failures are counted and told in the strategy's `refused` and `problems`.

    `names` are those of the sources, in the order of the answers: each failure is kept in its source's look.
    Raises `SourceUnavailableError` when all failed, with the longest wait that any of them asked for.
    """
    for name, answer in zip(names, answers, strict=False):
        if isinstance(answer, SourceError):
            strategy.looks[name].error = str(answer)
    failures = [answer for answer in answers if isinstance(answer, SourceError)]
    if failures:
        strategy.refused[f"{what} could not be had"] += len(failures)
        strategy.problems.extend(str(failure) for failure in failures)
    if failures and len(failures) == len(answers):
        raise _nothing_came(failures, what)
    return [answer for answer in answers if not isinstance(answer, SourceError)]


def _nothing_came(failures: Sequence[SourceError], what: str) -> SourceUnavailableError:
    waits = [
        failure.retry_after_seconds for failure in failures if isinstance(failure, SourceUnavailableError)
    ]
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    longest = max((wait for wait in waits if wait is not None), default=None)
    return SourceUnavailableError(f"no {what} could be had: {failures[0]}{more}", longest)
