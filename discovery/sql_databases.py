"""
Rows of a database that SQLAlchemy reaches, read only.

Source: the SQLAlchemy documentation, docs.sqlalchemy.org: streaming results, database URLs.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipeline.errors import MissingExtraError, PluginError, SourceRejectedError, SourceUnavailableError

try:
    import sqlalchemy
    from sqlalchemy import exc
except ModuleNotFoundError as missing:
    raise MissingExtraError("strategy", "sql_query", "sql", missing.name or "sqlalchemy") from missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.engine import URL, Connection, CursorResult

ROWS_AT_ONCE = 1000

_READ_ONLY = {
    "postgresql": ("SET TRANSACTION READ ONLY", "SET LOCAL statement_timeout = {milliseconds}"),
    "mysql": ("SET SESSION max_execution_time = {milliseconds}", "START TRANSACTION READ ONLY"),
    "mariadb": ("SET SESSION max_statement_time = {seconds}", "START TRANSACTION READ ONLY"),
    "oracle": ("SET TRANSACTION READ ONLY",),
}
"""What makes a transaction read only and bounds its statements, by the dialect's name; others have no such thing."""


@contextmanager
def read_database(
    address: str, query: str, bindings: Mapping[str, Any], *, patience_seconds: float
) -> Iterator[tuple[Sequence[str], Iterator[Sequence[Any]]]]:
    """
    Run one query in a transaction that only reads, and that is rolled back.

    Like `ReadRows`, for an SQLAlchemy URL. Its password is in no message. Raises `PluginError` when the
    database's driver is not installed.
    """
    url = _read_url(address)
    engine = _make_engine(url)
    try:
        with _telling(url), engine.connect() as conn:
            _begin_reading(conn, patience_seconds)
            result = conn.execute(sqlalchemy.text(query), dict(bindings))
            if not result.returns_rows:
                raise SourceRejectedError(f"{_show(url)}: the query gives no rows")
            yield list(result.keys()), _read_rows(url, result)
    finally:
        engine.dispose()


def _read_rows(url: URL, result: CursorResult[Any]) -> Iterator[Sequence[Any]]:
    with _telling(url):
        yield from map(tuple, result)


def _read_url(address: str) -> URL:
    try:
        return sqlalchemy.make_url(address)
    except exc.ArgumentError as error:
        raise SourceRejectedError("the database's address is no SQLAlchemy URL") from error


def _make_engine(url: URL) -> sqlalchemy.Engine:
    try:
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, hide_parameters=True)
    except exc.NoSuchModuleError as error:
        raise SourceRejectedError(f"{_show(url)}: SQLAlchemy knows no database {url.drivername!r}") from error
    except ModuleNotFoundError as error:
        raise PluginError(f"{_show(url)} needs a driver: pip install {error.name}") from error
    except (exc.ArgumentError, TypeError, ValueError) as error:
        raise SourceRejectedError(f"{_show(url)} cannot be used: {_hide(url, str(error))}") from error


def _begin_reading(conn: Connection, patience_seconds: float) -> None:
    conn.execution_options(stream_results=True, max_row_buffer=ROWS_AT_ONCE)
    for statement in _READ_ONLY.get(conn.dialect.name, ()):
        bounds = {"milliseconds": int(patience_seconds * 1000), "seconds": patience_seconds}
        conn.exec_driver_sql(statement.format(**bounds))


@contextmanager
def _telling(url: URL) -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        raise SourceUnavailableError(f"{_show(url)}: {_tell(url, error)}") from None
    except exc.SQLAlchemyError as error:
        raise SourceRejectedError(f"{_show(url)}: {_tell(url, error)}") from None


def _tell(url: URL, error: exc.SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    return _hide(url, str(cause))


def _hide(url: URL, text: str) -> str:
    for secret in (url.password, *url.query.values()):
        text = text.replace(str(secret), "***") if secret else text
    return text


def _show(url: URL) -> str:
    return url.set(username=None, password=None, query={}).render_as_string()
