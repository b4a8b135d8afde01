"""
Rows of delimited text, such as CSV and TSV, out of files that people made.

Source: RFC 4180, and what spreadsheets write.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from discovery.text_lines import TextLines

DELIMITERS = ",;\t|"
MAX_FIELD_CHARACTERS = 1024 * 1024
MAX_REREAD_BYTES = 256 * 1024 * 1024
"""After so much was read again that stray quotes had swallowed, what others swallow is lost: there is an end."""

SNIFFED_ROWS = 20

TOO_FEW, TOO_MANY = "row with too few fields", "row with too many fields"
TOO_LARGE, NEVER_CLOSES = "field over 1,048,576 characters", "quote that never closes"
MISQUOTED, STRAY_RETURN = "quote that closes in the wrong place", "carriage return within a row"
_ERRORS = {"end of data": NEVER_CLOSES, "limit": TOO_LARGE, "expected after": MISQUOTED}
"""What the csv module's errors say, in part, and what they come from."""

csv.field_size_limit(MAX_FIELD_CHARACTERS)  # of the whole process: the module has no other


def sniff_delimiter(sample: str) -> str:
    r"""
    Guess the delimiter: that by which the first rows have the most fields, as many in each.

    >>> sniff_delimiter('id;title\n1;"a, b"\n2;c, d\n'), sniff_delimiter("one\ntwo\n")
    (';', ',')
    """
    lines = sample.splitlines(keepends=True)
    if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")):
        lines.pop()
    return max(DELIMITERS, key=lambda delimiter: _count_alike(lines, delimiter))


def _count_alike(lines: Sequence[str], delimiter: str) -> tuple[bool, int]:
    rows = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            rows.append(len(row))
            if len(rows) == SNIFFED_ROWS:
                break
    except csv.Error:
        return False, 0
    fields = rows[0] if rows else 0
    alike = fields > 1 and all(each in {fields, 0} for each in rows)
    return alike, fields


def name_columns(header: Sequence[str]) -> list[str]:
    """
    Name the columns after a header: stripped; one without a name by its place, a repeated one with a number.

    >>> name_columns([" id ", "", "title", "title"])
    ['id', 'column_2', 'title', 'title_2']
    """
    names: dict[str, None] = {}
    times: Counter[str] = Counter()
    for place, written in enumerate(header, 1):
        name = stem = written.strip() or f"column_{place}"
        while name in names:
            times[stem] += 1
            name = f"{stem}_{times[stem] + 1}"
        names[name] = None
    return [*names]


@dataclass(slots=True)
class DelimitedReader:
    """
    Reads rows of `width` fields from lines; of any number when it is 0.

    Each row that cannot be had is told to `note`: why, and in which line it began. When a row that spans
    lines is wrong, only its first line is left out: it may be a stray quote that swallowed the others. Empty
    fields above the width are dropped. `last_at` is where the last row began.
    """

    lines: TextLines
    delimiter: str
    note: Callable[[str, int], None]
    width: int = 0
    last_at: int = 0
    reread_bytes: int = 0

    def read(self) -> Iterator[list[str]]:
        """Read the rows to the end."""
        recent = self.lines.recent
        while True:
            wrong = yield from self._read_until_wrong()
            if wrong is None:
                return
            row = self._read_leniently(wrong)
            if row is not None:
                yield row
                recent.clear()
                continue
            self.note(wrong, self.lines.number - len(recent) + 1)
            self._leave_out()

    def _read_until_wrong(self) -> Generator[list[str], None, str | None]:
        lines, recent, width = self.lines, self.lines.recent, self.width
        now_at = lines.offset
        try:
            for row in csv.reader(lines.read(), delimiter=self.delimiter, strict=True):
                if len(row) != width and width and row:
                    row = self._fit(row)  # noqa: PLW2901  the same row, without what is empty
                    if len(row) != width:
                        return TOO_FEW if len(row) < width else TOO_MANY
                self.last_at, now_at = now_at, lines.offset
                if row:
                    yield row
                recent.clear()
        except csv.Error as error:
            reason = next((reason for part, reason in _ERRORS.items() if part in str(error)), STRAY_RETURN)
            return NEVER_CLOSES if reason is TOO_LARGE and len(recent) > 1 else reason
        return None

    def _fit(self, row: list[str]) -> list[str]:
        return row if any(row[self.width :]) else row[: self.width]

    def _read_leniently(self, wrong: str) -> list[str] | None:
        # Within one line it is clear what was meant by "12" TFT.
        if wrong is not MISQUOTED or len(self.lines.recent) != 1:
            return None
        line = self.lines.decode(self.lines.recent[0])
        row = self._fit(next(csv.reader([line], delimiter=self.delimiter)))
        return row if len(row) == (self.width or len(row)) else None

    def _leave_out(self) -> None:
        self.reread_bytes += sum(map(len, self.lines.recent[1:]))
        if self.reread_bytes > MAX_REREAD_BYTES:
            self.lines.recent.clear()
        else:
            self.lines.put_back_all_but_first()
