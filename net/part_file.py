"""The beginning of a file from elsewhere, kept from one try to the next."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, BinaryIO

from net.shown import show_url
from pipeline.errors import SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 30.0
"""After so long to look again whether another process is done with the same file."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the server said of the file: by `validator` (None: it cannot go on) the rest is asked for."""

    url: str
    content_type: str = ""
    validator: str | None = None
    total_bytes: int | None = None
    sha256: str | None = None


class PartFile:
    """
    A file that is being downloaded, and beside it what the server said of it.

    Made by `open_part`, which holds it alone. `size` is how many bytes there are.
    """

    def __init__(self, path: Path, file: BinaryIO, url: str, max_bytes: int) -> None:
        self.path, self._file, self._url, self._max_bytes = path, file, url, max_bytes
        self._note = path.with_suffix(".json")
        self.size = file.seek(0, os.SEEK_END)
        self.origin = self._read_note()
        if self.origin is None or self.size > min(max_bytes, self.origin.total_bytes or max_bytes):
            self.discard()

    def _read_note(self) -> Origin | None:
        try:
            return Origin(**json.loads(self._note.read_bytes()))
        except (OSError, ValueError, TypeError):  # none yet, or half written
            return None

    @property
    def is_whole(self) -> bool:
        """Tell whether all the bytes that the server spoke of are there."""
        return self.origin is not None and self.origin.total_bytes == self.size

    def restart(self, origin: Origin) -> None:
        """Begin anew, with what the server says of the file now. Raises `SourceRejectedError` above the cap."""
        self.discard()
        if (origin.total_bytes or 0) > self._max_bytes:
            raise self._refuse()
        incoming = self._note.with_suffix(".new")
        incoming.write_text(json.dumps(asdict(origin)))
        incoming.replace(self._note)
        self.origin = origin

    def discard(self) -> None:
        """Forget what there is."""
        self._note.unlink(missing_ok=True)  # first: a note without its bytes says nothing false
        self._file.truncate(0)
        self._file.seek(0)
        self.size, self.origin = 0, None

    def write(self, piece: bytes) -> None:
        """Add a piece. Raises `SourceRejectedError` for one beyond the cap."""
        if self.size + len(piece) > self._max_bytes:
            self.discard()
            raise self._refuse()
        self._file.write(piece)
        self.size += len(piece)

    def _refuse(self) -> SourceRejectedError:
        return SourceRejectedError(f"{show_url(self._url)} is over {self._max_bytes:,} bytes")

    def flush(self) -> None:
        """Bring what there is to the disk, so that a later try finds it."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def hash(self) -> str:
        """Hash what was flushed: SHA-256, in hexadecimal digits."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def remove(self) -> None:
        """Remove it, once it has been kept elsewhere."""
        self._note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


@contextmanager
def open_part(folder: Path, url: str, max_bytes: int) -> Iterator[PartFile]:
    """
    Open what there is of the file at a URL, for this process alone; it stays when the block ends.

    Raises `SourceUnavailableError`, with a time to come back, while another process downloads the same.
    """
    path = folder / f"{hashlib.sha256(url.encode(errors='surrogatepass')).hexdigest()[:40]}.part"
    with _lock(path, url) as file:
        part = PartFile(path, file, url, max_bytes)
        try:
            yield part
        finally:
            part.flush()


@contextmanager
def _lock(path: Path, url: str) -> Iterator[BinaryIO]:
    while True:
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:  # noqa: PTH123
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SourceUnavailableError(
                    f"{show_url(url)} is being downloaded by another stage", BUSY_SECONDS
                ) from None
            if _is_still(path, file):  # else whoever had it removed it before we had the lock
                yield file
                return


def _is_still(path: Path, file: BinaryIO) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False


def sweep_parts(folder: Path, older_than_seconds: float) -> int:
    """Remove what nobody has gone on with for so long; how many files that were."""
    before, removed = time.time() - older_than_seconds, 0
    for path in [*folder.glob("*.part"), *folder.glob("*.json"), *folder.glob("*.new")]:
        with suppress(FileNotFoundError):  # another process sweeps too
            if path.stat().st_mtime < before:
                path.unlink()
                removed += 1
    return removed
