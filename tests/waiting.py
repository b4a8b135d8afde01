"""How tests wait: for the thing, not for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# What nobody waits for in vain but a test that fails: a machine may be slow, and five other tests run beside this one.
PATIENCE_SECONDS = 300.0


def rest() -> None:
    """Leave the processor to what is waited for."""
    time.sleep(0.01)


def wait_until(
    holds: Callable[[], T],
    say: Callable[[], str] = lambda: "it never happened",
    *,
    rest: Callable[[], object] = rest,
) -> T:
    """Wait until something holds; give what it gave. Raises AssertionError with what `say` tells if it never does."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < until, say()
        rest()
    return found
