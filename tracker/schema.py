"""The tracker's schema: numbered migrations, applied once, under SQLite's `user_version`."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING

import apsw

from pipeline.errors import TrackerUnusableError

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.connection import Connection


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
    if version > NEWEST_VERSION:
        raise TrackerUnusableError(
            f"{conn.path} has schema {version}, this code knows up to {NEWEST_VERSION}: "
            "it was made by a newer Celeriac; upgrade this one"
        )
    if version == 0 and has_tables:
        raise TrackerUnusableError(f"{conn.path} holds another program's tables; point CELERIAC_DB elsewhere")
    return version


def migrate(conn: Connection) -> None:
    """
    Apply what is missing, in one transaction. The caller holds the write turn.

    Whoever waited for its turn finds the work done, and does nothing.
    """
    version = refuse_foreign(conn)
    if version == NEWEST_VERSION:
        return
    if version > 0:
        copy_aside(conn, version)
    conn.execute("BEGIN IMMEDIATE")
    try:
        for number, sql in list_migrations():
            if number > version:
                conn.execute(sql).fetchall()
                conn.pragma("user_version", number)
        conn.execute("COMMIT")
    except BaseException:
        conn.execute("ROLLBACK")
        raise


def copy_aside(conn: Connection, version: int) -> Path:
    """Copy the whole database beside itself before it is migrated, consistently; give the copy's path."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    target = conn.path.with_name(f"{conn.path.name}.v{version}.{stamp}.bak")
    copy = apsw.Connection(str(target))
    try:
        with copy.backup("main", conn, "main") as backup:
            backup.step(-1)
    finally:
        copy.close()
    return target
