"""Reading a body under its caps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ACCEPTED_ENCODINGS = ("gzip", "deflate")


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
    _check_encoding(response, address)
    _check_announced_length(response, address, caps)
    response.stream = _Counted(response.stream, address, caps.max_bytes)
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > caps.max_decoded_bytes:
            raise SourceRejectedError(f"{address} is over {caps.max_decoded_bytes:,} bytes when decompressed")
    return bytes(body)


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
