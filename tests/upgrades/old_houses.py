"""Files as older releases left them, and today's house over them."""

from __future__ import annotations

import shutil
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from runner.advance import advance
from tracker.schema import list_migrations

HERE = Path(__file__).parent
SCHEMAS = {int(path.stem): path for path in sorted((HERE / "schemas").glob("*.sql"))}
"""The fixture of each schema that a release had, written by that release: see `make_fixture`."""


def restore(schema: int, path: Path) -> Path:
    """Make the file that a release with this schema left."""
    conn = apsw.Connection(str(path))
    conn.execute(SCHEMAS[schema].read_text()).fetchall()
    conn.close()
    return path


def restore_with(schema: int, version: int, path: Path) -> Path:
    """Make a file of a release with this schema, and bring it to a later version, as the one between would have."""
    conn = apsw.Connection(str(restore(schema, path)))
    for number, sql in list_migrations():
        if schema < number <= version:
            conn.execute(sql).fetchall()
    conn.pragma("user_version", version)
    conn.close()
    return path


@dataclass
class Queue:
    """Keeps what is published until it is worked off. What waits for a time is lost, as with a broker that restarts."""

    waiting: deque = field(default_factory=deque)

    def publish_stages(self, job, messages):  # noqa: ARG002 - the publisher's contract
        self.waiting += [one for one in messages if one.countdown_seconds is None]

    def publish_discovery(self, job_id, *, run_id=None, scheduled=False):
        """Discover nothing more."""

    def has_waiting_messages(self):
        return bool(self.waiting)

    def work_off(self, runtime):
        while self.waiting:
            message = self.waiting.popleft()
            advance(runtime, message.item_id, message.stage, message.attempt)


READ_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"

COUNT_EVERYTHING = {
    "items": "SELECT job_id, count(*) FROM work_items GROUP BY job_id",
    "statuses": "SELECT job_id, status, count(*) FROM work_items GROUP BY job_id, status ORDER BY 1, 2",
    "stages": "SELECT stage, status, count(*), sum(attempt) FROM item_stages GROUP BY stage, status ORDER BY 1, 2",
    "results": "SELECT item_id, stage, attempt, result FROM results ORDER BY 1, 2",
    "failures": "SELECT item_id, stage, attempt, error_type, message FROM failures ORDER BY 1, 2",
    "events": "SELECT kind, count(*) FROM events WHERE kind <> 'migrate' GROUP BY kind ORDER BY 1",
    "costs": "SELECT job_id, stage, count(*), sum(usd) FROM costs GROUP BY job_id, stage ORDER BY 1, 2",
    "waits": "SELECT item_id, stage, retry_at, queued_at FROM item_stages WHERE retry_at IS NOT NULL ORDER BY 1",
    "pauses": "SELECT job_id, reason, by, since_at FROM pauses ORDER BY 1",
}


def count_everything(path: Path) -> dict[str, list[tuple]]:
    """Count and list what a file knows, in words that every schema understands."""
    conn = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return {name: conn.execute(sql).fetchall() for name, sql in COUNT_EVERYTHING.items()}
    finally:
        conn.close()


def copy(path: Path, folder: Path) -> Path:
    """Copy a file that nobody has open."""
    return Path(shutil.copy(path, folder))
