"""Manners that are kept in the tracker: one queue before each host for all jobs, workers and containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from net.manners import HostPause, KnownRobots, Turn
from runner.room import wait_for_room
from tracker import host_breaker, hosts, pauses
from tracker.clock import now_ms
from tracker.hosts import RobotsRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.breaker import BreakerSpec
    from tracker.connection import Connection
    from tracker.pauses import Pause

PROBE_WAIT_SECONDS, ENDLESS_WAIT_SECONDS = 60.0, 86_400.0
"""When to come back while a probe is under way, and while nobody has said when the pause ends: it wakes who waits."""


@dataclass(frozen=True, slots=True)
class TrackerManners:
    """
    What all who share a tracker know of the hosts.

    `connect` gives the connection of the thread that it is called in, `tell_worker` the name of the process, and
    `find_breaker` what jobs.yaml says of a host's breaker, and under which name. On a full disk nobody asks anybody:
    it waits for room.
    """

    connect: Callable[[], Connection]
    tell_worker: Callable[[], str]
    find_breaker: Callable[[str], tuple[str, BreakerSpec] | None] = lambda _: None

    def take_turn(self, host: str, interval_seconds: float, patience_seconds: float) -> Turn:
        """Take the host's next turn, unless it is beyond the patience."""
        conn = self.connect()
        turn = wait_for_room(lambda: hosts.take_turn(conn, host, interval_seconds, patience_seconds))
        return Turn(turn.wait_seconds, turn.granted, turn.throttles)

    def is_slowed(self, host: str) -> bool:
        """Tell whether the host has asked that nobody should come now."""
        return hosts.is_slowed(self.connect(), host)

    def slow_host(self, host: str, seconds: float | None, reason: str, throttles: int) -> float:
        """Let nobody ask the host for a while; how long it came to."""
        conn, by = self.connect(), self.tell_worker()
        return wait_for_room(lambda: hosts.slow_host(conn, host, seconds, reason, throttles, by))

    def note_success(self, host: str, throttles: int) -> None:
        """Forget that the host asked to slow down, unless it did so again."""
        conn = self.connect()
        wait_for_room(lambda: hosts.note_success(conn, host, throttles))

    def find_pause(self, host: str) -> HostPause | None:
        """Find what holds back every request to the host."""
        held = pauses.find_host_pause(self.connect(), host)
        return None if held is None else _describe(held)

    def take_probe(self, name: str) -> int | None:
        """Take one of the requests that a paused host's breaker lets out."""
        conn = self.connect()
        return wait_for_room(lambda: host_breaker.take_host_probe(conn, name))

    def note_no_answer(self, host: str, signature: str, probe: int | None) -> None:
        """Count a failure in a row, for a host that has a breaker."""
        if (found := self.find_breaker(host)) is None:
            return
        conn, (name, spec) = self.connect(), found
        wait_for_room(lambda: host_breaker.note_host_failure(conn, spec, name, signature, probe))

    def note_answer(self, host: str, probe: int | None) -> None:
        """End the row of failures of a host that has a breaker."""
        if (found := self.find_breaker(host)) is None:
            return
        conn, (name, _) = self.connect(), found
        wait_for_room(lambda: host_breaker.note_host_success(conn, name, probe))

    def recall_robots(self, origin: str) -> KnownRobots | None:
        """Look up the robots.txt of an origin."""
        known = hosts.find_robots(self.connect(), origin)
        return None if known is None else KnownRobots(known.status, known.body, known.good_until / 1000)

    def keep_robots(self, origin: str, robots: KnownRobots) -> None:
        """Remember the robots.txt of an origin."""
        conn = self.connect()
        record = RobotsRecord(robots.status, robots.body, int(robots.good_until * 1000))
        wait_for_room(lambda: hosts.keep_robots(conn, origin, record))


def _describe(held: Pause) -> HostPause:
    wait_seconds = PROBE_WAIT_SECONDS if held.is_probing else ENDLESS_WAIT_SECONDS
    if held.until_at is not None:
        wait_seconds = max(0.0, (held.until_at - now_ms()) / 1000)
    return HostPause(held.host, f"{held.reason} (by {held.by})", wait_seconds, held.probes_left > 0)
