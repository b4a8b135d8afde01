"""
The end of a stage's time: it strikes its handler, and nothing else that the process does.

Whoever hosts the process interrupts it wherever it is. Beside a handler that would do harm: an attempt that ended in
time would not be settled, and a process that waits for its next task would end.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class TimeLimit:
    """Whether the end of the time may strike now. One for each process, which runs one task at a time under limits."""

    def __init__(self) -> None:
        self._strikes = False
        self._missed: Callable[[], Any] | None = None

    def begin(self) -> None:
        """Forget the task before."""
        self._missed = None

    def strike(self, interrupt: Callable[[], Any]) -> None:
        """Call `interrupt`, which raises: at once in the handler, before it when it begins, and never after it."""
        if self._strikes:
            interrupt()
        self._missed = interrupt

    @contextmanager
    def applies(self) -> Iterator[None]:
        """Let the end of the time strike while the block runs, also one that came before."""
        self._strikes = True
        try:
            if self._missed is not None:
                self._missed()
            yield
        finally:
            self._strikes = False


TIME_LIMIT = TimeLimit()
