"""Make a restored tracker ready to go on at once: nobody works for it, and no message of it is on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.connection import write
from tracker.events import append_event
from tracker.messages import take_back_all_messages
from tracker.recovery import reset_in_progress_stages

if TYPE_CHECKING:
    from tracker.connection import Connection

EXPIRE_DISCOVERIES = """
UPDATE discovery_runs INDEXED BY idx_discovery_runs_leased
   SET leased_until = 0
 WHERE leased_until IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What was taken back: the claims of workers, messages on their way, discoveries that ran."""

    claims: int
    messages: int
    discoveries: int


def take_back_all(conn: Connection, by: str, source: str) -> TakenBack:
    """
    Take back every claim and every stamp, and let running discoveries be taken up again; one event. Commits.

    Only for a tracker that no worker knows yet. What waits for a time goes on waiting for it.
    """
    with write(conn):
        claims = reset_in_progress_stages(conn)
        messages = take_back_all_messages(conn)
        conn.execute(EXPIRE_DISCOVERIES)
        taken = TakenBack(claims, messages, conn.changes())
        detail = {"from": source, "claims": taken.claims, "messages": taken.messages}
        append_event(conn, None, "restore", None, None, None, by, detail)
    return taken


FORGET_ARTIFACT = "DELETE FROM artifacts WHERE sha256 = :sha256 AND uses = 0"

LIST_UNUSED_AFTER = """
SELECT sha256 FROM artifacts INDEXED BY idx_artifacts_unused
 WHERE uses = 0 AND sha256 > :after
 ORDER BY sha256
 LIMIT 500
"""


def forget_unused_artifacts(conn: Connection) -> int:
    """Strike off the list the files that nothing refers to: a backup has none of them. How many. Commits."""
    after, count = "", 0
    with write(conn):
        while rows := conn.execute(LIST_UNUSED_AFTER, {"after": after}).fetchall():
            conn.executemany(FORGET_ARTIFACT, ({"sha256": row[0]} for row in rows))
            after, count = rows[-1][0], count + len(rows)
    return count
