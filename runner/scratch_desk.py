"""The desk of an attempt that leaves nothing behind: a folder that goes away, and a memory of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers.desk import read_pointer, write_pointer
from tracker.blobs import BlobStore
from tracker.fingerprints import count_different_bits
from tracker.foreign_tables import upsert_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from handlers.desk import Content, Folder, Pointer, Scalar


class ScratchDesk:
    """
    Keep files in a folder of the caller's, who removes it; remember in this process.

    `key` is the item's, for `find_twin`; give each item's desk the same `memory` and `fingerprints`. `kept` may hold
    the artifacts of earlier stages, which are read from there. `progress` and `pointers` are what was told and kept.
    """

    def __init__(
        self,
        folder: Path,
        key: str = "",
        *,
        kept: BlobStore | None = None,
        memory: dict[str, Any] | None = None,
        fingerprints: dict[str, int] | None = None,
    ) -> None:
        self._blobs, self._kept, self._key = BlobStore(folder), kept, key
        self._folder = folder
        self._memory = {} if memory is None else memory
        self._fingerprints = {} if fingerprints is None else fingerprints
        self.progress: tuple[float, float | None, str] | None = None
        self.pointers: list[Pointer] = []

    def tell_progress(self, done: float, total: float | None, note: str) -> None:
        """Note how far the attempt is."""
        self.progress = done, total, note

    def keep(self, name: str, content: Content, content_type: str | None) -> Pointer:
        """Keep a file until the folder is removed."""
        blob = self._blobs.put(content)
        pointer = write_pointer(blob.sha256, name, blob.size, content_type)
        self.pointers.append(pointer)
        return pointer

    def find(self, pointer: Mapping[str, Any]) -> Path:
        """Find a file kept here, or by an earlier stage."""
        sha256, size = read_pointer(pointer)
        store = self._blobs
        if self._kept is not None and not store.path(sha256).exists():
            store = self._kept
        return store.verify(sha256, size)

    def recall(self, key: str) -> Any:
        """Recall what was remembered in this process, or None."""
        return self._memory.get(key)

    def remember(self, key: str, value: Any) -> None:
        """Remember while this process lives."""
        self._memory[key] = value

    def find_twin(self, fingerprint: int, distance: int) -> str | None:
        """Find the nearest fingerprint of the items seen before this one."""
        self._fingerprints[self._key] = fingerprint  # one that is noted again keeps its place
        before = list(self._fingerprints)[: list(self._fingerprints).index(self._key)]
        near = [
            (count_different_bits(self._fingerprints[key], fingerprint), at, key)
            for at, key in enumerate(before)
        ]
        nearest = min(near, default=None)
        return nearest[2] if nearest is not None and nearest[0] <= distance else None

    def find_folder(self, name: Folder) -> Path:
        """Find a folder that goes away with all the rest."""
        found = self._folder / name
        found.mkdir(parents=True, exist_ok=True)
        return found

    def upsert_row(
        self, database: Path, table: str, row: Mapping[str, Scalar], key: Sequence[str], *, make: bool
    ) -> None:
        """Write into a file that goes away with all the rest."""
        upsert_row(database, table, row, key, make=make)
