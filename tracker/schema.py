"""The tracker's schema: numbered migrations, applied once, under SQLite's `user_version`."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING

import apsw

from pipeline.errors import TrackerFullError, TrackerNewerError, TrackerUnusableError
from tracker.clock import now_ms

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.connection import Connection

log = logging.getLogger(__name__)


def list_migrations() -> list[tuple[int, str]]:
    """List the migrations as (version, SQL), oldest first."""
    files = resources.files("tracker").joinpath("migrations").iterdir()
    named = sorted((file.name, file.read_text()) for file in files if file.name.endswith(".sql"))
    return [(int(name.split("_")[0]), sql) for name, sql in named]


NEWEST_VERSION = list_migrations()[-1][0]


def read_version(conn: Connection) -> int:
    """Read the file's schema version; 0 for a new file."""
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def refuse_foreign(conn: Connection) -> int:
    """Raise `TrackerUnusableError` for a file newer than this code, or another program's; else give its version."""
    # Tables first: whoever finds those of a migration that commits just now also finds its version after.
    has_tables = conn.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None
    version = read_version(conn)
    _refuse_newer(conn, version)
    if version == 0 and has_tables:
        raise TrackerUnusableError(f"{conn.path} holds another program's tables; point CELERIAC_DB elsewhere")
    return version


def refuse_newer(conn: Connection) -> None:
    """
    Raise `TrackerNewerError` when a newer Celeriac has migrated the file since it was opened.

    For the beginning of each write transaction, in which it costs a microsecond and nobody can migrate meanwhile.
    """
    _refuse_newer(conn, read_version(conn))


def _refuse_newer(conn: Connection, version: int) -> None:
    if version > NEWEST_VERSION:
        raise TrackerNewerError(
            f"{conn.path} has schema {version}, this code knows up to {NEWEST_VERSION}: "
            "it was made by a newer Celeriac; upgrade this one"
        )


NOTE_MIGRATION = "INSERT INTO events (at, kind, detail) VALUES (:now, 'migrate', :detail)"


def migrate(conn: Connection) -> None:
    """
    Apply what is missing, in one transaction, with an event. The caller holds the write turn.

    A file that is not new is copied aside before; without room for that nothing is changed, and `TrackerFullError`
    raised; so it is without room for the rest. Whoever waited for its turn finds the work done, and does nothing.
    """
    version = refuse_foreign(conn)
    if version == NEWEST_VERSION:
        return
    copy = copy_aside(conn, version) if version > 0 else None
    conn.execute("BEGIN IMMEDIATE")
    try:
        for number, sql in list_migrations():
            if number > version:
                conn.execute(sql).fetchall()
                conn.pragma("user_version", number)
        if copy is not None:
            detail = {"from": version, "to": NEWEST_VERSION, "copy": copy.name}
            conn.execute(NOTE_MIGRATION, {"now": now_ms(), "detail": json.dumps(detail)})
        conn.execute("COMMIT")
    except BaseException as error:
        if conn.in_transaction:  # a full disk has undone all of it already
            conn.execute("ROLLBACK")
        if copy is not None:  # the file is as it was; who tries again and again must not fill the disk
            copy.unlink(missing_ok=True)
        if isinstance(error, apsw.FullError):
            raise TrackerFullError(f"no room left to migrate {conn.path}; it is as it was") from error
        raise
    if copy is not None:
        words = "%s was brought from schema %d to %d; a copy as it was before is %s"
        log.warning(words, conn.path, version, NEWEST_VERSION, copy)


def copy_aside(conn: Connection, version: int) -> Path:
    """
    Copy the whole database beside itself before it is migrated, consistently; give the copy's path.

    Raises `TrackerFullError` when there is no room for it.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    target = conn.path.with_name(f"{conn.path.name}.v{version}.{stamp}.bak")
    copy = apsw.Connection(str(target))
    try:
        with copy.backup("main", conn, "main") as backup:
            backup.step(-1)
    except apsw.FullError as error:
        copy.close()
        target.unlink(missing_ok=True)
        raise TrackerFullError(
            f"no room beside {conn.path} to copy it before it is migrated: make room, or go on with the older Celeriac"
        ) from error
    finally:
        copy.close()
    return target
