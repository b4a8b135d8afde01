"""The messages of notices: taken by one process at a time, and tried again until they are sent or given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.clock import now_ms
from tracker.connection import write
from tracker.notices import FIRST_WAIT_MS, LONGEST_WAIT_MS, MOST_ATTEMPTS, PATIENCE_MS

if TYPE_CHECKING:
    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class Message:
    """A message that this process has taken, and what it tells of. `kind` is opened, reminder or closed."""

    message_id: int
    channel: str
    kind: str
    attempt: int
    trouble: str
    job: str
    subject: str
    words: str
    opened_at: int
    written_at: int


HAS_DUE_MESSAGE = (
    "SELECT 1 FROM notice_messages INDEXED BY idx_notice_messages_due WHERE due_at <= :now LIMIT 1"
)

TAKE_MESSAGE = """
UPDATE notice_messages
   SET attempts = attempts + 1, due_at = :again
 WHERE message_id = (SELECT message_id FROM notice_messages INDEXED BY idx_notice_messages_due
                      WHERE due_at <= :now ORDER BY due_at, message_id LIMIT 1)
RETURNING message_id
"""

READ_MESSAGE = """
SELECT m.message_id, m.channel, m.kind, m.attempts, n.trouble, n.job_id, n.subject, n.words, n.opened_at, m.written_at
  FROM notice_messages m
  JOIN notices n ON n.notice_id = m.notice_id
 WHERE m.message_id = :message_id
"""


def take_message(conn: Connection) -> Message | None:
    """
    Take the next message that is due, for this process to send; None if there is none. Commits.

    If its process dies, another takes it three minutes later.
    """
    now = now_ms()
    if conn.execute(HAS_DUE_MESSAGE, {"now": now}).fetchone() is None:
        return None
    with write(conn):
        row = conn.execute(TAKE_MESSAGE, {"now": now, "again": now + PATIENCE_MS}).fetchone()
        if row is None:
            return None
        return Message(*conn.execute(READ_MESSAGE, {"message_id": row[0]}).fetchone())


NOTE_SENT = """
UPDATE notice_messages SET sent_at = :now, due_at = NULL, error = NULL
 WHERE message_id = :message_id AND sent_at IS NULL
"""


# When it was closed meanwhile, this channel had not been told yet.
WRITE_LATE_CLOSING = """
INSERT INTO notice_messages (notice_id, channel, kind, written_at, due_at)
SELECT m.notice_id, m.channel, 'closed', n.closed_at, :now
  FROM notice_messages m
  JOIN notices n ON n.notice_id = m.notice_id
 WHERE m.message_id = :message_id AND m.kind <> 'closed' AND n.closed_at IS NOT NULL
    ON CONFLICT DO NOTHING
"""


def note_sent(conn: Connection, message: Message) -> None:
    """Record that a message is sent; of a trouble that ended meanwhile the channel is told that it is over. Commits."""
    asked = {"message_id": message.message_id, "now": now_ms()}
    with write(conn):
        conn.execute(NOTE_SENT, asked)
        conn.execute(WRITE_LATE_CLOSING, asked)


NOTE_UNSENT = """
UPDATE notice_messages SET due_at = :due_at, error = :error
 WHERE message_id = :message_id AND sent_at IS NULL AND due_at IS NOT NULL
"""


def note_unsent(conn: Connection, message: Message, error: str, *, for_good: bool = False) -> None:
    """Record why a message could not be sent, and try again later, unless it is `for_good`. Commits."""
    wait = min(FIRST_WAIT_MS * 2 ** min(message.attempt - 1, 10), LONGEST_WAIT_MS)
    is_over = for_good or message.attempt >= MOST_ATTEMPTS
    asked = {
        "message_id": message.message_id,
        "due_at": None if is_over else now_ms() + wait,
        "error": error,
    }
    with write(conn):
        conn.execute(NOTE_UNSENT, asked)


@dataclass(frozen=True, slots=True)
class UnsentReport:
    """A message that could not be sent so far; `due_at` (Unix ms) is when it is tried again, None: given up."""

    trouble: str
    job: str
    subject: str
    kind: str
    channel: str
    attempts: int
    error: str
    due_at: int | None


LIST_UNSENT = """
SELECT n.trouble, n.job_id, n.subject, m.kind, m.channel, m.attempts, m.error, m.due_at
  FROM (SELECT message_id, notice_id, kind, channel, attempts, error, due_at, sent_at
          FROM notice_messages
         ORDER BY message_id DESC
         LIMIT 1000) m
  JOIN notices n ON n.notice_id = m.notice_id
 WHERE m.error IS NOT NULL AND m.sent_at IS NULL AND (m.due_at IS NOT NULL OR n.closed_at IS NULL)
 ORDER BY m.message_id
 LIMIT :limit
"""


def list_unsent(conn: Connection, limit: int = 100) -> list[UnsentReport]:
    """List at most `limit` messages, of the last thousand, that could not be sent so far."""
    return [UnsentReport(*row) for row in conn.execute(LIST_UNSENT, {"limit": limit})]
