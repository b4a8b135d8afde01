"""The handlers of the chaos run. What becomes of an item is said by its key, as `workload.must_end` reads it too."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

from handlers.base import Handler, HandlerContext
from pipeline.outcomes import GiveUp, RetryLater, Skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.outcomes import Outcome

VERSION = os.environ.get("CHAOS_VERSION", "1")
"""A worker of the next version has another."""


def kind_of(key: str) -> str:
    """Tell what kind of item a key names: `flaky` of `flaky-00017`."""
    return key.rpartition("-")[0]


def number_of(key: str) -> int:
    return int(key.rpartition("-")[2])


def made_by(context: HandlerContext, **more: object) -> dict[str, object]:
    """Make a result that says itself of which item and attempt it is."""
    return {"key": context.key, "attempt": context.attempt, **more}


class Fast(Handler):
    """Do next to nothing, and remember what it was made of."""

    VERSION = VERSION

    def run(self, context: HandlerContext) -> Outcome:
        return made_by(context, of=sorted(context.results))


class Weigh(Handler):
    """Do next to nothing to many items together."""

    VERSION = VERSION

    def run_batch(self, contexts: Sequence[HandlerContext]) -> Sequence[Outcome | Exception]:
        return [made_by(one, together=len(contexts)) for one in contexts]


class Doze(Handler):
    """Sleep for as long as the key's kind says; `long` is longer than a lease."""

    VERSION = VERSION

    def run(self, context: HandlerContext) -> Outcome:
        number = number_of(context.key)
        time.sleep(35 if kind_of(context.key) == "long" else 0.1 + number % 10 / 20)
        return made_by(context)


class Brink(Handler):
    """Sleep until just before or after the end of the stage's time, so that the limit strikes anywhere."""

    VERSION = VERSION

    def run(self, context: HandlerContext) -> Outcome:
        time.sleep(min(1.0, context.seconds_left) + (number_of(context.key) % 21 - 14) / 500)
        return made_by(context)


class Ask(Handler):
    """Spend money twice, each time in the ledger first, and say in the ledger when both are on record."""

    VERSION = VERSION

    def run(self, context: HandlerContext) -> Outcome:
        for number in (1, 2):
            usd = round(0.001 * (number_of(context.key) % 7 + number), 6)
            note_in_ledger(context, "spent", usd)
            context.cost(usd, "chaos", asked=number)
        note_in_ledger(context, "recorded", None)
        return made_by(context)


class Keep(Handler):
    """Keep a file, which another item may keep too."""

    VERSION = VERSION

    def run(self, context: HandlerContext) -> Outcome:
        content = f"{number_of(context.key) // 2}\n".encode() * 200
        return made_by(context, kept=context.artifact("numbers.txt", content))


class Rough(Handler):
    """End as the key's kind says."""

    VERSION = VERSION

    def run(self, context: HandlerContext) -> Outcome:
        match kind_of(context.key):
            case "flaky" if context.attempt == 1:
                raise RuntimeError(f"no luck with {context.key}")
            case "fails":
                raise RuntimeError(f"never any luck with {context.key}")
            case "gives-up":
                return GiveUp("it is of no use")
            case "skips":
                return Skip("left out")
            case "skips-rest":
                return Skip("left out with the rest", rest=True)
            case "later" if context.attempt < 3:
                return RetryLater(1 + number_of(context.key) % 4, "not yet")
            case "kills":
                os.kill(os.getpid(), signal.SIGKILL)
            case "kills-once" if context.attempt == 1:
                os.kill(os.getpid(), signal.SIGKILL)
        return made_by(context)


def note_in_ledger(context: HandlerContext, what: str, usd: float | None) -> None:
    """Write a line into the ledger, on the disk before this returns, whatever becomes of this process."""
    line = json.dumps([context.job, context.key, context.stage, context.attempt, what, usd]) + "\n"
    ledger = os.open(os.environ["CHAOS_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(ledger, line.encode())
        os.fsync(ledger)
    finally:
        os.close(ledger)
