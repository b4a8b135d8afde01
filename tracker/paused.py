"""Who is held back now: what dispatch asks, what the HTTP client asks, and what people ask."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.pause_records import Pause, list_domains

if TYPE_CHECKING:
    from tracker.connection import Connection

FIND_PAUSES_OF = """
SELECT scope, job_id, stage, host, cause, reason, by, since_at, until_at, lifts, probes_left
  FROM pauses
 WHERE scope IN ('all', 'job', 'stage') AND job_id IN ('', :job_id) AND stage IN ('', :stage)
 ORDER BY scope
"""


def find_pause_of(conn: Connection, job_id: str, stage: str | None = None) -> Pause | None:
    """Find what holds a stage of a job back now, or the job: the pause of everything, its job's or its own."""
    row = conn.execute(FIND_PAUSES_OF, {"job_id": job_id, "stage": stage or ""}).fetchone()
    return Pause.from_row(row) if row else None


@dataclass(frozen=True, slots=True)
class Holds:
    """What dispatch must know: whether all of a job is held, which stages are, and how many probes may go."""

    all_stages: bool = False
    stages: frozenset[str] = frozenset()
    probes_left: int | None = None
    """None unless a breaker is letting out probes, and nothing else."""


NO_HOLDS = Holds()

READ_HOLDS = """
SELECT scope, stage, probes_left
  FROM pauses
 WHERE scope IN ('all', 'job', 'stage') AND job_id IN ('', :job_id)
"""


def read_holds(conn: Connection, job_id: str) -> Holds:
    """Read what is held back of a job. One query, of a small table."""
    rows = conn.execute(READ_HOLDS, {"job_id": job_id}).fetchall()
    if not rows:
        return NO_HOLDS
    wide = [row["probes_left"] for row in rows if row["scope"] != "stage"]
    probes = min(wide, default=None)
    stages = frozenset(row["stage"] for row in rows if row["scope"] == "stage")
    return Holds(probes == 0, stages, probes or None)


FIND_HOST_PAUSE = """
SELECT scope, job_id, stage, host, cause, reason, by, since_at, until_at, lifts, probes_left
  FROM pauses
 WHERE scope = 'host' AND job_id = '' AND stage = '' AND host IN (SELECT value FROM json_each(:names))
 ORDER BY probes_left > 0, until_at DESC NULLS FIRST
 LIMIT 1
"""


def find_host_pause(conn: Connection, host: str) -> Pause | None:
    """Find what holds back the requests to a host: a pause of it or of a domain that it is in, the longest."""
    row = conn.execute(FIND_HOST_PAUSE, {"names": json.dumps(list_domains(host))}).fetchone()
    return Pause.from_row(row) if row else None


LIST_PAUSES = """
SELECT scope, job_id, stage, host, cause, reason, by, since_at, until_at, lifts, probes_left
  FROM pauses
 ORDER BY scope, job_id, stage, host
 LIMIT :limit
"""


def list_pauses(conn: Connection, limit: int = 1000) -> list[Pause]:
    """List the pauses in force: of everything, of hosts, of jobs, of stages."""
    return [Pause.from_row(row) for row in conn.execute(LIST_PAUSES, {"limit": limit})]


LIST_STAGE_PAUSES = """
SELECT scope, job_id, stage, host, cause, reason, by, since_at, until_at, lifts, probes_left
  FROM pauses
 WHERE scope = 'stage' AND job_id = :job_id
 ORDER BY stage
"""


def list_stage_pauses(conn: Connection, job_id: str) -> list[Pause]:
    """List the pauses of single stages of a job."""
    return [Pause.from_row(row) for row in conn.execute(LIST_STAGE_PAUSES, {"job_id": job_id})]


LIST_PROBING = """
SELECT scope, job_id, stage, host, cause, reason, by, since_at, until_at, lifts, probes_left
  FROM pauses
 WHERE cause = 'breaker' AND until_at IS NULL
 ORDER BY scope, job_id, host
"""


def list_probing(conn: Connection) -> list[Pause]:
    """List the breakers' pauses that wait for what their probes say."""
    return [Pause.from_row(row) for row in conn.execute(LIST_PROBING)]
