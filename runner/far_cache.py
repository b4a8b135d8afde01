"""Artifacts on a machine far from the tracker: fetched once, checked each time, and as many as its cap allows."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pipeline.errors import ArtifactError
from runner.owned_folders import make_owned, remove_if_left
from tracker.blobs import BlobStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.blobs import Blob, Content

LENT = "lent"


class ArtifactCache:
    """
    A folder of files by the hash of their content, which several processes share.

    Above `max_bytes` those that were used longest ago go. What an attempt uses it has by a name of its own, so that
    nobody takes it away meanwhile; for so long there may be more than `max_bytes`.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.store, self._max_bytes = BlobStore(folder), max_bytes

    def lend(self) -> Loan:
        """Begin what one attempt uses."""
        return Loan(self)

    def find(self, sha256: str, size: int | None) -> Path | None:
        """Find a file after reading it through, None if it is not here; one that was changed is removed."""
        path = self.store.path(sha256)
        try:
            self.store.verify(sha256, size)
            os.utime(path)
        except (ArtifactError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return None
        return path

    def fetch(self, sha256: str, size: int | None, download: Callable[[Hashing], None]) -> Path:
        """
        Find a file, or have it downloaded.

        Raises `ArtifactError` when what came is something else, and what `download` raises.
        """
        if (path := self.find(sha256, size)) is not None:
            return path
        with self.store.incoming() as (incoming, file):
            sink = Hashing(file)
            download(sink)
            file.flush()
            if sink.hexdigest() != sha256 or size not in {None, file.tell()}:
                raise ArtifactError(f"what came for the artifact {sha256[:12]}… is something else")
            os.fchmod(file.fileno(), 0o444)
            self.store.give_name(incoming, sha256)
        self.prune(sha256)
        return self.store.path(sha256)

    def prune(self, spare: str | None = None) -> None:
        """Remove what was used longest ago until the cap is kept, and what processes left behind that died."""
        kept = []
        for blob in self.store.list_placed():
            with suppress(FileNotFoundError):
                kept.append((self.store.path(blob.sha256).stat().st_mtime_ns, blob))
        total = sum(blob.size for _, blob in kept)
        for _, blob in sorted(kept, key=lambda one: one[0]):
            if total <= self._max_bytes:
                break
            if blob.sha256 != spare:
                self.store.path(blob.sha256).unlink(missing_ok=True)
                total -= blob.size
        self.store.sweep_orphans(remove=True)
        _remove_abandoned(self.store.folder / LENT)


class Hashing:
    """A file that knows the SHA-256 of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest = file, hashlib.sha256()

    def write(self, piece: bytes, /) -> Any:
        """Write a piece."""
        self._digest.update(piece)
        return self._file.write(piece)

    def begin_anew(self) -> None:
        """Forget what was written."""
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()

    def hexdigest(self) -> str:
        """Give the hash."""
        return self._digest.hexdigest()


class Loan:
    """What one attempt uses of the cache, until its end."""

    def __init__(self, cache: ArtifactCache) -> None:
        self.cache = cache
        self._folder: Path | None = None
        self._lock = -1

    def end(self) -> None:
        """Give back all of it."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._lock)

    def keep(self, content: Content) -> tuple[Path, Blob]:
        """Keep what the attempt makes; its own name for it."""
        with self.cache.store.receive(content) as received:
            own = self._open() / received.blob.sha256
            with suppress(FileExistsError):
                own.hardlink_to(received.path)
            received.place()
        self.cache.prune()
        return own, received.blob

    def take(self, find: Callable[[], Path]) -> Path:
        """
        Give a file of the cache a name that is the attempt's own; looked for again if it was just taken away.

        Raises FileNotFoundError when somebody has removed what the attempt has of its own.
        """
        while True:
            found = find()
            own = self._open() / found.name
            try:
                own.hardlink_to(found)
            except FileExistsError:
                return own
            except FileNotFoundError:
                if own.parent.is_dir():
                    continue
                raise
            return own

    def _open(self) -> Path:
        if self._folder is None:
            lent = self.cache.store.folder / LENT
            lent.mkdir(parents=True, exist_ok=True)
            self._folder, self._lock = make_owned(lambda: Path(tempfile.mkdtemp(dir=lent)), _open_folder)
        return self._folder


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY)


def _remove_abandoned(folder: Path) -> None:
    for one in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            remove_if_left(one, one)
