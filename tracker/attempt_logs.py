"""What handlers logged during their attempts: written as each ends, forgotten with what is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.clock import now_ms

if TYPE_CHECKING:
    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """What an attempt logged: how many lines, how many of them the text leaves out, and the text, which says where."""

    lines: int
    left_out: int
    text: str


PUT_LOG = """
INSERT INTO attempt_logs (item_id, stage, attempt, job_id, ended_at, lines, left_out, text)
VALUES (:item_id, :stage, :attempt, :job_id, :now, :lines, :left_out, :text)
    ON CONFLICT DO UPDATE
   SET ended_at = excluded.ended_at, lines = excluded.lines, left_out = excluded.left_out, text = excluded.text
"""


def put_log(conn: Connection, item_id: int, stage: str, attempt: int, job_id: str, log: AttemptLog) -> None:
    """Keep what an attempt logged, in the transaction in which it ends."""
    conn.execute(
        PUT_LOG,
        {
            "item_id": item_id,
            "stage": stage,
            "attempt": attempt,
            "job_id": job_id,
            "now": now_ms(),
            "lines": log.lines,
            "left_out": log.left_out,
            "text": log.text,
        },
    )
