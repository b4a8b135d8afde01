"""Notices: one for each trouble while it lasts, and the messages that tell people of it, each until it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.clock import now_ms
from tracker.connection import write
from tracker.events import append_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.connection import Connection
    from tracker.troubles import Key, Trouble

OVER_AFTER_MS = 60_000
"""A trouble must be gone for so long before its notice is closed: one that comes and goes is told of once."""

PATIENCE_MS = 180_000
"""How long whoever took a message may take to send it, before another tries."""

FIRST_WAIT_MS, LONGEST_WAIT_MS = 60_000, 3_600_000
"""The wait before a message is tried again; it doubles each time, up to the longest."""

MOST_ATTEMPTS = 60
"""After so many, in about two days, a message is given up."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people are told of, once; instants in Unix ms."""

    notice_id: int
    trouble: str
    job: str
    subject: str
    words: str
    opened_at: int
    reminded_at: int | None
    gone_at: int | None
    closed_at: int | None

    @property
    def key(self) -> Key:
        """By what its trouble is known again."""
        return self.trouble, self.job, self.subject


LIST_OPEN_NOTICES = """
SELECT notice_id, trouble, job_id, subject, words, opened_at, reminded_at, gone_at, closed_at
  FROM notices INDEXED BY idx_notices_open
 WHERE closed_at IS NULL
"""


def list_open_notices(conn: Connection) -> list[Notice]:
    """List the notices whose trouble lasts, the oldest first."""
    found = [Notice(*row) for row in conn.execute(LIST_OPEN_NOTICES)]
    return sorted(found, key=lambda notice: notice.notice_id)


LIST_NOTICES = """
SELECT notice_id, trouble, job_id, subject, words, opened_at, reminded_at, gone_at, closed_at
  FROM notices
 ORDER BY notice_id DESC
 LIMIT :limit
"""


def list_notices(conn: Connection, limit: int) -> list[Notice]:
    """List at most `limit` notices, open or closed, the newest first."""
    return [Notice(*row) for row in conn.execute(LIST_NOTICES, {"limit": limit})]


# -- opening and closing ----------------------------------------------------------------------------------

OPEN_NOTICE = """
INSERT INTO notices (trouble, job_id, subject, words, opened_at)
VALUES (:trouble, :job_id, :subject, :words, :now)
    ON CONFLICT DO NOTHING
RETURNING notice_id
"""

WRITE_MESSAGE = """
INSERT INTO notice_messages (notice_id, channel, kind, written_at, due_at)
VALUES (:notice_id, :channel, :kind, :now, :now)
    ON CONFLICT DO NOTHING
"""


def open_notice(conn: Connection, trouble: Trouble, channels: Iterable[str]) -> bool:
    """Open a notice, with a message for each channel; one event. False if it is open already. Commits."""
    now = now_ms()
    with write(conn):
        row = conn.execute(
            OPEN_NOTICE,
            {
                "trouble": trouble.kind.value,
                "job_id": trouble.job,
                "subject": trouble.subject,
                "words": trouble.words,
                "now": now,
            },
        ).fetchone()
        if row is None:
            return False
        _write_messages(conn, row[0], channels, "opened", now)
        detail = {"trouble": trouble.kind.value, "subject": trouble.subject, "words": trouble.words}
        append_event(conn, trouble.job or None, "notice", None, None, None, "sweep", detail)
    return True


def _write_messages(conn: Connection, notice_id: int, channels: Iterable[str], kind: str, now: int) -> None:
    for channel in channels:
        asked = {"notice_id": notice_id, "channel": channel, "kind": kind, "now": now}
        conn.execute(WRITE_MESSAGE, asked)


NOTE_WORDS = """
UPDATE notices SET words = :words, gone_at = NULL
 WHERE notice_id = :notice_id AND closed_at IS NULL AND (words <> :words OR gone_at IS NOT NULL)
"""


def note_still_there(conn: Connection, notice: Notice, words: str) -> None:
    """Note that the trouble of a notice lasts, and how it is said by now. Commits if that is new."""
    if notice.gone_at is not None or notice.words != words:
        with write(conn):
            conn.execute(NOTE_WORDS, {"notice_id": notice.notice_id, "words": words})


NOTE_REMINDED = """
UPDATE notices SET reminded_at = :now
 WHERE notice_id = :notice_id AND closed_at IS NULL AND coalesce(reminded_at, opened_at) <= :before
"""


def remind(conn: Connection, notice: Notice, every_ms: int, channels: Iterable[str]) -> bool:
    """Write a reminder for each channel if the last word of it is `every_ms` old. Commits."""
    now = now_ms()
    asked = {"notice_id": notice.notice_id, "now": now, "before": now - every_ms}
    if (notice.reminded_at or notice.opened_at) > asked["before"]:
        return False
    with write(conn):
        conn.execute(NOTE_REMINDED, asked)
        if not conn.changes():
            return False
        _write_messages(conn, notice.notice_id, channels, "reminder", now)
    return True


NOTE_GONE = (
    "UPDATE notices SET gone_at = :now WHERE notice_id = :notice_id AND gone_at IS NULL AND closed_at IS NULL"
)

CLOSE_NOTICE = """
UPDATE notices SET closed_at = :now
 WHERE notice_id = :notice_id AND closed_at IS NULL AND gone_at <= :before
"""

DROP_UNSENT = """
UPDATE notice_messages
   SET due_at = NULL, error = coalesce(error, 'over before it was told')
 WHERE notice_id = :notice_id AND kind <> 'closed' AND sent_at IS NULL
"""

WRITE_CLOSING = """
INSERT INTO notice_messages (notice_id, channel, kind, written_at, due_at)
SELECT DISTINCT notice_id, channel, 'closed', :now, :now
  FROM notice_messages
 WHERE notice_id = :notice_id AND kind <> 'closed' AND sent_at IS NOT NULL
"""


def note_gone(conn: Connection, notice: Notice) -> bool:
    """
    Note that the trouble of a notice is not seen; True once that closed it, after a minute. Commits.

    Who was told of it is told that it is over; who could not be told is not told any more. One event.
    """
    now = now_ms()
    asked = {"notice_id": notice.notice_id, "now": now, "before": now - OVER_AFTER_MS}
    if notice.gone_at is None:
        with write(conn):
            conn.execute(NOTE_GONE, asked)
        return False
    if notice.gone_at > asked["before"]:
        return False
    with write(conn):
        conn.execute(CLOSE_NOTICE, asked)
        if not conn.changes():
            return False
        conn.execute(WRITE_CLOSING, asked)
        conn.execute(DROP_UNSENT, asked)
        detail = {"trouble": notice.trouble, "subject": notice.subject, "lasted_ms": now - notice.opened_at}
        append_event(conn, notice.job or None, "notice_closed", None, None, None, "sweep", detail)
    return True
