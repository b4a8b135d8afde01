"""
What is set aside for what is sent or runs.

A reservation is made with a stage's stamp; triggers take off what its attempt spends, and remove it with whatever
ends the attempt or takes its stamp back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.connection import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracker.connection import Connection
    from tracker.dispatch import Message

RESERVE = """
INSERT INTO reservations (item_id, stage, attempt, job_id, usd)
VALUES (:item_id, :stage, :attempt, :job_id, :usd)
    ON CONFLICT DO UPDATE
   SET attempt = excluded.attempt, usd = excluded.usd
"""


def reserve(conn: Connection, messages: Iterable[Message], expected_usd: Mapping[str, float]) -> None:
    """Set the expected cost of stamped stages aside, by stage, in the transaction that stamps them."""
    conn.executemany(
        RESERVE,
        [
            {
                "item_id": one.item_id,
                "stage": one.stage,
                "attempt": one.attempt,
                "job_id": one.job_id,
                "usd": expected_usd[one.stage],
            }
            for one in messages
            if expected_usd.get(one.stage)
        ],
    )


HAS_ORPHANS = """
SELECT EXISTS (SELECT 1 FROM reservations r
                WHERE NOT EXISTS (SELECT 1 FROM item_stages s
                                   WHERE s.item_id = r.item_id AND s.stage = r.stage
                                     AND (s.queued_at IS NOT NULL OR s.status = 'in_progress')))
"""

DROP_ORPHANS = """
DELETE FROM reservations
 WHERE NOT EXISTS (SELECT 1 FROM item_stages s
                    WHERE s.item_id = reservations.item_id AND s.stage = reservations.stage
                      AND (s.queued_at IS NOT NULL OR s.status = 'in_progress'))
"""


def drop_orphans(conn: Connection) -> int:
    """
    Give back what is set aside for a stage that is neither sent nor running; how many. Commits if there is any.

    The triggers leave none behind: this is for a file that somebody changed by hand.
    """
    if not conn.execute(HAS_ORPHANS).fetchone()[0]:
        return 0
    with write(conn):
        conn.execute(DROP_ORPHANS)
        return conn.changes()
