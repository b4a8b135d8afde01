"""Files to read rows from: one of this machine, or one fetched from an address into a temporary one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO

from discovery.base import name_source
from discovery.local_paths import tell_os_error
from pipeline.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from discovery.base import BaseDiscovery
    from net.fetched import Fetched

DOWNLOAD_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """An open file, and what tells this state of it from another: size, times, validators."""

    file: BinaryIO
    state: dict[str, Any]


def is_address(path: str) -> bool:
    """Tell whether a path is a web address."""
    return path.lower().startswith(("http://", "https://"))


@asynccontextmanager
async def open_local_file(path: Path) -> AsyncIterator[OpenedFile]:
    """Open a file of this machine. Raises `SourceUnavailableError`."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise SourceUnavailableError(f"cannot read {path}: {tell_os_error(error)}") from error
    with file:
        found = os.fstat(file.fileno())
        yield OpenedFile(
            file, {"size": found.st_size, "modified_ns": found.st_mtime_ns, "inode": found.st_ino}
        )


@asynccontextmanager
async def open_address(
    strategy: BaseDiscovery, url: str, *, headers: Mapping[str, str], known: Mapping[str, Any], max_bytes: int
) -> AsyncIterator[OpenedFile | None]:
    """
    Fetch the file at an address; None when its server says that it is still in the `known` state.

    It stands in a temporary file while the block runs. Raises as `PoliteClient.fetch` does.
    """
    asked = {"If-None-Match": known.get("etag"), "If-Modified-Since": known.get("last_modified")}
    validators = {name: value for name, value in asked.items() if value}
    with tempfile.TemporaryFile() as file:
        fetched = await _download(strategy, url, file, headers, validators, max_bytes)
        if fetched.status == HTTPStatus.NOT_MODIFIED and not fetched.is_redirected:
            yield None
            return
        if fetched.status == HTTPStatus.NOT_MODIFIED:  # said by another address than the validators are from
            fetched = await _download(strategy, url, file, headers, {}, max_bytes)
        yield OpenedFile(file, _tell_state(fetched, file))


async def _download(
    strategy: BaseDiscovery,
    url: str,
    file: BinaryIO,
    headers: Mapping[str, str],
    validators: Mapping[str, str],
    max_bytes: int,
) -> Fetched:
    strategy.looks[name_source(url)].requests += 1
    return await strategy.access.http.download(
        url,
        file,
        headers={**headers, **validators},
        not_modified_ok=bool(validators),
        robots=strategy.obeys_robots,
        max_bytes=max_bytes,
        total_seconds=DOWNLOAD_SECONDS,
    )


def _tell_state(fetched: Fetched, file: BinaryIO) -> dict[str, Any]:
    said = {} if fetched.is_redirected else fetched.headers  # another time it may lead elsewhere
    state = {"size": file.tell(), "etag": said.get("etag"), "last_modified": said.get("last-modified")}
    if state["etag"] is None and state["last_modified"] is None:
        file.seek(0)
        state["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return state
