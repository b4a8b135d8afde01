"""Handlers that do nothing, for measuring what everything around them costs."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING

from handlers.base import Handler, HandlerContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.outcomes import Outcome

KILOBYTE = "x" * 1011
"""As `{"text": "…"}` it is a kilobyte."""


class Noop(Handler):
    """Return the same small result for every item."""

    VERSION = "1"

    def run(self, _: HandlerContext) -> dict[str, object]:
        """Do nothing."""
        return {"ok": True}


class Kilobyte(Handler):
    """Return a kilobyte for every item, for one or for many together."""

    VERSION = "1"

    def run(self, _: HandlerContext) -> dict[str, object]:
        """Do nothing."""
        return {"text": KILOBYTE}

    def run_batch(self, contexts: Sequence[HandlerContext]) -> list[Outcome | Exception]:
        """Do nothing for each."""
        return [{"text": KILOBYTE} for _ in contexts]


class Stopwatch(Handler):
    """Tell when it began and ended, by a clock that all processes of a machine share."""

    VERSION = "1"

    def run(self, _: HandlerContext) -> dict[str, object]:
        """Look at the clock, twice."""
        return {"begun": time.monotonic_ns(), "ended": time.monotonic_ns()}


class Compute(Handler):
    """Compute for about as long as a small model would, without waiting for anything."""

    VERSION = "1"

    def run(self, context: HandlerContext) -> dict[str, object]:
        """Hash the key again and again."""
        digest = context.key.encode()
        for _ in range(120_000):
            digest = sha256(digest).digest()
        return {"digest": digest.hex()}
