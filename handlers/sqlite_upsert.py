"""The handler `sqlite_upsert`: a row in a table of the user's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from handlers.base import Handler, HandlerParams
from handlers.expressions import Expression, evaluate
from handlers.places import BadPlaceError, open_folder, read_place
from handlers.templates import PlaceTemplate, describe, render
from pipeline.errors import SourceRejectedError
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from pathlib import Path

    from handlers.base import HandlerContext
    from handlers.desk import Scalar
    from pipeline.outcomes import Outcome


class SqliteUpsert(Handler):
    """
    Put a row into a table of your own SQLite file, in the place of the one with the same key.

    The file is below the folder `files` of the data folder; a tracker is refused. A file, table or column that is
    not there is made, unless `make` is off: the table with the key as its primary key, and columns without a type,
    in which each value stays what it is. A table of your own needs a primary key or a unique index of the `key`
    columns. Nothing is changed in a row that is the same already, and columns not named here are left alone.

    Input: each column's JMESPath, over `item` (its data and `key`), `results` by stage, and `job`. A list or object is
    stored as JSON text, true as 1, false as 0; a path that leads to nothing gives NULL. Result: `{"database",
    "table", "key" (its columns and values)}`. Endings: GiveUp for a path that leads out of the folder, for what is no
    database, for a row that the table does not take, and for a key without a value. A file that is busy for ten seconds
    raises SourceUnavailableError, for the stage's retries.
    Idempotent: the same item gives the same row.
    Example: {handler: sqlite_upsert, params: {database: library.db, table: articles, key: [url],
    values: {url: item.url, title: results.article.title, words: results.article.words}}}

    Source: sqlite.org/lang_upsert.html.
    """

    TIMEOUT = "2m"

    class Params(HandlerParams):
        """The parameters of `sqlite_upsert`."""

        database: PlaceTemplate = Field(description="The SQLite file, below the folder `files`; a template.")
        table: str = Field(min_length=1, max_length=200, description="The table.")
        key: list[str] = Field(min_length=1, max_length=16, description="The columns that tell rows apart.")
        values: dict[str, Expression] = Field(
            min_length=1,
            max_length=500,
            description="What stands in each column: a JMESPath, such as item.url.",
        )
        make: bool = Field(True, description="Make the file, the table and columns that are not there.")

        @model_validator(mode="after")
        def _need_the_key(self) -> Self:
            if missing := [column for column in self.key if column not in self.values]:
                raise ValueError(f"the key {', '.join(missing)} has no value among `values`")
            return self

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Make the row, and write it."""
        path = render(self.params.database, context, self.params)
        row = self._make_row(context)
        if isinstance(path, GiveUp):
            return path
        return row if isinstance(row, GiveUp) else self._write(context, path.strip(), row)

    def _make_row(self, context: HandlerContext) -> dict[str, Scalar] | GiveUp:
        row: dict[str, Scalar] = {}
        view = describe(context)
        for column, path in self.params.values.items():
            found = evaluate(path, view)
            if isinstance(found, GiveUp):
                return found
            row[column] = _as_scalar(found)
        if missing := [column for column in self.params.key if row[column] is None]:
            return GiveUp(f"no value for the key {', '.join(missing)}: its path leads to nothing")
        return row

    def _write(self, context: HandlerContext, path: str, row: dict[str, Scalar]) -> Outcome:
        root = context.find_folder("files").resolve()
        try:
            database = _find_database(root, path)
            context.upsert_row(database, self.params.table, row, self.params.key, make=self.params.make)
        except (BadPlaceError, SourceRejectedError) as error:
            return GiveUp(str(error))
        key = {column: row[column] for column in self.params.key}
        return {
            "database": f"{root.name}/{database.relative_to(root)}",
            "table": self.params.table,
            "key": key,
        }


def _find_database(root: Path, path: str) -> Path:
    place = read_place(path)
    with open_folder(root, place):  # looks at each step of the way, and SQLite follows no link either
        return root.joinpath(*place.folders, place.name)


def _as_scalar(value: Any) -> Scalar:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace").decode()
    return value  # type: ignore[no-any-return]  # JSON has only numbers and null besides
