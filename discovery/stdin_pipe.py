"""A stream that comes in as somebody writes it: lines, and whether there is more just now."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

PIECE_BYTES = 64 * 1024


class IncomingLines:
    """Reads lines as a file does, and knows whether the next one has arrived. Needs a stream with a descriptor."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._arrived = b""
        self._at = 0
        self._ended = False

    def readline(self, limit: int) -> bytes:
        """Read the next line with its end, at most `limit` bytes of it; at the end of the stream, nothing."""
        searched = self._at
        while (found := self._arrived.find(b"\n", searched)) < 0 and not self._ended:
            if len(self._arrived) - self._at >= limit:
                break
            searched = len(self._arrived) - self._at
            self._receive()
        end = min(found + 1 if found >= 0 else len(self._arrived), self._at + limit)
        line, self._at = self._arrived[self._at : end], end
        return line

    def has_more_now(self) -> bool:
        """Tell whether reading on would give something without a wait."""
        if self._ended or self._arrived.find(b"\n", self._at) >= 0:
            return True
        return bool(select.select([self._stream], [], [], 0)[0])

    def _receive(self) -> None:
        # read1 gives what is there, and waits only when there is nothing; so nothing is left unseen behind it
        piece = self._stream.read1(PIECE_BYTES)  # type: ignore[attr-defined]
        self._ended = not piece
        self._arrived, self._at = self._arrived[self._at :] + piece, 0
