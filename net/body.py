"""Reading a body under its caps."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import httpx2

from net.unpacking import PIECE_BYTES, Unpacker
from pipeline.errors import SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

ACCEPTED_ENCODINGS = ("gzip", "deflate")

_BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}

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

    Raises `SourceRejectedError` for a body above a cap, or in an encoding that nobody asked for, and
    `SourceUnavailableError` for a compressed one that breaks off.
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
    caps = Caps(2 * max_bytes, max_bytes + PIECE_BYTES)
    async with aclosing(_unpack(response, address, caps)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) >= max_bytes:
                break
    return bytes(body[:max_bytes])


async def _read_pieces(response: httpx2.Response, address: str, caps: Caps) -> AsyncIterator[bytes]:
    if response.request.method == "HEAD" or response.status_code in _BODILESS:
        return  # the headers are those of a body that does not come
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > caps.max_bytes:
        raise _too_large(address, caps.max_bytes)
    async for piece in _unpack(response, address, caps):
        yield piece


async def _unpack(response: httpx2.Response, address: str, caps: Caps) -> AsyncGenerator[bytes]:
    layers = [_Layer(coding, address, caps) for coding in reversed(_list_codings(response, address))]
    max_bytes = caps.max_bytes if layers else min(caps.max_bytes, caps.max_decoded_bytes)
    response.stream = _Counted(response.stream, address, max_bytes)
    try:
        async for chunk in response.aiter_raw():
            pieces: Iterator[bytes] = iter((chunk,))
            for layer in layers:
                pieces = layer.unpack(pieces)
            for piece in pieces:
                yield piece
    except zlib.error as error:
        raise SourceRejectedError(f"{address} cannot be read: {error}") from error
    if not all(layer.unpacker.is_whole for layer in layers):
        raise SourceUnavailableError(f"{address} broke off in the middle of its compressed body")


def _list_codings(response: httpx2.Response, address: str) -> list[str]:
    said = response.headers.get_list("content-encoding", split_commas=True)
    codings = [coding for each in said if (coding := each.strip().lower()) not in {"", "identity"}]
    for coding in codings:
        if coding not in ACCEPTED_ENCODINGS:
            raise SourceRejectedError(f"{address} came in the encoding {coding!r}, which was not asked for")
    return codings


class _Layer:
    """One coding of a body. Each is counted: one that unpacks to nothing but another bomb is a bomb too."""

    def __init__(self, coding: str, address: str, caps: Caps) -> None:
        self.unpacker = Unpacker(coding)
        self._address, self._max_bytes, self._size = address, caps.max_decoded_bytes, 0

    def unpack(self, packed: Iterator[bytes]) -> Iterator[bytes]:
        for piece in chain.from_iterable(map(self.unpacker.feed, packed)):
            self._size += len(piece)
            if self._size > self._max_bytes:
                raise SourceRejectedError(
                    f"{self._address} is over {self._max_bytes:,} bytes when decompressed"
                )
            yield piece


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
