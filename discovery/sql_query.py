"""Rows of a query to a database."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr, field_validator, model_validator

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from discovery.keyset import Keyset, read_value, write_value
from discovery.local_paths import check_local_path, find_local_file
from discovery.rows import Columns, RowShape, as_json_row
from net.shown import show_url
from pipeline.catalog import find_nearest
from pipeline.errors import MissingExtraError, SourceError, SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from discovery.readers import Table

BATCH = 1000
MAX_QUERIES = 100_000
_READS = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:SELECT|WITH|VALUES)\b", re.IGNORECASE | re.DOTALL)
_SECOND = re.compile(
    r"""(?:'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|[^;'"`\[])*+;(?:--[^\n]*|/\*.*?\*/|[\s;])*+.""",
    re.DOTALL,
)
"""What SQLite takes for a statement, and the beginning of another one."""

_NAMED = re.compile(r"(?<!:):cursor\b")
_BUILT_IN = ["mariadb", "mssql", "mysql", "oracle", "postgresql"]


class SqlQuery(BaseDiscovery):
    """
    Find the rows of a query to a database, which is only read.

    Without `cursor_column` every discovery runs the whole query. With it, the query gives the rows after
    `:cursor`, in the order of that column, and each discovery goes on where the last one stopped, also one
    that was interrupted: `SELECT … WHERE id > coalesce(:cursor, 0) ORDER BY id`. With a LIMIT it is run again
    until it gives nothing more; the column must then be unique.

    SQLite files are read by Celeriac itself; other databases need the extra `sql`, and their driver. The
    database's address is trusted, like all that jobs.yaml says; the query can change nothing in an SQLite file,
    and in others what their read-only transactions let it: give it a user who may only read.

    Key: the text of the `key` column; of several, joined by `|`. Order: the query's.
    Data: `{"column": str, …}`: each value under its column's name. What is not JSON becomes text: bytes as
    hexadecimal digits, decimals as written, dates and times in ISO (in UTC when they have an offset);
    durations become seconds. No request.
    Example: {strategy: sql_query, database: crm.db, key: id, cursor_column: id,
    query: "SELECT id, name FROM companies WHERE id > coalesce(:cursor, 0) ORDER BY id"}

    Source: the SQLite documentation, sqlite.org/lang_select.html; SQLAlchemy, docs.sqlalchemy.org.
    """

    class Params(StrategyParams):
        """Which database, and which rows."""

        database: SecretStr = Field(
            min_length=1,
            description="An SQLite file, relative to where Celeriac runs, or an SQLAlchemy URL such as "
            "postgresql+psycopg://user:${PASSWORD}@host/name.",
        )
        query: str = Field(description="One SELECT, with named parameters such as :cursor and :country.")
        bindings: dict[str, str | int | float | bool | None] = Field(
            {}, description="The values of its named parameters."
        )
        key: Columns = Field(description="The column that identifies a row, or several that do together.")
        version: str | None = Field(
            None,
            description="A column that changes whenever the row does, such as the time of its last change.",
        )
        cursor_column: str | None = Field(
            None, description="The column in whose order the query gives its rows, from :cursor on."
        )
        cursor_start: int | float | str | None = Field(
            None, description="What :cursor is the first time; null when left out."
        )
        patience: float = Field(
            60, gt=0, le=3600, description="A query that gives nothing for so many seconds is ended."
        )

        @field_validator("query")
        @classmethod
        def _reads(cls, query: str) -> str:
            if not _READS.match(query):
                raise ValueError("not a SELECT")
            return query

        @field_validator("database")
        @classmethod
        def _can_be_reached(cls, database: SecretStr) -> SecretStr:
            url = database.get_secret_value()
            if (path := find_sqlite_path(url)) is not None:
                check_local_path(path)
            else:
                if url.startswith("sqlite"):
                    raise ValueError("an SQLite file is given by its path, or as sqlite:///path")
                if importlib.util.find_spec("sqlalchemy") is None:
                    raise MissingExtraError("strategy", "sql_query", "sql", "sqlalchemy")
                _check_dialect(url)
            return database

        @model_validator(mode="after")
        def _goes_on(self) -> Self:
            if (self.cursor_column is None) == bool(_NAMED.search(self.query)):
                raise ValueError("cursor_column and :cursor in the query belong together")
            if find_sqlite_path(self.database.get_secret_value()) is not None and _SECOND.match(self.query):
                raise ValueError("there is more than one statement in the query")
            return self

    params: Params

    async def discover(self) -> list[FoundItem]:
        """Run the query. Raises `SourceUnavailableError` or `SourceRejectedError`."""
        async with self.looking():
            source = self._name_source()
            goes_on = self.recall(source).cursor is not None
            keyset = Keyset(self._find_start(source))
            for _ in range(MAX_QUERIES):
                begun_at = keyset.settled
                await self._read(source, keyset)
                if keyset.settled == begun_at:  # also without a cursor: once is enough
                    break
            if goes_on:
                self.note_if_nothing_came(source)
        return self.kept

    def _find_start(self, source: str) -> Any:
        known = read_value(self.recall(source).cursor)
        return self.params.cursor_start if known is None else known

    async def _read(self, source: str, keyset: Keyset) -> None:
        with self._open(keyset.settled) as (columns, rows):
            shape = RowShape.find(columns, self.params.key, self.params.version, "the query")
            at = self._find_cursor_column(shape.columns)
            failure, ended = None, False
            while failure is None and not ended:
                batch, failure = _take(rows)
                ended = failure is None and len(batch) < BATCH
                items = list(shape.make_items(map(as_json_row, batch)))
                if at is None:
                    await self.hand_over(items, source=source)
                elif wrong := keyset.advance([row[at] for row in batch], ended=ended):
                    await self.hand_over(items, source=source)
                    self.problems.append(f"stopped: {wrong}")
                    return
                else:
                    cursor = None if keyset.settled is None else write_value(keyset.settled)
                    await self.hand_over(items, source=source, cursor=cursor)
            if failure is not None:
                raise failure

    def _open(self, cursor: Any) -> AbstractContextManager[Table]:
        bindings = dict(self.params.bindings)
        if self.params.cursor_column is not None:
            bindings["cursor"] = cursor
        database, patience = self.params.database.get_secret_value(), self.params.patience
        path = find_sqlite_path(database)
        if path is not None:
            found = str(find_local_file(path))
            return self.access.read_rows(found, self.params.query, bindings, patience_seconds=patience)
        from discovery.sql_databases import read_database  # noqa: PLC0415  needs an extra, and is slow

        return read_database(database, self.params.query, bindings, patience_seconds=patience)

    def _find_cursor_column(self, columns: Sequence[str]) -> int | None:
        name = self.params.cursor_column
        if name is None:
            return None
        if name not in columns:
            raise SourceRejectedError(f"the query has no column {name!r} to go on by")
        return columns.index(name)

    def _name_source(self) -> str:
        # Another query is another source: its cursor is not ours.
        database = self.params.database.get_secret_value()
        asked = [database, self.params.query, self.params.bindings, self.params.cursor_column]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
        return f"{show_url(database)} #{digest}"


