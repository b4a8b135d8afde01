"""
Connections to the tracker, and its one kind of write transaction.

Every writer first takes its turn, by advisory locks beside the database (`tracker.turns`); SQLite's own busy handler
sleeps and is unfair, and is left for strangers such as the sqlite3 shell.
"""

from __future__ import annotations

import os
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import apsw

from pipeline.errors import TrackerDamagedError, TrackerFullError, TrackerUnusableError
from pipeline.settings import load_settings
from tracker import schema
from tracker.checkpoints import CHECKPOINT_PAGES, checkpoint
from tracker.filesystem import check_directory, check_file, check_first_reader
from tracker.rows import trace_row
from tracker.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tracker.rows import Row

DB_PATH = load_settings().db_path
"""Where the tracker is when nobody says: `CELERIAC_DB`, else `tracker.db` in `CELERIAC_DATA`."""

BUSY_TIMEOUT_MS = 30_000
PAGE_BYTES = 2048
"""For new files. A settled stage touches some twenty pages, each written whole: half the default's time."""

CACHE_KIB, ROOMY_CACHE_KIB = 2000, 8000
"""How much of the file a connection holds in memory at most; SQLite's own measure, and `roomy`."""

OLDEST_SAFE_SQLITE = (3, 51, 3)
"""SQLite 3.7.0 to 3.51.2 can lose committed rows when several writers meet a checkpointer."""

_live: weakref.WeakSet[Connection] = weakref.WeakSet()


class Answer(Protocol):
    """What a statement answers, row by row."""

    def fetchone(self) -> Any:
        """Fetch the next row, or None."""

    def fetchall(self) -> list[Row]:
        """Fetch all rows that are left."""

    def __iter__(self) -> Iterator[Row]: ...


class Connection(apsw.Connection):
    """One connection to the tracker. Not for sharing between threads, and never across a fork."""

    if TYPE_CHECKING:  # apsw's rows are tuples to a type checker; ours are `Row`s, by `trace_row`

        def execute(self, statements: str, bindings: Any = None) -> Answer:  # type: ignore[override]
            """Run a statement."""

        def executemany(self, statements: str, sequenceofbindings: Any) -> Answer:  # type: ignore[override]
            """Run a statement for each of several bindings."""

    def __init__(self, path: Path, flags: int) -> None:
        super().__init__(str(path), flags=flags, statementcachesize=256)
        self.path = path
        self.row_trace = trace_row
        # Else whatever might go by another partial index for another value is planned anew each time that it runs.
        self.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        self.set_busy_timeout(BUSY_TIMEOUT_MS)
        self.log_pages, self.longest_log = 0, CHECKPOINT_PAGES
        self.make_checkpoint: Callable[[Connection], None] = checkpoint
        self._turns = Turns(path)
        _live.add(self)

    def turn(self) -> AbstractContextManager[None]:
        """Wait for this connection's turn to write, and give it up at the end."""
        return self._turns.take()

    def try_checkpoint(self) -> AbstractContextManager[bool]:
        """Keep others from making a checkpoint within the block; it gives False when somebody makes one already."""
        return self._turns.try_checkpoint()

    def close(self, force: bool = False) -> None:
        """Close the database and its locks' files. Safe to call twice."""
        super().close(force)
        self._turns.close()

    def forget_locks(self) -> None:
        """Close the locks' files."""
        self._turns.close()


def _forget_connections_in_child() -> None:
    # A forked child must neither use nor close its parent's connections: closing would drop the parent's
    # locks on the file. It leaks them on purpose, and lets go of the lock's files, which flock shares.
    for connection in list(_live):
        connection.forget_locks()
        _abandoned.append(connection)


_abandoned: list[Connection] = []
os.register_at_fork(after_in_child=_forget_connections_in_child)


@contextmanager
def open_db(path: Path | str | None = None) -> Iterator[Connection]:
    """Open the tracker for reading and writing, made and migrated if need be; close it at the end."""
    conn = open_raw_db(path)
    try:
        yield conn
    finally:
        conn.close()


