"""Breakers of hosts: requests in a row that failed, the pause that they open, the requests let out of it to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker import pauses, probes
from tracker.breaker import BREAKER, COUNT_FAILURE, COUNT_OPENING, open_breaker
from tracker.clock import now_ms
from tracker.connection import Connection, write
from tracker.pauses import Target

if TYPE_CHECKING:
    from pipeline.breaker import BreakerSpec

PROBE_MS = 120_000
"""A request that was let out and has not ended by then is taken for lost, and another is let out."""

HAS_FAILURES = "SELECT openings FROM failure_rows WHERE job_id = '' AND stage = '' AND host = :host"


def note_host_failure(
    conn: Connection, spec: BreakerSpec, host: str, signature: str, probe: int | None = None
) -> pauses.Pause | None:
    """
    Count a request that a host did not answer, or answered with 5xx; the pause that it opened, or None. Commits.

    `probe` is the number of a request that was let out of the pause to see (`take_host_probe`): its failure opens
    again at once, for twice as long. Others say nothing while the host is paused.
    """
    asked = {"job_id": "", "stage": "", "host": host, "signature": signature, "of": spec.of}
    with write(conn):
        was_probe = probe is not None and _end_probe(conn, probe)
        held = pauses.read_pause(conn, Target.of_host(host))
        if held is not None and not was_probe:
            return None
        count, openings = conn.execute(COUNT_FAILURE, asked).fetchone()
        if not was_probe and count < spec.after:
            return None
        conn.execute(COUNT_OPENING, asked)
        probes.forget_probes(conn, host=host)
        return open_breaker(conn, spec, Target.of_host(host), signature, count, openings)


def note_host_success(conn: Connection, host: str, probe: int | None = None) -> bool:
    """
    End a host's row of failures: it answered; True when that lifted its breaker's pause. Commits.

    Writes nothing for a host that had not failed. While it is paused only a probe's answer counts.
    """
    if probe is None and conn.execute(HAS_FAILURES, {"host": host}).fetchone() is None:
        return False
    target = Target.of_host(host)
    with write(conn):
        was_probe = probe is not None and _end_probe(conn, probe)
        held = pauses.read_pause(conn, target)
        if held is None:
            pauses.forget_failures(conn, target)
            return False
        if not was_probe or held.cause != BREAKER:
            return False
        pauses.take_away(conn, target)
        pauses.forget_failures(conn, target)
        detail = {
            "reason": "a probe succeeded",
            "paused_ms": now_ms() - held.since_at,
            "lifts": held.lifts,
        }
        pauses.log_pause(conn, "breaker_closed", target, BREAKER, detail)
    return True


TAKE_HOST_PROBE = """
UPDATE pauses
   SET probes_left = probes_left - 1
 WHERE scope = 'host' AND job_id = '' AND stage = '' AND host = :host AND probes_left > 0
"""

KEEP_HOST_PROBE = "INSERT INTO host_probes (host, until_at) VALUES (:host, :until) RETURNING probe_id"

END_HOST_PROBE = "DELETE FROM host_probes WHERE probe_id = :probe_id RETURNING host"

GIVE_HOST_PROBE = """
UPDATE pauses
   SET probes_left = probes_left + 1
 WHERE scope = 'host' AND job_id = '' AND stage = '' AND host = :host
   AND cause = 'breaker' AND until_at IS NULL
"""


def take_host_probe(conn: Connection, host: str) -> int | None:
    """Use up one of the requests that a host's breaker lets out; its number, or None when none is left. Commits."""
    asked = {"host": host, "until": now_ms() + PROBE_MS}
    with write(conn):
        conn.execute(TAKE_HOST_PROBE, asked)
        if not conn.changes():
            return None
        return int(conn.execute(KEEP_HOST_PROBE, asked).fetchone()[0])


def _end_probe(conn: Connection, probe: int) -> bool:
    return conn.execute(END_HOST_PROBE, {"probe_id": probe}).fetchone() is not None


LOST_HOST_PROBES = "SELECT probe_id, host FROM host_probes WHERE until_at <= :now"


def give_back_lost_probes(conn: Connection) -> int:
    """Let another request out for each whose process died; how many. Commits; writes nothing when there is none."""
    asked = {"now": now_ms()}
    if conn.execute(LOST_HOST_PROBES, asked).fetchone() is None:
        return 0
    with write(conn):
        lost = conn.execute(LOST_HOST_PROBES, asked).fetchall()
        for probe_id, host in lost:
            _end_probe(conn, probe_id)
            conn.execute(GIVE_HOST_PROBE, {"host": host})
    return len(lost)
