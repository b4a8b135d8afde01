"""Downloads that go on where an earlier try broke off, by byte ranges."""

from __future__ import annotations

import base64
import binascii
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from net.part_file import Origin, PartFile
from net.ranges import find_validator, is_packed, read_content_range, read_length
from net.shown import show_url
from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from net.client import PoliteClient

TRIES = 8
"""So often a connection that broke off, after it brought something, is made anew at once."""

_DIGEST = re.compile(r"sha-256\s*=\s*:?([A-Za-z0-9+/=]{44}):?", re.IGNORECASE)


class _ChangedError(SourceError):
    """What comes is not the rest of what there is."""


async def download_rest(
    client: PoliteClient,
    url: str,
    part: PartFile,
    *,
    total_seconds: float,
    tell: Callable[[int, int | None], None],
    robots: bool = False,
) -> Origin:
    """
    Download a file, or what is missing of it; what the server says of it.

    `tell` is told the bytes there are, and of how many, piece by piece. A server that gives no ranges, or another
    file by now, is asked for all of it. After an error, what there is stays in the part, for another time.

    Raises as `PoliteClient.download` does, and `SourceUnavailableError` for a body that ends too soon, or is not
    what the server's own SHA-256 says; `SourceRejectedError` for one longer than it was said to be.

    Source: RFC 9110 13.1.5, 14 and 15.3.7; for the SHA-256, RFC 9530 3.
    """
    for left in reversed(range(TRIES)):
        before = part.size
        if part.is_whole:
            break
        try:
            await _ask(client, url, part, total_seconds=total_seconds, tell=tell, robots=robots)
        except _ChangedError:
            part.discard()
            if not left:
                raise SourceRejectedError(
                    f"{show_url(url)} never gives the part that it was asked for"
                ) from None
        except SourceUnavailableError as error:
            if not left or part.size <= before or error.retry_after_seconds is not None:
                raise
        else:
            break
    return _check(url, part)


async def _ask(
    client: PoliteClient,
    url: str,
    part: PartFile,
    *,
    total_seconds: float,
    tell: Callable[[int, int | None], None],
    robots: bool,
) -> None:
    headers = {"Accept-Encoding": "identity"}
    if part.origin and part.origin.validator and part.size:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": part.origin.validator}
    receiver = _Receiver(part, url, "Range" in headers, tell)
    fetched = await client.download(
        url,
        receiver,
        headers=headers,
        statuses_ok={HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE},
        begin=receiver.begin,
        robots=robots,
        max_bytes=2**62,  # the part has the cap
        total_seconds=total_seconds,
    )
    total = part.origin.total_bytes if part.origin else None
    if total is not None and part.size < total:
        raise SourceUnavailableError(f"{show_url(fetched.url)} ended after {part.size:,} of {total:,} bytes")


class _Receiver:
    """Takes an answer into a part: all of it, or the rest."""

    def __init__(
        self, part: PartFile, url: str, has_asked_for_rest: bool, tell: Callable[[int, int | None], None]
    ) -> None:
        self._part, self._url, self._has_asked_for_rest, self._tell = part, url, has_asked_for_rest, tell

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Make the part ready. Raises `_ChangedError` for what is not the rest of it."""
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _ChangedError
        if status == HTTPStatus.PARTIAL_CONTENT:
            self._check_rest(headers)
        else:
            self._part.restart(
                Origin(
                    self._url,
                    headers.get("content-type", ""),
                    find_validator(headers),
                    read_length(headers),
                    read_sha256(headers),
                )
            )

    def _check_rest(self, headers: Mapping[str, str]) -> None:
        if not self._has_asked_for_rest:
            raise SourceRejectedError(f"{show_url(self._url)} gives a part of what it was asked for")
        origin, said = self._part.origin, read_content_range(headers.get("content-range", ""))
        same_etag = headers.get("etag", "") in {"", origin.validator if origin else ""}
        is_rest = (
            origin is not None
            and said is not None
            and said.first == self._part.size
            and said.total in {None, origin.total_bytes or said.total}
            and (same_etag or not (origin.validator or "").startswith('"'))
            and "content-encoding" not in headers
        )
        if not is_rest:
            raise _ChangedError

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        self._part.write(piece)
        self._tell(self._part.size, self._part.origin.total_bytes if self._part.origin else None)


def _check(url: str, part: PartFile) -> Origin:
    part.flush()
    origin, size = part.origin, part.size
    if origin is None:
        raise SourceUnavailableError(f"{show_url(url)} gave nothing that lasted")
    if origin.total_bytes is not None and size > origin.total_bytes:
        part.discard()
        raise SourceRejectedError(f"{show_url(url)} gave {size:,} bytes, and spoke of {origin.total_bytes:,}")
    if origin.sha256 is not None and part.hash() != origin.sha256:
        part.discard()
        raise SourceUnavailableError(f"{show_url(url)} gave other bytes than its own SHA-256 says")
    return origin


def read_sha256(headers: Mapping[str, str]) -> str | None:
    """
    Read the SHA-256 of the whole file that a server names, in hexadecimal digits, or None.

    None for a packed body too: it is the hash of what comes, before that is unpacked.

    >>> read_sha256({"repr-digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"})[:8]
    'e3b0c442'
    """
    for name in () if is_packed(headers) else ("repr-digest", "digest"):
        if found := _DIGEST.search(headers.get(name, "")):
            try:
                return base64.b64decode(found[1], validate=True).hex()
            except binascii.Error:
                continue
    return None
