"""Where backups are: their names, their manifests, what a killed one left behind, and how many are kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from pipeline.errors import TrackerUnusableError
from runner.owned_folders import make_owned, remove_if_left
from tracker.blobs import sync_folder
from tracker.clock import to_datetime
from tracker.copying import sync_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_SUFFIXES = frozenset({".db", ".sqlite", ".sqlite3"})
"""A backup with such a name is one file; any other name is that of a folder of backups."""

DATABASE, ARTIFACTS, MANIFEST, LOCK = "tracker.db", "artifacts", "manifest.json", "LOCK"
MADE_BY = "celeriac"

_NAME = re.compile(r"celeriac-\d{8}T\d{6}Z(-\d+)?")
_PARTIAL = re.compile(r"\.celeriac-[0-9a-f]{32}\.(partial|removed)")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself: when it was made (Unix ms), of which tracker, and what it holds."""

    made_by: str
    format: int
    at: int
    tracker: str
    celeriac: str
    sha256: str
    bytes: int
    counts: dict[str, int]

    def write(self, path: Path) -> None:
        """Write it, with its instant as people read it beside."""
        when = to_datetime(self.at).isoformat(timespec="seconds")
        path.write_text(json.dumps({**asdict(self), "when": when}, indent=2) + "\n", encoding="utf-8")
        sync_file(path)


def read_manifest(folder: Path) -> Manifest | None:
    """Read what the backup in a folder says of itself; None for what is no backup of ours."""
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = Manifest(**{name: said[name] for name in Manifest.__slots__})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return manifest if manifest.made_by == MADE_BY else None


def is_file_name(target: Path) -> bool:
    """Tell whether a backup at this place is one file, by its name."""
    return target.suffix.lower() in FILE_SUFFIXES and not target.is_dir()


@contextmanager
def begin_folder(parent: Path) -> Iterator[Path]:
    """
    Make a folder to fill, hidden, and removed unless `finish_folder` has renamed it.

    Whatever else is hidden there and has no living process is what a killed backup left: it is removed.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrackerUnusableError(f"cannot make the folder {parent}: {error.strerror}") from error
    _remove_orphans(parent)
    folder, lock = make_owned(partial(_make_hidden, parent), _open_lock)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # renamed by now, if all went well
        os.close(lock)


def _make_hidden(parent: Path) -> Path:
    folder = parent / f".celeriac-{uuid.uuid4().hex}.partial"
    folder.mkdir()
    return folder


def _open_lock(folder: Path) -> int:
    return os.open(folder / LOCK, os.O_RDONLY | os.O_CREAT, 0o666)


def finish_folder(folder: Path, at: int) -> Path:
    """Give a filled folder its name, which says when it was made; the name."""
    (folder / LOCK).unlink()
    stem = f"celeriac-{to_datetime(at):%Y%m%dT%H%M%SZ}"
    number, place = 1, folder.with_name(stem)
    while place.exists():
        number += 1
        place = folder.with_name(f"{stem}-{number}")
    folder.rename(place)
    sync_folder(place.parent)
    return place


def _remove_orphans(parent: Path) -> None:
    for path in parent.iterdir():
        if _PARTIAL.fullmatch(path.name):
            _remove_if_orphan(path)


def _remove_if_orphan(folder: Path) -> None:
    try:
        remove_if_left(folder, folder / LOCK)
    except FileNotFoundError:
        if folder.name.endswith(".removed"):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            with suppress(OSError):
                folder.rmdir()  # only if nothing is in it


def list_backups(parent: Path, tracker: str | None = None) -> list[Path]:
    """List the backups in a folder, of one tracker or of any, the newest first."""
    found = []
    for path in parent.iterdir() if parent.is_dir() else ():
        manifest = read_manifest(path) if _NAME.fullmatch(path.name) else None
        if manifest is not None and tracker in {None, manifest.tracker}:
            found.append((manifest.at, path.name, path))
    return [path for _, _, path in sorted(found, reverse=True)]


def remove_older(parent: Path, tracker: str, keep: int) -> list[Path]:
    """Remove all backups of a tracker but the newest `keep`; those removed. What is not ours is left alone."""
    older = list_backups(parent, tracker)[keep:]
    for path in older:
        # first out of sight: what is half removed must not look like a backup
        going = path.with_name(f".celeriac-{uuid.uuid4().hex}.removed")
        path.rename(going)
        shutil.rmtree(going)
    return older


def hash_file(path: Path) -> str:
    """Hash a file that no process has open as a database."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
