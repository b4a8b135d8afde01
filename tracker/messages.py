"""Messages that must be sent again: their stage's time has come, or they were lost on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.clock import AHEAD_MS, now_ms
from tracker.connection import write

if TYPE_CHECKING:
    from tracker.connection import Connection

BROKER_LOSS_MS = 5_000
"""With an empty broker, a message sent so long ago and not claimed is lost; doubles with each sending."""

HAS_DUE = """
SELECT EXISTS (SELECT 1 FROM item_stages INDEXED BY idx_item_stages_parked
                WHERE job_id IN (SELECT job_id FROM item_counts)
                  AND status = 'pending' AND retry_at <= :now AND queued_at IS NULL)
"""

WAKE_DUE = """
UPDATE item_stages
   SET retry_at = NULL
 WHERE (item_id, stage) IN (SELECT item_id, stage
                              FROM item_stages INDEXED BY idx_item_stages_parked
                             WHERE job_id IN (SELECT job_id FROM item_counts)
                               AND status = 'pending' AND retry_at <= :now AND queued_at IS NULL
                             LIMIT :limit)
"""

WAKE_AT_ONCE = 1000


def wake_parked_stages(conn: Connection) -> int:
    """
    Make ready the parked stages whose time has come; how many. Commits, and writes nothing if none is due.

    A thousand in a transaction, so that others can write between them.
    """
    woken = 0
    while batch := _wake_some(conn):
        woken += batch
    return woken


def _wake_some(conn: Connection) -> int:
    asked = {"now": now_ms(), "limit": WAKE_AT_ONCE}
    if not conn.execute(HAS_DUE, asked).fetchone()[0]:
        return 0
    with write(conn):
        conn.execute(WAKE_DUE, asked)
        return conn.changes()


HAS_LOST = """
SELECT EXISTS (SELECT 1 FROM item_stages INDEXED BY idx_item_stages_sent
                WHERE status = 'pending' AND queued_at IS NOT NULL AND resend_at <= :now)
"""

TAKE_BACK_LOST = """
UPDATE item_stages INDEXED BY idx_item_stages_sent
   SET queued_at = NULL, resend_at = NULL, retry_at = NULL
 WHERE status = 'pending' AND queued_at IS NOT NULL AND resend_at <= :now
"""


def take_back_lost_messages(conn: Connection) -> int:
    """
    Make ready again the stages whose message was not claimed in time; how many. Commits.

    Dispatch sends them again, each time with double the patience; a duplicate costs one lost claim.
    """
    asked = {"now": now_ms()}
    if not conn.execute(HAS_LOST, asked).fetchone()[0]:
        return 0
    with write(conn):
        conn.execute(TAKE_BACK_LOST, asked)
        return conn.changes()


TAKE_BACK_VANISHED = """
UPDATE item_stages INDEXED BY idx_item_stages_sent
   SET queued_at = NULL, resend_at = NULL
 WHERE status = 'pending' AND queued_at IS NOT NULL AND retry_at IS NULL
   AND resend_at IS NOT NULL AND (queued_at <= :now - (:loss << min(sends - 1, 8)) OR queued_at > :ahead)
"""

HAS_VANISHED = """
SELECT EXISTS (SELECT 1 FROM item_stages INDEXED BY idx_item_stages_sent
                WHERE status = 'pending' AND queued_at IS NOT NULL AND retry_at IS NULL
                  AND resend_at IS NOT NULL
                  AND (queued_at <= :now - (:loss << min(sends - 1, 8)) OR queued_at > :ahead))
"""


def take_back_vanished_messages(conn: Connection) -> int:
    """
    Make ready again the stages whose message must be gone, because the broker's queues are empty; how many.

    So a flushed or restarted broker costs seconds, not the minute of `take_back_lost_messages`. One that was sent in
    the future was stamped before the clock was set back: its time to be sent again may be far off. Commits.
    """
    now = now_ms()
    asked = {"now": now, "loss": BROKER_LOSS_MS, "ahead": now + AHEAD_MS}
    if not conn.execute(HAS_VANISHED, asked).fetchone()[0]:
        return 0
    with write(conn):
        conn.execute(TAKE_BACK_VANISHED, asked)
        return conn.changes()


TAKE_BACK_SENT = """
UPDATE item_stages INDEXED BY idx_item_stages_sent
   SET queued_at = NULL, resend_at = NULL
 WHERE status = 'pending' AND queued_at IS NOT NULL AND resend_at IS NOT NULL
"""


def take_back_all_messages(conn: Connection) -> int:
    """
    Take back every message, because the broker that had them is gone for good; how many. Commits, or joins.

    What is ready is sent again; what waits for a time goes on waiting for it.
    """
    with write(conn):
        conn.execute(TAKE_BACK_SENT)
        return conn.changes()
