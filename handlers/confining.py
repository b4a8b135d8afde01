"""Reading what strangers wrote in a process of its own, which is stopped before the stage's time is up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.confined import ChildEnd, ConfinedChild
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from collections.abc import Callable

    from handlers.base import HandlerContext

MANY_TAGS = 10_000
"""A page of fewer takes two seconds at worst; with their number that grows by its square, and more."""

PAGE_MEMORY_BYTES = 2 * 1024 * 1024 * 1024

MAX_SECONDS = "How long a page of many tags may take, within the stage's timeout; others take two at most."


def ask_confined(
    context: HandlerContext,
    module: str,
    question: dict[str, Any],
    body: bytes,
    *,
    memory_bytes: int,
    max_seconds: float,
) -> dict[str, Any] | ChildEnd:
    """Ask a module that answers questions (`pipeline.confined`) once, in a process of its own."""
    # A little less than the stage has left, so that there is time to say how it ended.
    seconds = max(0.1, min(max_seconds, context.seconds_left - 1))
    with ConfinedChild(module, memory_bytes) as child:
        return child.ask(question, body, seconds)


def explain_end(end: ChildEnd, max_seconds: float) -> str:
    """Say what came of a question that cost the process its life: what it took, or did."""
    if end.late:
        return f"took longer than max_seconds ({max_seconds:g}), or than the stage has"
    return "failed: its reader fell over it, or needed too much memory"


def read_page(
    context: HandlerContext,
    read: Callable[..., dict[str, Any]],
    page: str,
    how: dict[str, Any],
    max_seconds: float,
) -> dict[str, Any] | GiveUp:
    """
    Read a page by `read(page, **how)`: right here, or one of many tags in a process of its own.

    The module of `read` answers the question `how` when it is run as a program. GiveUp when that fails.
    """
    if page.count("<") <= MANY_TAGS:
        return read(page, **how)
    body = page.encode(errors="replace")
    answer = ask_confined(
        context, read.__module__, how, body, memory_bytes=PAGE_MEMORY_BYTES, max_seconds=max_seconds
    )
    return (
        GiveUp(f"reading it {explain_end(answer, max_seconds)}") if isinstance(answer, ChildEnd) else answer
    )