def open_raw_db(path: Path | str | None = None) -> Connection:
    """
    Open the tracker like `open_db`, as a bare connection that the caller closes.

    Raises `TrackerUnusableError` for a file newer than the code, a file that is no tracker, an unsafe file
    system, a file or directory that cannot be written, or an SQLite library that loses rows.
    """
    where = Path(path or DB_PATH)
    _check_library()
    check_directory(where.absolute().parent)
    check_file(where)
    conn = _open(where, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    try:
        _refuse_foreign(conn)  # before anything is changed in a file that may be a stranger's
        _configure(conn)
        ensure_schema(conn)
    except BaseException:
        conn.close()
        raise
    return conn


def _open(path: Path, flags: int) -> Connection:
    try:
        return Connection(path, flags)
    except (apsw.CantOpenError, apsw.PermissionsError, apsw.IOError) as error:  # IOError: a folder
        raise TrackerUnusableError(f"cannot open {path}: {error}") from error


def _refuse_foreign(conn: Connection) -> int:
    try:
        return schema.refuse_foreign(conn)
    except apsw.NotADBError as error:
        raise TrackerDamagedError(f"{conn.path} is not an SQLite database") from error
    except (apsw.CantOpenError, apsw.ReadOnlyError) as error:
        # Whoever opens the file first makes its log's index. `immutable` would do without, but others may begin to
        # write at any moment, by another user or mount, and who reads so would see halves of their transactions.
        check_first_reader(conn.path)
        raise TrackerUnusableError(f"cannot open {conn.path}: {error}") from error


@contextmanager
def open_readonly(path: Path | str | None = None) -> Iterator[Connection]:
    """
    Open an existing tracker for reading only; nothing is made or migrated.

    Raises `TrackerUnusableError` when there is none, when it is empty or first has to be migrated, or when nobody has
    it open and its directory cannot be written.
    """
    where = Path(path or DB_PATH)
    if not where.exists():
        raise TrackerUnusableError(
            f"there is no tracker at {where} yet; `celeriac up` or `celeriac run` makes it"
        )
    conn = _open(where, apsw.SQLITE_OPEN_READONLY)
    try:
        version = _refuse_foreign(conn)
        if version == 0:
            raise TrackerUnusableError(
                f"{where} is empty; `celeriac up` or `celeriac run` makes a new tracker of it, "
                "`celeriac restore` brings one back from a backup"
            )
        if version < schema.NEWEST_VERSION:
            raise TrackerUnusableError(
                f"{where} was made by an older Celeriac; `celeriac up` or `celeriac run` brings it up to date"
            )
        yield conn
    finally:
        conn.close()


def ensure_schema(conn: Connection) -> None:
    """
    Bring the file up to this code's schema, once, whoever else starts now. Safe on any older or current file.

    An older file is first copied aside. Raises `TrackerUnusableError` on a newer one and on a stranger's.
    """
    if _refuse_foreign(conn) == schema.NEWEST_VERSION:
        return
    with conn.turn():
        schema.migrate(conn)


@contextmanager
def write(conn: Connection) -> Iterator[None]:
    """
    Run the block as one immediate transaction: all of it is committed, or none of it.

    Inside another `write` it joins that one, as a savepoint. A full disk raises `TrackerFullError`; a file that a newer
    Celeriac has migrated meanwhile, `TrackerNewerError`.
    """
    if conn.in_transaction:
        with _savepoint(conn):
            yield
        return
    with conn.turn():
        conn.execute("BEGIN IMMEDIATE")
        try:
            schema.refuse_newer(conn)
            yield
            conn.execute("COMMIT")
        except BaseException as error:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            if isinstance(error, apsw.FullError):
                raise TrackerFullError(f"no room left to write {conn.path}") from error
            raise
    if conn.log_pages >= conn.longest_log:
        conn.make_checkpoint(conn)


@contextmanager
def join(conn: Connection) -> Iterator[None]:
    """
    Run the block in the transaction that is open, or in one of its own like `write`.

    For what is done many times in one transaction, at less than a savepoint's cost: what the block has changed before
    it raises stays, so whoever catches that within the transaction must be sure that this is nothing.
    """
    if conn.in_transaction:
        yield
        return
    with write(conn):
        yield


@contextmanager
def roomy(conn: Connection) -> Iterator[None]:
    """
    Within the block, let transactions change thousands of pages.

    Pages that find no room in memory are written to the log before the commit, read again and written again: of an
    action's batches that was half of all that they wrote.
    """
    conn.execute(f"PRAGMA cache_size = -{ROOMY_CACHE_KIB}")
    try:
        yield
    finally:
        conn.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


@contextmanager
def _savepoint(conn: Connection) -> Iterator[None]:
    conn.execute("SAVEPOINT inner_write")
    try:
        yield
    except BaseException:
        if conn.in_transaction:  # a full disk has already undone all of it, savepoints included
            conn.execute("ROLLBACK TO inner_write")
            conn.execute("RELEASE inner_write")
        raise
    conn.execute("RELEASE inner_write")


def _note_log(conn: Connection, _: str, pages: int) -> int:
    conn.log_pages = pages
    return apsw.SQLITE_OK


def _check_library() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SAFE_SQLITE:
        raise TrackerUnusableError(
            f"SQLite {apsw.sqlite_lib_version()} can lose committed rows under several writers; "
            "install apsw 3.54 or newer from its wheel"
        )


def _configure(conn: Connection) -> None:
    with conn.turn():  # two processes that switch a new file to WAL at once would meet a lock
        conn.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        conn.execute("PRAGMA journal_mode = WAL").fetchall()
    conn.execute("PRAGMA synchronous = NORMAL")
    conn.execute("PRAGMA foreign_keys = ON")
    conn.execute("PRAGMA temp_store = MEMORY")
    conn.set_wal_hook(_note_log)  # type: ignore[arg-type]  # in place of SQLite's own checkpoints; it is given `conn`
