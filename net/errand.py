"""What a caller wants of a fetch: how much of the answer, how much of the time, what becomes of the body."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import httpx2

TakeBody = Callable[["httpx2.Response", str], Awaitable[bytes]]
"""Takes the body of an answer, whose address is the text; what it gives becomes that of the `Fetched`."""


@dataclass(slots=True)
class Allowance:
    """How much time a fetch may take in all. The wait for a turn is not counted."""

    total_seconds: float
    left_seconds: float

    @classmethod
    def of(cls, seconds: float) -> Allowance:
        """Begin with so many seconds."""
        return cls(seconds, seconds)

    @asynccontextmanager
    async def spend(self, on: object) -> AsyncIterator[None]:
        """Count the block. Raises `SourceUnavailableError` when nothing is left."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self.left_seconds):
                yield
        except TimeoutError as error:
            raise SourceUnavailableError(f"{on} took over {self.total_seconds:g} seconds") from error
        finally:
            self.left_seconds -= time.monotonic() - begun


@dataclass(frozen=True, slots=True)
class Errand:
    """One fetch, redirects included."""

    take: TakeBody
    allowance: Allowance
    statuses_ok: frozenset[int] = frozenset()
    robots: bool = False
    redirects: bool = True
    paced: bool = True
    silence: Mapping[str, float] = field(default_factory=dict)
