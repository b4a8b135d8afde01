"""Hosts: whose turn it is to ask each, which of them asked to be left alone, and their robots.txt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.host_waits import LONGEST_APPOINTMENT_SECONDS, choose_wait
from tracker.clock import CLOCKS_DIFFER_MS, DAY_MS, now_ms
from tracker.connection import Connection, write
from tracker.events import append_event
from tracker.pauses import Pause, list_domains, list_pauses

if TYPE_CHECKING:
    from tracker.rows import Row

SECOND_US = 1_000_000
KEEP_ROBOTS_MS = 7 * DAY_MS
"""How long a robots.txt is kept after it was good: while its origin does not answer, the old one holds."""


@dataclass(frozen=True, slots=True)
class HostTurn:
    """
    The answer to who wants to ask a host.

    `wait_seconds` is how long it is until its turn, or, unless it is `granted`, until it is worth while to ask
    for one again. `throttles` counts the answers in a row, up to then, that asked to slow down.
    """

    wait_seconds: float
    granted: bool
    throttles: int


FREE_BY_A_RIGHT_CLOCK = """
UPDATE hosts
   SET free_us = :now_us, promised_us = :now_us, slowed_until = NULL
 WHERE host = :host AND asked_at > :latest_ms
"""
"""A last turn further ahead than anybody could have had was given by a clock that was ahead: it holds nobody."""

TAKE_TURN = """
INSERT INTO hosts (host, free_us, told_us, interval_us, requests, asked_at)
VALUES (:host, :now_us + :interval_us, :now_us, :interval_us, 1, :now_us / 1000)
    ON CONFLICT (host) DO UPDATE
   SET free_us = iif(free_us <= :latest_us, max(free_us, :now_us) + :interval_us, free_us),
       requests = requests + (free_us <= :latest_us),
       asked_at = iif(free_us <= :latest_us, max(free_us, :now_us) / 1000, asked_at),
       told_us = iif(free_us <= :latest_us, max(free_us, :now_us),
                     max(free_us, min(promised_us + :interval_us, free_us + :longest_us))),
       promised_us = iif(free_us <= :latest_us, promised_us,
                         max(free_us, min(promised_us + :interval_us, free_us + :longest_us))),
       interval_us = :interval_us
RETURNING told_us, throttles
"""


def take_turn(conn: Connection, host: str, interval_seconds: float, patience_seconds: float) -> HostTurn:
    """
    Take a host's next turn, after which nobody has one for the interval; none if it is beyond the patience.

    Whoever is turned away is told a time of its own, one interval after the one before it, so that they do not
    all come back at once; the time is not kept for it. The generic cell rate algorithm, without bursts. Commits.
    """
    with write(conn):
        now_us = now_ms() * 1000  # read in our turn to write: one that waited for it would be late
        latest_us = now_us + round(patience_seconds * SECOND_US)
        asked = {
            "host": host,
            "now_us": now_us,
            "latest_us": latest_us,
            "latest_ms": latest_us // 1000 + CLOCKS_DIFFER_MS,
            "interval_us": round(interval_seconds * SECOND_US),
            "longest_us": round(LONGEST_APPOINTMENT_SECONDS * SECOND_US),
        }
        conn.execute(FREE_BY_A_RIGHT_CLOCK, asked)
        row = conn.execute(TAKE_TURN, asked).fetchone()
    return HostTurn((row["told_us"] - now_us) / SECOND_US, row["told_us"] <= latest_us, row["throttles"])


READ_SLOWED = "SELECT throttles, coalesce(slowed_until, 0) AS slowed_until FROM hosts WHERE host = :host"


def is_slowed(conn: Connection, host: str) -> bool:
    """Tell whether a host has asked that nobody should come now."""
    row = conn.execute(READ_SLOWED, {"host": host}).fetchone()
    return row is not None and row["slowed_until"] > now_ms()


SLOW_HOST = """
INSERT INTO hosts (host, free_us, throttled, throttles, slowed_until, reason)
VALUES (:host, :until * 1000, 1, 1, :until, :reason)
    ON CONFLICT (host) DO UPDATE
   SET free_us = max(free_us, :until * 1000), throttled = throttled + 1, throttles = :throttles,
       slowed_until = :until, reason = :reason
