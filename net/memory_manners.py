"""Manners that one process keeps in its memory, for tests and scripts without a tracker."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from net.manners import HostPause, KnownRobots, Turn
from pipeline.host_waits import LONGEST_APPOINTMENT_SECONDS, choose_wait

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class _Host:
    free_at: float = 0.0
    promised_at: float = 0.0
    slowed_until: float = 0.0
    throttles: int = 0


class MemoryManners:
    """Manners for all the threads of one process. `clock` tells Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._robots: dict[str, KnownRobots] = {}

    def take_turn(self, host: str, interval_seconds: float, patience_seconds: float) -> Turn:
        """Take the host's next turn, unless it is beyond the patience."""
        with self._lock:
            known, now = self._hosts.setdefault(host, _Host()), self._clock()
            turn_at = max(known.free_at, now)
            if turn_at - now <= patience_seconds:
                known.free_at = turn_at + interval_seconds
                return Turn(turn_at - now, throttles=known.throttles)
            # whoever is turned away is told a time of its own, so that they do not all come back at once
            latest = turn_at + LONGEST_APPOINTMENT_SECONDS
            known.promised_at = max(turn_at, min(known.promised_at + interval_seconds, latest))
            return Turn(known.promised_at - now, granted=False, throttles=known.throttles)

    def is_slowed(self, host: str) -> bool:
        """Tell whether the host has asked that nobody should come now."""
        with self._lock:
            return host in self._hosts and self._hosts[host].slowed_until > self._clock()

    def slow_host(self, host: str, seconds: float | None, reason: str, throttles: int) -> float:
        """Let nobody ask the host for a while; how long it came to."""
        del reason  # nobody can look into this memory
        with self._lock:
            known, now = self._hosts.setdefault(host, _Host()), self._clock()
            is_another = known.throttles <= throttles
            if is_another or seconds is not None:
                known.slowed_until = max(
                    known.slowed_until, now + choose_wait(seconds, min(known.throttles, throttles))
                )
            known.throttles += is_another
            known.free_at = max(known.free_at, known.slowed_until)
            return max(0.0, known.slowed_until - now)

    def note_success(self, host: str, throttles: int) -> None:
        """Forget that the host asked to slow down, unless it did so again."""
        with self._lock:
            known = self._hosts.get(host)
            if known is not None and known.throttles == throttles:
                known.throttles, known.slowed_until = 0, 0.0

    def find_pause(self, host: str) -> HostPause | None:
        """Find no pause: nobody sets one for a single process."""
        del host
        return None

    def take_probe(self, name: str) -> int | None:
        """Give no probe, where there is no pause."""
        del name
        return None

    def note_no_answer(self, host: str, signature: str, probe: int | None) -> None:
        """Count nothing: without pauses there is no breaker."""

    def note_answer(self, host: str, probe: int | None) -> None:
        """Count nothing, as above."""

    def recall_robots(self, origin: str) -> KnownRobots | None:
        """Look up the robots.txt of an origin."""
        return self._robots.get(origin)

    def keep_robots(self, origin: str, robots: KnownRobots) -> None:
        """Remember the robots.txt of an origin."""
        self._robots[origin] = robots
