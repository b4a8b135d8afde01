"""Unpacking gzip and deflate as they come, a bounded piece at a time."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

GZIP_MAGIC = b"\x1f\x8b"
PIECE_BYTES = 64 * 1024

_GZIP, _ZLIB, _RAW = 31, 15, -15
"""What `zlib.decompressobj` calls the three frames around deflated bytes."""


class Unpacker:
    """
    Unpacks `gzip`, one member after another, or `deflate`, with zlib's frame around it or without, as servers send it.

    What else follows the end, such as zeros, is left out.

    Source: RFC 1952 2.2; RFC 9110 8.4.1.
    """

    def __init__(self, coding: str) -> None:
        self._coding, self._is_over = coding, False
        self._inflate: Any = None
        self._before: bytes | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all that was fed has its end; so has nothing at all."""
        return self._inflate is None

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Give what the next bytes unpack to, in pieces of at most `PIECE_BYTES`. Raises `zlib.error`."""
        while packed and not self._is_over:
            if self._inflate is None:
                packed = self._begin(packed)
            if self._inflate is None:
                return
            while piece := self._inflate.decompress(packed, PIECE_BYTES):
                yield piece
                # At its end both have what follows, and it would be fed twice.
                packed = b"" if self._inflate.eof else self._inflate.unconsumed_tail
            packed = b""
            if (
                self._inflate.eof
            ):  # it is let go: fed on, it would keep all that follows, and copy it each time
                packed, self._inflate, self._before = self._inflate.unused_data, None, b""

    def _begin(self, packed: bytes) -> bytes:
        """Begin what begins here, if anything does; it, with what stood before it."""
        if self._before is None:
            self._inflate = zlib.decompressobj(self._find_frame(packed))
            return packed
        packed = (self._before + packed).lstrip(b"\0")
        if self._coding == "gzip" and packed.startswith(GZIP_MAGIC):
            self._inflate = zlib.decompressobj(_GZIP)
            return packed
        self._before = packed[
            : len(GZIP_MAGIC)
        ]  # the first half of a magic number may be all that there is so far
        self._is_over = self._coding != "gzip" or not GZIP_MAGIC.startswith(packed)
        return b""

    def _find_frame(self, first: bytes) -> int:
        if self._coding == "gzip":
            return _GZIP
        return _ZLIB if first[0] & 0x0F == zlib.DEFLATED else _RAW  # nobody begins deflated bytes so
