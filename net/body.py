"""Reading a body under its caps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import httpx2

from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ACCEPTED_ENCODINGS = ("gzip", "deflate")

Begin = Callable[[int, Mapping[str, str]], None]
"""Is told the status and the headers, whose names are in lower case, before the body comes."""


class Sink(Protocol):
    """Where a body goes: a file, or what takes its pieces like one."""

    def write(self, piece: bytes, /) -> Any:
        """Take the next piece."""


def begin_anywhere(status: int, headers: Mapping[str, str]) -> None:
    """Need nothing made ready."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How much of one body is taken: bytes as they come over the wire, and bytes once decompressed."""

    max_bytes: int
    max_decoded_bytes: int


async def read_body(response: httpx2.Response, address: str, caps: Caps) -> bytes:
    """
    Read and decompress the whole body, a piece at a time, so that a bomb stops at its cap.

    Raises `SourceRejectedError` for a body above a cap, or in an encoding that nobody asked for.
    """
    body = bytearray()
    async for piece in _read_pieces(response, address, caps):
        body += piece
    return bytes(body)


async def save_body(
    response: httpx2.Response, address: str, caps: Caps, file: Sink, begin: Begin = begin_anywhere
) -> bytes:
    """Write the whole body to a file, a piece at a time; give none of it. Raises as `read_body` does."""
    begin(response.status_code, dict(response.headers))
    async for piece in _read_pieces(response, address, caps):
        file.write(piece)
    return b""


async def read_start(response: httpx2.Response, address: str, max_bytes: int) -> bytes:
    """Read and decompress the first bytes of a body, and leave the rest where it is."""
    body = bytearray()
    _check_encoding(response, address)
    response.stream = _Counted(response.stream, address, 2 * max_bytes)
    async with aclosing(response.aiter_bytes()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) >= max_bytes:
                break
    return bytes(body[:max_bytes])


async def _read_pieces(response: httpx2.Response, address: str, caps: Caps) -> AsyncIterator[bytes]:
    _check_encoding(response, address)
    _check_announced_length(response, address, caps)
    response.stream = _Counted(response.stream, address, caps.max_bytes)
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > caps.max_decoded_bytes:
            raise SourceRejectedError(f"{address} is over {caps.max_decoded_bytes:,} bytes when decompressed")
        yield piece


def _check_encoding(response: httpx2.Response, address: str) -> None:
    for encoding in response.headers.get_list("content-encoding", split_commas=True):
        if encoding.strip().lower() not in {*ACCEPTED_ENCODINGS, "identity", ""}:
            raise SourceRejectedError(f"{address} came in the encoding {encoding!r}, which was not asked for")


def _check_announced_length(response: httpx2.Response, address: str, caps: Caps) -> None:
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > caps.max_bytes:
        raise _too_large(address, caps.max_bytes)


def _too_large(address: str, max_bytes: int) -> SourceRejectedError:
    return SourceRejectedError(f"{address} is over {max_bytes:,} bytes")


class _Counted(httpx2.AsyncByteStream):
    """Counts the bytes of another stream as they come over the wire."""

    def __init__(self, stream: object, address: str, max_bytes: int) -> None:
        assert isinstance(stream, httpx2.AsyncByteStream)  # noqa: S101  tells the type checker
        self._stream, self._address, self._max_bytes = stream, address, max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for chunk in self._stream:
            count += len(chunk)
            if count > self._max_bytes:
                raise _too_large(self._address, self._max_bytes)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
