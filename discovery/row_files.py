"""
A file of rows as bytes in which a line ends where a line ends: unpacked, and recoded when need be.

So that every place in it has a number, at which reading can go on another day.
"""

from __future__ import annotations

import codecs
import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from typing import Protocol

    class _Buffer(Protocol):
        def __setitem__(self, where: slice, value: bytes) -> None: ...
        def __len__(self) -> int: ...


SAMPLE_BYTES = 64 * 1024
PIECE_BYTES = 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"

CANNOT_UNPACK = (EOFError, zlib.error)
"""What reading a gzip file that is cut short or damaged raises, after all that could be read."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class RowFile:
    """
    An open file of rows. `encoding` is that of its lines, `begins_at` where the first of them begins.

    Offsets count the bytes after unpacking and recoding.
    """

    raw: BinaryIO
    sample: bytes
    encoding: str
    begins_at: int
    recoded_from: str | None
    is_gzip: bool

    @classmethod
    def open(cls, raw: BinaryIO, declared: str | None) -> RowFile:
        """Look at the beginning of a file, of which the encoding may be known."""
        raw.seek(0)
        is_gzip = raw.read(2) == GZIP_MAGIC
        beginning = _read_sample(_unpack(raw, is_gzip))
        source = _name_encoding(declared, beginning)
        marked = beginning.startswith(codecs.BOM_UTF8)
        if is_ascii_based(source) and b"\r" not in beginning.replace(b"\r\n", b"")[:-1]:
            encoding, begins_at = source, len(codecs.BOM_UTF8) if marked else 0
            return cls(raw, beginning[begins_at:], encoding, begins_at, None, is_gzip)
        recoded = "utf-8-sig" if marked else source
        sample = _read_sample(_recode(_unpack(raw, is_gzip), recoded))
        return cls(raw, sample, "utf-8", 0, recoded, is_gzip)

    def at(self, offset: int) -> BinaryIO:
        """Give the bytes from an offset on; at the end, none."""
        if not self.is_gzip and self.recoded_from is None:
            self.raw.seek(offset)
            return self.raw
        stream = _unpack(self.raw, self.is_gzip)
        if self.recoded_from is not None:
            stream = _recode(stream, self.recoded_from)
        while offset > 0 and (skipped := stream.read(min(offset, PIECE_BYTES))):
            offset -= len(skipped)
        return stream


def is_ascii_based(encoding: str) -> bool:
    """Tell whether a line feed is one byte in an encoding, and no other character has that byte."""
    return "a\n".encode(encoding) == b"a\n" and codecs.lookup(encoding).name != "utf-7"


def _read_sample(stream: BinaryIO) -> bytes:
    sample = b""
    try:
        while len(sample) < SAMPLE_BYTES and (piece := stream.read1(SAMPLE_BYTES)):  # type: ignore[attr-defined]
            sample += piece
    except CANNOT_UNPACK:  # it will be told when the rows are read up to there
        pass
    return sample[:SAMPLE_BYTES]


def _unpack(raw: BinaryIO, is_gzip: bool) -> BinaryIO:
    raw.seek(0)
    return cast("BinaryIO", io.BufferedReader(_Unpacked(raw), SAMPLE_BYTES)) if is_gzip else raw


def _name_encoding(declared: str | None, beginning: bytes) -> str:
    found = _find_encoding(beginning)
    if declared is None:
        return found
    name = codecs.lookup(declared).name
    if name not in {"utf-16", "utf-32"} or found == name:
        return declared
    return found if found.startswith(name) else f"{name}-le"  # it has no mark to tell the order of its bytes


def _find_encoding(beginning: bytes) -> str:
    for mark, encoding in _MARKS:
        if beginning.startswith(mark):
            return encoding
    even, odd = (beginning[at::2].count(0) / (len(beginning) / 2 or 1) for at in (0, 1))
    if odd > 0.4 and even < 0.1:  # Western text in UTF-16 has a zero in every other byte
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.1 else "utf-8"


def _recode(stream: BinaryIO, encoding: str) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Recoded(stream, encoding), SAMPLE_BYTES))


class _Unpacked(io.RawIOBase):
    """What a gzip file holds, in all its members. Raises only after all that could be read is read."""

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__()
        self._packed = packed
        self._inflate = zlib.decompressobj(wbits=31)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: _Buffer) -> int:  # type: ignore[override]
        while True:
            piece = (
                self._inflate.unconsumed_tail or self._inflate.unused_data or self._packed.read(SAMPLE_BYTES)
            )
            if self._inflate.eof:
                if not piece.strip(b"\0"):  # nothing more, or what tapes are filled up with
                    return 0
                self._inflate = zlib.decompressobj(wbits=31)
            elif not piece:
                raise EOFError("it is cut short")
            given = self._inflate.decompress(piece, len(buffer))
            if given:
                buffer[: len(given)] = given
                return len(given)


class _Recoded(io.RawIOBase):
    """Another stream in UTF-8, each of its lines ended by a line feed."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        super().__init__()
        self._stream = stream
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: _Buffer) -> int:  # type: ignore[override]
        while not self._ready:
            piece = self._stream.read(SAMPLE_BYTES)
            self._ready = self._decoder.decode(piece, final=not piece).encode("utf-8", "replace")
            if not piece and not self._ready:
                return 0
        given, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)