def _check_dialect(url: str) -> None:
    """Raise ValueError for a database that SQLAlchemy does not know, and that is called much like one that it does."""
    name = url.partition(":")[0].partition("+")[0]
    if name not in _BUILT_IN and (nearest := find_nearest(name, _BUILT_IN)):
        others = importlib.metadata.entry_points(group="sqlalchemy.dialects")
        if all(other.name.partition(".")[0] != name for other in others):
            raise ValueError(f"SQLAlchemy knows no database {name!r}; did you mean {nearest!r}?")


def find_sqlite_path(database: str) -> str | None:
    """
    Find the path of an SQLite file in what a database is called; None for another kind of database.

    >>> find_sqlite_path("a.db"), find_sqlite_path("sqlite:////srv/a.db"), find_sqlite_path("mysql://h/a")
    ('a.db', '/srv/a.db', None)
    """
    if "://" not in database:
        return database
    return database.removeprefix("sqlite:///") if database.startswith("sqlite:///") else None


def _take(rows: Iterator[Sequence[Any]]) -> tuple[list[Sequence[Any]], SourceError | None]:
    # What came before a failure is worth having.
    batch: list[Sequence[Any]] = []
    try:
        batch.extend(islice(rows, BATCH))
    except SourceError as error:
        return batch, error
    return batch, None
