"""Manners that are kept in the tracker: one queue before each host for all jobs, workers and containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from net.manners import KnownRobots, Turn
from runner.room import wait_for_room
from tracker import hosts
from tracker.hosts import RobotsRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class TrackerManners:
    """
    What all who share a tracker know of the hosts.

    `connect` gives the connection of the thread that it is called in, `tell_worker` the name of the process. On a
    full disk nobody asks anybody: it waits for room.
    """

    connect: Callable[[], Connection]
    tell_worker: Callable[[], str]

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

    def recall_robots(self, origin: str) -> KnownRobots | None:
        """Look up the robots.txt of an origin."""
        known = hosts.find_robots(self.connect(), origin)
        return None if known is None else KnownRobots(known.status, known.body, known.good_until / 1000)

    def keep_robots(self, origin: str, robots: KnownRobots) -> None:
        """Remember the robots.txt of an origin."""
        conn = self.connect()
        record = RobotsRecord(robots.status, robots.body, int(robots.good_until * 1000))
        wait_for_room(lambda: hosts.keep_robots(conn, origin, record))
