"""A body on its way: small in memory, large on the disk."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from net.ranges import read_length
from pipeline.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from handlers.base import HandlerContext

PIECE_BYTES = 1024 * 1024


class Spool:
    """Takes a body's pieces, hashes them, and tells the attempt's progress. Made by `open_spool`."""

    def __init__(self, file: tempfile.SpooledTemporaryFile[bytes], context: HandlerContext) -> None:
        self._file, self._context, self._digest = file, context, hashlib.sha256()
        self.size, self._total, self._told = 0, None, 0

    _total: int | None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Note how long the body will be, if the server says so."""
        del status
        self._total = read_length(headers)

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        self._file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)
        if self.size - self._told >= PIECE_BYTES:
            self._told = self.size
            self._context.progress(self.size, self._total, "bytes")

    @property
    def sha256(self) -> str:
        """The SHA-256 of what there is, in hexadecimal digits."""
        return self._digest.hexdigest()

    def read(self, most_bytes: int = -1) -> bytes:
        """Read from the beginning, all of it or so many bytes."""
        self._file.seek(0)
        return self._file.read(most_bytes)

    def pieces(self) -> Iterator[bytes]:
        """Give it all again, piece by piece."""
        self._file.seek(0)
        while piece := self._file.read(PIECE_BYTES):
            yield piece


@contextmanager
def open_spool(context: HandlerContext, memory_bytes: int) -> Iterator[Spool]:
    """Make a place for a body: up to `memory_bytes` in memory, else in the data folder's `partial`."""
    try:
        folder = str(context.find_folder("partial"))
    except ArtifactError:  # a worker far from the data folder: what is large cannot be kept there anyway
        folder = None
    with tempfile.SpooledTemporaryFile(memory_bytes, dir=folder) as file:
        yield Spool(file, context)
