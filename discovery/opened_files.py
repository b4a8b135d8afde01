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
    strategy.looks[name_source(url)].requests += 1
    with tempfile.TemporaryFile() as file:
        fetched = await strategy.access.http.download(
            url,
            file,
            headers=dict(headers) | {name: value for name, value in asked.items() if value},
            not_modified_ok=True,
            robots=strategy.obeys_robots,
            max_bytes=max_bytes,
            total_seconds=DOWNLOAD_SECONDS,
        )
        if fetched.status == HTTPStatus.NOT_MODIFIED:
            yield None
            return
        yield OpenedFile(file, _tell_state(fetched.headers, file))


def _tell_state(headers: Mapping[str, str], file: BinaryIO) -> dict[str, Any]:
    state = {"size": file.tell(), "etag": headers.get("etag"), "last_modified": headers.get("last-modified")}
    if state["etag"] is None and state["last_modified"] is None:
        file.seek(0)
        state["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return state
