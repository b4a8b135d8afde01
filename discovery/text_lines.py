"""The lines of a file as text, each with its place, of which the last may be put back."""

from __future__ import annotations

from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE_BYTES = 2 * 1024 * 1024
ENDLESS_BYTES = 256 * 1024 * 1024
"""A line so long is no line: the file is of another kind, or a bomb."""

TOO_LONG = "line over 2 MiB"


class TextLines:
    """
    Lines of a stream. `offset` and `number` say how far it has been read, `recent` what of it is not settled.

    Whoever reads clears `recent` when a row is complete, or puts all but its first line back. A line that does
    not fit the encoding is read as Windows-1252 if the encoding was a guess, else with marks in place of what
    does not fit; `misfits` counts them. `refused` counts what is left out, by reason.
    """

    def __init__(
        self, stream: BinaryIO, encoding: str, *, guessed: bool, offset: int = 0, number: int = 0
    ) -> None:
        self._stream, self._encoding, self._guessed = stream, encoding, guessed
        self.offset, self.number = offset, number
        self.recent: list[bytes] = []
        self.last = b""
        self.misfits = 0
        self.refused: Counter[str] = Counter()
        self._put_back: deque[bytes] = deque()

    def read(self) -> Iterator[str]:
        """Read on. Raises `SourceRejectedError` for a line without end, and what the stream raises."""
        recent, encoding = self.recent, self._encoding
        for raw in self._read_raw():
            self.offset += len(raw)
            self.number += 1
            self.last = raw
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                self._leave_out_line()
                continue
            recent.append(raw)
            try:
                yield raw.decode(encoding)
            except UnicodeDecodeError:
                self.misfits += 1
                yield self.decode(raw)

    def decode(self, raw: bytes) -> str:
        """Decode a line, whatever is in it."""
        try:
            return raw.decode(self._encoding)
        except UnicodeDecodeError:
            return raw.decode("cp1252" if self._guessed else self._encoding, "replace")

    def put_back_all_but_first(self) -> None:
        """Put back the lines that are not settled, but for the first of them."""
        returned = self.recent[1:]
        self._put_back.extendleft(reversed(returned))
        self.offset -= sum(map(len, returned))
        self.number -= len(returned)
        self.recent.clear()

    def _read_raw(self) -> Iterator[bytes]:
        while self._put_back:
            yield self._put_back.popleft()
        yield from iter(partial(self._stream.readline, MAX_LINE_BYTES), b"")

    def _leave_out_line(self) -> None:
        self.refused[TOO_LONG] += 1
        left_out = MAX_LINE_BYTES
        while piece := self._stream.readline(MAX_LINE_BYTES):
            self.offset += len(piece)
            left_out += len(piece)
            if piece.endswith(b"\n"):
                return
            if left_out > ENDLESS_BYTES:
                raise SourceRejectedError(f"line {self.number:,} does not end within 256 MiB")
