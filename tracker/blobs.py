"""Files by the hash of their content: written once, whole or not at all, and verified when they are read."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ArtifactError, TrackerFullError

PIECE_BYTES = 1024 * 1024

Content = bytes | Path | Iterable[bytes]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Blob:
    """A kept file: the SHA-256 of its content in 64 hexadecimal digits, and its size in bytes."""

    sha256: str
    size: int


class BlobStore:
    """
    A folder of files named by the SHA-256 of their content, in subfolders by its first two digits.

    Any number of processes may write and read at once: a file gets its name when it is whole and on the disk. It
    is written in `incoming` under a lock, so that one whose writer died can be told from one being written; what is
    being removed goes through `outgoing`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Name the place of a file, there or not."""
        return self.folder / sha256[:2] / sha256

    def put(self, content: Content) -> Blob:
        """
        Keep some content: bytes, pieces of bytes, or the file at a path, which is copied.

        Raises `TrackerFullError` when there is no room; then nothing is left behind.
        """
        with self.receive(content) as received:
            received.place()
        return received.blob

    @contextmanager
    def receive(self, content: Content) -> Iterator[Received]:
        """
        Take in some content like `put`, which gets its name only when `place` is called within the block.

        Raises `TrackerFullError` when there is no room.
        """
        with self.incoming() as (path, file):
            blob = _write(file, content)
            file.flush()
            os.fchmod(file.fileno(), os.fstat(file.fileno()).st_mode & 0o444)
            os.fsync(file.fileno())
            yield Received(self, path, blob)

    @contextmanager
    def incoming(self) -> Iterator[tuple[Path, BinaryIO]]:
        """
        Open a new file to write to; it goes away with the block, unless `give_name` has moved it to its place.

        Raises `TrackerFullError` when there is no room.
        """
        with _no_room_is_told(self.folder):
            path, file = _open_incoming(self._make_folder("incoming"))
        try:
            with _no_room_is_told(self.folder), file:  # closing it writes, too
                yield path, file
        finally:
            with suppress(FileNotFoundError):  # the usual case: it has its name
                path.unlink()

    def _make_folder(self, name: str) -> Path:
        folder = self.folder / name
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self.folder)
        return folder

    def give_name(self, incoming: Path, sha256: str) -> None:
        """Move a whole file to its place, over the one that may be there, and see that this lasts."""
        folder = self._make_folder(sha256[:2])
        incoming.replace(folder / sha256)
        sync_folder(folder)

    def verify(self, sha256: str, size: int | None = None) -> Path:
        """Give the path of a file after reading it through. Raises `ArtifactError` if it is gone or changed."""
        path = self.path(sha256)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
                read = file.tell()
        except FileNotFoundError as error:
            raise ArtifactError(f"the artifact {sha256[:12]}… is gone from {path.parent}") from error
        if found != sha256 or size not in {None, read}:
            raise ArtifactError(
                f"the artifact {path} was changed: its content no longer has its hash or size"
            )
        return path

    @contextmanager
    def hold_still(self) -> Iterator[None]:
        """See that nobody removes a file within the block: for a copy of all of them. Waits until it may begin."""
        with self._open_folder() as folder:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield

    # -- taking away --------------------------------------------------------------------------------------

    @contextmanager
    def removing(self) -> Iterator[None]:
        """Allow files to be removed within the block. Raises `ArtifactError` while somebody needs them all."""
        with self._open_folder() as folder:
            try:
                fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ArtifactError(
                    f"a backup copies the files of {self.folder} now, and needs them all: try again when it is done"
                ) from error
            yield

    @contextmanager
    def _open_folder(self) -> Iterator[int]:
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def put_out(self, sha256: str) -> bool:
        """Take a file from its place, which costs the same for any size; False if it was not there."""
        target = self._make_folder("outgoing") / f"{sha256}.{uuid.uuid4().hex}"
        try:
            self.path(sha256).rename(target)
        except FileNotFoundError:
            return False
        return True

    def empty_outgoing(self) -> None:
        """Remove what was put out, by whomever."""
        for path in self._list("outgoing"):
            path.unlink(missing_ok=True)

    def sweep_orphans(self, *, remove: bool) -> list[int]:
        """Find what writers that died left in `incoming`, and remove it if so asked; the sizes in bytes."""
        sizes = [_sweep_if_orphan(path, remove=remove) for path in self._list("incoming")]
        return [size for size in sizes if size is not None]

    def list_placed(self) -> Iterator[Blob]:
        """List the files that have their name, in no order; what is named otherwise is not ours."""
        for folder in self.folder.glob("[0-9a-f][0-9a-f]"):
            for path in folder.iterdir():
                if _SHA256.fullmatch(path.name) and path.parent == self.path(path.name).parent:
                    with suppress(FileNotFoundError):  # removed meanwhile
                        yield Blob(path.name, path.stat().st_size)

    def _list(self, name: str) -> list[Path]:
        folder = self.folder / name
        return list(folder.iterdir()) if folder.is_dir() else []


@dataclass(frozen=True, slots=True)
class Received:
    """Content that is whole and on the disk, but has no name yet."""

    store: BlobStore
    path: Path
    blob: Blob

    def place(self) -> None:
        """Give it its name."""
        self.store.give_name(self.path, self.blob.sha256)


def _open_incoming(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        path = folder / uuid.uuid4().hex
        file = path.open("xb")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return path, file
        file.close()  # taken for an orphan between the two lines above


def _sweep_if_orphan(path: Path, *, remove: bool) -> int | None:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if remove:
                path.unlink()
            return os.fstat(file.fileno()).st_size
    except (BlockingIOError, FileNotFoundError):  # being written; has its name by now
        return None


def _write(file: BinaryIO, content: Content) -> Blob:
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(content):
        digest.update(piece)
        file.write(piece)
        size += len(piece)
    return Blob(digest.hexdigest(), size)


def _pieces(content: Content) -> Iterator[bytes]:
    if isinstance(content, bytes | bytearray | memoryview):
        yield bytes(content)
    elif isinstance(content, Path):
        with content.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
    elif isinstance(content, str):
        raise TypeError("an artifact is made of bytes, of a Path, or of pieces of bytes; not of str")
    else:
        yield from content


@contextmanager
def _no_room_is_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise TrackerFullError(f"no room left to keep files in {folder}") from error
        raise


def sync_folder(folder: Path) -> None:
    """See that the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
