"""The words of the protocol's machine: what a state is made of, and what a step says."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pipeline.lifecycle import Status

STAGES = (0, 1)
"""The second needs the first."""


class Wait(IntEnum):
    """Whether a stage waits for a time (`retry_at`), and whether that has come."""

    NONE = 0
    AHEAD = 1
    DUE = 2


class Lease(IntEnum):
    """A claim's lease (`leased_until`)."""

    NONE = 0
    HELD = 1
    RUN_OUT = 2


class Mode(IntEnum):
    """What a process is doing."""

    IDLE = 0
    WORKING = 1
    """It lives, and its lease is renewed."""
    STOPPED = 2
    """Held by SIGSTOP, a debugger or a machine that sleeps: nothing is renewed, until it goes on, at any time."""
    DEAD = 3
    """Killed, and its parent process has not noticed yet."""
    PUBLISHING = 4
    """It has committed, and not published yet."""


class Row(NamedTuple):
    """One row of `item_stages`, as far as the protocol reads it; `results` counts the results recorded."""

    status: Status
    needs_left: int
    attempt: int = 0
    stamped: bool = False
    wait: Wait = Wait.NONE
    lease: Lease = Lease.NONE
    retries: int = 0
    crashes: int = 0
    results: int = 0


class Message(NamedTuple):
    """What tells a worker to run an attempt of a stage."""

    stage: int
    attempt: int


class Process(NamedTuple):
    """A worker, or whoever sweeps: the attempt that it works on, or the message that it is to publish."""

    mode: Mode = Mode.IDLE
    about: Message | None = None


class State(NamedTuple):
    """All that matters at one moment. Workers and messages are sorted: which is which makes no difference."""

    rows: tuple[Row, Row]
    workers: tuple[Process, ...]
    sweeper: Process = Process()
    messages: tuple[Message, ...] = ()


class Step(NamedTuple):
    """What happens: its name, and the attempt that it is about. Only `FAIR` ones are needed to reach the end."""

    name: str
    about: Message | None = None
    ending: str | None = None
    stamps: bool = False
    """Whether a message is stamped in the same transaction."""

    def __str__(self) -> str:
        words = [self.name]
        if self.about is not None:
            words.append(f"stage {self.about.stage + 1}, attempt {self.about.attempt}")
        if self.ending is not None:
            words.append(self.ending)
        if self.stamps:
            words.append("and a message is stamped")
        return ": ".join(words[:2]) + "".join(f", {word}" for word in words[2:])


FAIR = frozenset(
    {
        "claim", "settle", "renew", "publish", "hear of the death",
        "lease runs out", "time comes", "expire", "wake", "take back", "take back vanished", "dispatch",
    }
)  # fmt: skip
"""What happens by itself when nothing more goes wrong; of endings, `FAIR_ENDINGS`."""

FAIR_ENDINGS = frozenset({"finish"})


def is_fair(step: Step) -> bool:
    """Tell whether a step happens by itself when nothing more goes wrong."""
    return step.name in FAIR and (step.ending is None or step.ending in FAIR_ENDINGS)
