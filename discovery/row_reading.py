"""Reading the rows of one file, from its beginning or from where an earlier discovery stopped."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from discovery.base import FoundItem, StrategyParams
from discovery.delimited import DelimitedReader, name_columns, sniff_delimiter
from discovery.json_lines import JsonLinesReader
from discovery.reading_place import TAIL_BYTES, Place, hash_bytes, hash_head
from discovery.row_files import CANNOT_UNPACK
from discovery.rows import Columns, RowShape, as_text, make_key
from discovery.text_lines import TextLines
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from discovery.base import BaseDiscovery
    from discovery.row_files import RowFile

_FORMS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


class RowParams(StrategyParams):
    """How to read the rows of a file. What is left out is found out from the file."""

    key: Columns = Field(description="The column that identifies a row, or several that do together.")
    version: str | None = Field(
        None, description="A column that changes whenever the row does, such as the time of its last change."
    )
    format: Literal["csv", "tsv", "jsonl"] | None = Field(
        None, description="csv, tsv or jsonl; left out, by the file's name, else by its first character."
    )
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="What stands between the fields of csv."
    )
    encoding: str | None = Field(
        None, description="The encoding, such as latin-1; left out, UTF-8 or UTF-16 as the bytes say."
    )
    columns: list[str] | None = Field(
        None, min_length=1, description="The names of the columns, for a file without a row of them."
    )
    skip_lines: int = Field(0, ge=0, le=1000, description="So many lines stand before the rows.")

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        try:
            if encoding is None or "a".encode(encoding).decode(encoding) == "a":
                b"\xff".decode(encoding or "utf-8", "replace")  # what is not in it is marked
                return encoding
        except (LookupError, UnicodeError):
            pass
        raise ValueError(f"no encoding for text: {encoding!r}")

    @field_validator("delimiter")
    @classmethod
    def _separates(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and delimiter in '"\r\n':
            raise ValueError("a quote or the end of a line separates no fields")
        return delimiter

    def digest(self) -> str:
        """Tell these ways of reading from others."""
        ways = {name: getattr(self, name) for name in RowParams.model_fields}
        return hash_bytes(json.dumps(ways, sort_keys=True).encode())


class RowReading:
    """
    One reading of a file, as items; what cannot be read goes into its strategy's counts and problems.

    `name` is the file's, for messages and for its form; `state` tells this state of it from others. Raises
    `SourceRejectedError` for a file that has not the columns asked for.
    """

    def __init__(
        self, strategy: BaseDiscovery, params: RowParams, file: RowFile, name: str, state: dict[str, Any]
    ) -> None:
        self._strategy, self._params, self._file = strategy, params, file
        self._name, self._state = name, state
        self._form = _find_form(params, name, file)
        self._stopped = False
        self._open(file.begins_at, 0)
        try:
            for _ in islice(self._lines.read(), params.skip_lines):
                self._lines.recent.clear()
            self._shape = None if self._form == "jsonl" else self._read_shape()
        except CANNOT_UNPACK as error:
            raise SourceRejectedError(f"{name} is a damaged gzip file: {error}") from error
        self._begin()

    def go_on_from(self, place: Place) -> None:
        """Go on where an earlier reading stopped, if the file is the same, or has only grown."""
        offset, number, last = self._lines.offset, self._lines.number, b""
        if place.may_go_on(self._state, self._params.digest(), self._file):
            offset, number = place.offset, place.line
            last = self._file.at(place.tail_at).read(place.tail_bytes)
        self._open(offset, number)
        self._lines.last = last
        self._begin()

    def read_items(self) -> Iterator[FoundItem]:
        """Read to the end, or to where the file is damaged."""
        try:
            yield from self._items
        except CANNOT_UNPACK as error:
            self._stop(f"is a damaged gzip file: {error}")
        except SourceRejectedError as error:
            self._stop(f"cannot be read on: {error}")
        finally:
            self._tell_what_was_lost()

    def place(self, *, whole: bool) -> Place:
        """
        Tell the present place; with `whole`, that of the end.

        A last row whose line has no end may yet grow: it is read again, with what is added to it.
        """
        lines = self._lines
        grows = whole and not lines.last.endswith(b"\n") and lines.offset > self._reader.last_at
        offset = self._reader.last_at if grows else lines.offset
        tail = lines.last[-TAIL_BYTES:]
        return Place(
            file=self._state,
            read_as=self._params.digest(),
            head=hash_head(self._file, offset),
            tail=hash_bytes(tail),
            tail_at=lines.offset - len(tail),
            tail_bytes=len(tail),
            offset=offset,
            line=lines.number - grows,
            whole=whole and not self._stopped,
        )

    def _open(self, offset: int, number: int) -> None:
        self._lines = TextLines(
            self._file.at(offset),
            self._file.encoding,
            guessed=self._params.encoding is None,
            offset=offset,
            number=number,
        )

    def _begin(self) -> None:
        self._reader: JsonLinesReader | DelimitedReader
        self._items: Iterator[FoundItem]
        if self._shape is None:
            objects = self._reader = JsonLinesReader(self._lines, self._note, self._lines.offset)
            self._items = map(self._as_item, objects.read())
        else:
            width, offset = len(self._shape.columns), self._lines.offset
            rows = self._reader = DelimitedReader(self._lines, self._delimiter, self._note, width, offset)
            self._items = self._shape.make_items(rows.read())

    def _read_shape(self) -> RowShape:
        self._delimiter = _find_delimiter(self._params, self._form, self._file)
        columns = self._params.columns
        if columns is None:
            columns = self._read_header() or self._params.key  # of an empty file nothing is asked
        return RowShape.find(columns, self._params.key, self._params.version, self._name)

    def _read_header(self) -> list[str]:
        rows = DelimitedReader(self._lines, self._delimiter, self._note).read()
        try:
            return name_columns(next(rows, []))
        finally:
            self._lines.recent.clear()

    def _as_item(self, found: dict[str, Any]) -> FoundItem:
        version = self._params.version
        mark = None if version is None else as_text(found.get(version)) or None
        return FoundItem(make_key([found.get(name) for name in self._params.key]), found, None, mark)

    def _note(self, reason: str, line: int) -> None:
        if not self._strategy.refused[reason]:  # one example is enough
            self._strategy.problems.append(f"{self._name}, line {line:,}: {reason}")
        self._strategy.refused[reason] += 1

    def _stop(self, why: str) -> None:
        self._stopped = True
        self._strategy.problems.append(f"{self._name} {why}; what came before was read")

    def _tell_what_was_lost(self) -> None:
        self._strategy.refused.update(self._lines.refused)
        if misfits := self._lines.misfits:
            encoding = self._file.recoded_from or self._file.encoding
            instead = "as Windows-1252" if self._params.encoding is None else "with marks in them"
            self._strategy.problems.append(
                f"{self._name}: {misfits:,} lines are not in {encoding}, and were read {instead}"
            )


def _find_form(params: RowParams, name: str, file: RowFile) -> str:
    suffixes = PurePosixPath(name.lower().partition("?")[0].removesuffix(".gz")).suffixes
    named = _FORMS.get(suffixes[-1]) if suffixes else None
    begun = "jsonl" if file.sample.lstrip().startswith(b"{") else "csv"
    return params.format or named or begun


def _find_delimiter(params: RowParams, form: str, file: RowFile) -> str:
    if params.delimiter is not None or form == "tsv":
        return params.delimiter or "\t"
    lines = file.sample.decode(file.encoding, "replace").splitlines(keepends=True)
    return sniff_delimiter("".join(lines[params.skip_lines :]))