"""


def slow_host(
    conn: Connection, host: str, seconds: float | None, reason: str, throttles: int, by: str
) -> float:
    """
    Let nobody ask a host for as long as it wished, or else for a wait that grows each time in a row.

    Gives how long that came to. `throttles` is what the turn said to which this was the answer: an answer to an
    older turn than the last such word is not another in a row. The first in a row is an event. Commits.
    """
    with write(conn):
        now = now_ms()
        known = conn.execute(READ_SLOWED, {"host": host}).fetchone()
        before, until = (known["throttles"], known["slowed_until"]) if known else (0, 0)
        is_another = before <= throttles
        if is_another or seconds is not None:
            until = max(until, now + round(choose_wait(seconds, min(before, throttles)) * 1000))
        slowed = {"host": host, "until": until, "reason": reason, "throttles": before + is_another}
        conn.execute(SLOW_HOST, slowed)
        if before == 0:
            detail = {"host": host, "until": until, "reason": reason}
            append_event(conn, None, "host_slowed", None, None, None, by, detail)
    return max(0.0, (until - now) / 1000)


NOTE_SUCCESS = """
UPDATE hosts SET throttles = 0, slowed_until = NULL, reason = NULL
 WHERE host = :host AND throttles = :throttles      -- if it asked again since, it is left alone
"""


def note_success(conn: Connection, host: str, throttles: int) -> None:
    """Forget that a host asked to slow down, unless it did so again since the turn with these `throttles`. Commits."""
    with write(conn):
        conn.execute(NOTE_SUCCESS, {"host": host, "throttles": throttles})


@dataclass(frozen=True, slots=True)
class HostReport:
    """
    One host, or a domain whose hosts share a limit. Instants are Unix milliseconds.

    It may be asked once in `interval_seconds`, next at `free_at`. `throttled` counts all answers that asked to
    slow down. While `slowed_until` is ahead nobody asks it, for the `reason`; nor while there is a `pause`, of itself
    or of a domain that it is in.
    """

    host: str
    interval_seconds: float
    requests: int
    throttled: int
    asked_at: int | None
    free_at: int
    slowed_until: int | None
    reason: str | None
    pause: Pause | None = None

    @classmethod
    def from_row(cls, row: Row) -> HostReport:
        """Read a row of `LIST_HOSTS`."""
        return cls(**dict(row) | {"interval_seconds": row["interval_seconds"] / SECOND_US})


LIST_HOSTS = """
SELECT host, interval_us AS interval_seconds, requests, throttled, asked_at, free_us / 1000 AS free_at,
       slowed_until, reason
  FROM hosts
 ORDER BY host IN (SELECT p.host FROM pauses p WHERE p.scope = 'host') DESC,
          slowed_until DESC NULLS LAST, asked_at DESC NULLS LAST, host
 LIMIT :limit
"""


def list_hosts(conn: Connection, limit: int = 50) -> list[HostReport]:
    """List hosts: first the paused ones, then those that asked to slow down last, then those that were asked last."""
    paused = {each.host: each for each in list_pauses(conn) if each.scope == "host"}
    asked = [HostReport.from_row(row) for row in conn.execute(LIST_HOSTS, {"limit": limit})]
    found = [replace(one, pause=_find_pause(one.host, paused)) for one in asked] if paused else asked
    never_asked = [_report_paused(paused[name]) for name in paused.keys() - {one.host for one in asked}]
    return sorted(never_asked + found, key=lambda one: one.pause is None)[:limit]


def _find_pause(host: str, paused: dict[str, Pause]) -> Pause | None:
    return next((paused[name] for name in list_domains(host) if name in paused), None)


def _report_paused(pause: Pause) -> HostReport:
    """Report on a host that nobody has asked under just this name."""
    return HostReport(pause.host, 0.0, 0, 0, None, pause.since_at, None, None, pause)


@dataclass(frozen=True, slots=True)
class RobotsRecord:
    """An origin's robots.txt: the status of the answer (0: none came), its text, until when it is good (Unix ms)."""

    status: int
    body: str
    good_until: int


FIND_ROBOTS = "SELECT status, body, good_until FROM robots WHERE origin = :origin"


def find_robots(conn: Connection, origin: str) -> RobotsRecord | None:
    """Find the robots.txt of an origin, good or not, or None."""
    row = conn.execute(FIND_ROBOTS, {"origin": origin}).fetchone()
    return None if row is None else RobotsRecord(**dict(row))


KEEP_ROBOTS = """
INSERT INTO robots (origin, status, good_until, body) VALUES (:origin, :status, :good_until, :body)
    ON CONFLICT (origin) DO UPDATE SET status = :status, good_until = :good_until, body = :body
"""

DROP_OLD_ROBOTS = "DELETE FROM robots WHERE good_until < :before"


def keep_robots(conn: Connection, origin: str, robots: RobotsRecord) -> None:
    """Keep the robots.txt of an origin, and drop what nobody has asked for in a week. Commits."""
    with write(conn):
        conn.execute(
            KEEP_ROBOTS,
            {"origin": origin, "status": robots.status, "good_until": robots.good_until, "body": robots.body},
        )
        conn.execute(DROP_OLD_ROBOTS, {"before": now_ms() - KEEP_ROBOTS_MS})
