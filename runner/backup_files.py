"""The artifacts of a backup: brought beside the copy of their tracker, by hard link or copied."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracker.blobs import BlobStore, sync_folder
from tracker.recounting import list_used_artifacts, open_copy

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.copying import Tell


@dataclass(slots=True)
class Files:
    """How the files were brought; `missing` are those that were not there, or no longer what they were."""

    linked: int = 0
    copied: int = 0
    missing: list[str] = field(default_factory=list)


def copy_used(database: Path, source: BlobStore, target: BlobStore, tell: Tell) -> Files:
    """Bring the files that a copy of the tracker refers to beside it: hard links where that can be, else copies."""
    files = Files()
    with open_copy(database) as conn:
        used = list(list_used_artifacts(conn))
    for number, (sha256, size) in enumerate(used, start=1):
        _bring(sha256, size, source, target, files)
        tell("keeping its files", number, len(used))
    for folder in {target.path(sha256).parent for sha256, _ in used}:
        if folder.is_dir():
            sync_folder(folder)
    return files


def _bring(sha256: str, size: int, source: BlobStore, target: BlobStore, files: Files) -> None:
    path, place = source.path(sha256), target.path(sha256)
    if place.exists() and place.stat().st_size == size:
        files.linked += 1
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.stat().st_size != size:
            files.missing.append(sha256)
            return
        os.link(path, place)
        files.linked += 1
    except FileNotFoundError:
        files.missing.append(sha256)
    except OSError:  # another disk, or one without links
        _copy(sha256, path, target, files)


def _copy(sha256: str, path: Path, target: BlobStore, files: Files) -> None:
    with target.receive(path) as received:
        if received.blob.sha256 != sha256:
            files.missing.append(sha256)  # it was changed where it lies
            return
        received.place()
    files.copied += 1


def remove_unused(database: Path, artifacts: Path) -> None:
    """Remove from a backup's folder the files that its tracker does not refer to."""
    if not artifacts.is_dir():
        return
    with open_copy(database) as conn:
        used = {sha256 for sha256, _ in list_used_artifacts(conn)}
    store = BlobStore(artifacts)
    for blob in store.list_placed():
        if blob.sha256 not in used:
            store.path(blob.sha256).unlink(missing_ok=True)
