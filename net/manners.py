"""What is handed to the HTTP client so that all who ask one host ask it in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Turn:
    """
    The answer to who wants to ask a host.

    `wait_seconds` is how long it is until its turn, or, unless it is `granted`, until it is worth while to ask
    for one again. `throttles` is how many answers in a row had asked to slow down when the turn was given.
    """

    wait_seconds: float
    granted: bool = True
    throttles: int = 0
    probe: int | None = None
    """The number of a request that a paused host's breaker lets out to see whether all is well again."""


@dataclass(frozen=True, slots=True)
class HostPause:
    """
    Why a host may not be asked now: it is paused, under its own name or that of a domain that it is in.

    `wait_seconds` is how long it is until it is worth while to come back. One that `lets_probes` may be asked by
    whoever takes a probe.
    """

    name: str
    reason: str
    wait_seconds: float
    lets_probes: bool = False


@dataclass(frozen=True, slots=True)
class KnownRobots:
    """
    What is known of an origin's robots.txt: the status of the answer, 0 when there was none, and its text.

    `good_until` is the instant, in Unix seconds, at which to ask anew.
    """

    status: int
    body: str
    good_until: float


class Manners(Protocol):
    """
    What all who ask a host know of it together. A host here is a name whose turns are counted as one.

    Everything is done at once, and safe from several threads.
    """

    def take_turn(self, host: str, interval_seconds: float, patience_seconds: float) -> Turn:
        """Take the host's next turn, after which nobody has one for the interval; none beyond the patience."""
        ...

    def is_slowed(self, host: str) -> bool:
        """Tell whether the host has asked that nobody should come now."""
        ...

    def slow_host(self, host: str, seconds: float | None, reason: str, throttles: int) -> float:
        """
        Let nobody ask the host for so long, or for a wait that grows each time in a row; how long it came to.

        An answer to a turn that was given before the last such word, by its `throttles`, is not another in a row.
        """
        ...

    def note_success(self, host: str, throttles: int) -> None:
        """Forget that the host asked to slow down, unless it did so again since the turn was given."""
        ...

    def find_pause(self, host: str) -> HostPause | None:
        """Find what holds back every request to the host, by the name that is asked."""
        ...

    def take_probe(self, name: str) -> int | None:
        """Take one of the requests that a paused host's breaker lets out; its number, or None when none is left."""
        ...

    def note_no_answer(self, host: str, signature: str, probe: int | None) -> None:
        """Count that the host gave no answer, or one of 5xx, under the name that was asked."""
        ...

    def note_answer(self, host: str, probe: int | None) -> None:
        """Note that the host answered."""
        ...

    def recall_robots(self, origin: str) -> KnownRobots | None:
        """Look up the robots.txt of an origin, `https://example.org`, good or not."""
        ...

    def keep_robots(self, origin: str, robots: KnownRobots) -> None:
        """Remember the robots.txt of an origin."""
        ...
