"""The history of discoveries, read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class RunReport:
    """
    One look that a job took at its sources; instants in Unix milliseconds.

    `outcome` is found, unavailable, failed, skipped, or None while it runs. `slot_at` is the scheduled time, None
    for one asked for by hand. `error` says why it failed, was skipped, or waits: for the paused host `waits_for`.
    """

    run_id: int
    slot_at: int | None
    attempt: int
    started_at: int
    ended_at: int | None
    outcome: str | None
    requests: int
    found: int
    new: int
    changed: int
    refused: int
    held: int
    error: str | None
    retry_at: int | None
    waits_for: str | None

    @property
    def is_waiting(self) -> bool:
        """Whether it failed at nothing, and goes on when the host that it `waits_for` is no longer paused."""
        return self.waits_for is not None and self.retry_at is not None


LIST_RUNS = """
SELECT run_id, slot_at, attempt, started_at, ended_at, outcome, requests, found, new, changed, refused, held, error,
       retry_at, waits_for
  FROM discovery_runs
 WHERE job_id = :job_id
 ORDER BY run_id DESC
 LIMIT :limit
"""


def list_runs(conn: Connection, job_id: str, limit: int = 20) -> list[RunReport]:
    """List at most `limit` looks of a job, the newest first."""
    return [RunReport(*row) for row in conn.execute(LIST_RUNS, {"job_id": job_id, "limit": limit})]


@dataclass(frozen=True, slots=True)
class LookReport(RunReport):
    """One look with why it refused what it refused, by reason; empty where that is not known."""

    refused_for: Mapping[str, int] = field(default_factory=dict)


LIST_REFUSED = """
SELECT run_id, refused_for
  FROM discovery_runs
 WHERE job_id = :job_id AND run_id >= :run_id AND refused_for IS NOT NULL
"""


def list_looks(conn: Connection, job_id: str, limit: int = 20) -> list[LookReport]:
    """List at most `limit` looks of a job, the newest first, with why each refused what it refused."""
    runs = list_runs(conn, job_id, limit)
    asked = {"job_id": job_id, "run_id": runs[-1].run_id if runs else 0}
    reasons = {run_id: json.loads(text) for run_id, text in conn.execute(LIST_REFUSED, asked)}
    return [LookReport(**asdict(run), refused_for=reasons.get(run.run_id, {})) for run in runs]


def find_last_run(conn: Connection, job_id: str) -> RunReport | None:
    """Find the last look that a job took, or None."""
    return next(iter(list_runs(conn, job_id, 1)), None)


RECENT_YIELDS = """
SELECT new + held
  FROM (SELECT run_id, new, held, outcome FROM discovery_runs WHERE job_id = :job_id ORDER BY run_id DESC LIMIT 100)
 WHERE outcome = 'found' AND new + held > 0
 ORDER BY run_id DESC
 LIMIT :limit
"""


def list_recent_yields(conn: Connection, job_id: str, limit: int = 20) -> list[int]:
    """List how many new things the last looks brought that brought any, newest first; of the last 100 looks."""
    return [row[0] for row in conn.execute(RECENT_YIELDS, {"job_id": job_id, "limit": limit})]


HAS_LOOKED = """
SELECT 1 FROM discovery_runs WHERE job_id = :job_id AND run_id < :run_id AND outcome = 'found' LIMIT 1
"""


def has_looked_before(conn: Connection, job_id: str, run_id: int) -> bool:
    """Tell whether an earlier discovery of the job has worked."""
    return conn.execute(HAS_LOOKED, {"job_id": job_id, "run_id": run_id}).fetchone() is not None
