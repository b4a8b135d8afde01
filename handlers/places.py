"""Places below a folder that a text names: found without a step outside, whatever the text says."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import CeleriacError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DEPTH = 32
MAX_NAME_BYTES = 255

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_IN_THE_WAY = {errno.ELOOP, errno.ENOTDIR}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BadPlaceError(CeleriacError):
    """A path that leads out of its folder, through a link, or that no file can have."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file below a folder: its name, and the folders that lead there."""

    folders: tuple[str, ...]
    name: str

    def __str__(self) -> str:
        return "/".join((*self.folders, self.name))


def read_place(text: str) -> Place:
    """
    Read a relative path. Raises `BadPlaceError` for one that is absolute, has `..` in it, or cannot be.

    >>> read_place("notes/./2026/a.md")
    Place(folders=('notes', '2026'), name='a.md')
    """
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if text.startswith(("/", "~")) or ".." in parts or "\\" in text:
        raise BadPlaceError(f"{text!r:.200} leads out of the folder: write a path below it, without ..")
    if not parts or text.endswith(("/", "/.")) or text in {"", "."}:
        raise BadPlaceError(f"{text!r:.200} names no file")
    if len(parts) > MAX_DEPTH or any(len(os.fsencode(_plain(part))) > MAX_NAME_BYTES for part in parts):
        raise BadPlaceError(f"{text!r:.200} is longer or deeper than a path may be")
    if _CONTROL.search(text) or _plain(text) != text:
        raise BadPlaceError(f"{text!r:.200} has characters that no name should have")
    return Place(tuple(parts[:-1]), parts[-1])


@contextmanager
def open_folder(root: Path, place: Place) -> Iterator[int]:
    """
    Open the folder of a place below `root`, made if need be, as a descriptor.

    Each step is taken from the one before and follows no link, so that nobody can lead it elsewhere meanwhile.
    Raises `BadPlaceError` for what is in the way, a link among them, and for a place that is no plain file.
    """
    with _walk(root, place, _make_step) as descriptor:
        _check_file(descriptor, place)
        yield descriptor


@contextmanager
def _walk(root: Path, place: Place, step: Callable[[int, str, Place], int]) -> Iterator[int]:
    descriptor = os.open(root, _FOLDER)
    try:
        for name in place.folders:
            below = step(descriptor, name, place)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _step(descriptor: int, name: str, place: Place) -> int:
    del place
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)


def _make_step(descriptor: int, name: str, place: Place) -> int:
    try:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=descriptor)
        os.fsync(descriptor)
        return _step(descriptor, name, place)
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            raise BadPlaceError(f"{place}: {name!r} on the way there is a link, or no folder") from error
        raise


def _check_file(descriptor: int, place: Place) -> None:
    try:
        mode = os.stat(place.name, dir_fd=descriptor, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        what = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "no plain file"
        raise BadPlaceError(f"{place} is there already, and is {what}")


def _plain(text: str) -> str:
    return text.encode(errors="ignore").decode()


# -- files to be read -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ItemFiles:
    """
    The files that an item may name: those below `root`, and none without one.

    None of those in the data folder `data`, where keys and the record are, unless `root` itself is in there.
    """

    root: Path | None = None
    data: Path | None = None

    def open(self, path: str) -> int:
        """
        Open a file to be read, without waiting for whoever writes to a pipe; a relative path is one below `root`.

        Links are followed as far as they stay below it. Raises `BadPlaceError` for what lies elsewhere, whether there
        is such a file or not, and OSError.
        """
        if self.root is None:
            raise BadPlaceError(
                f"{path!r:.200} is not read: an item names it, and no folder is given that it may not lead out of"
            )
        root = Path(os.path.realpath(self.root))
        found = Path(os.path.realpath(root / path))
        if not found.is_relative_to(root) or self._is_closed(found, root):
            raise BadPlaceError(f"{path!r:.200} is not among the files below {self.root}")
        *folders, name = found.relative_to(root).parts or (".",)
        with _walk(root, Place(tuple(folders), name), _step) as folder:
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)

    def _is_closed(self, found: Path, root: Path) -> bool:
        data = None if self.data is None else Path(os.path.realpath(self.data))
        return data is not None and found.is_relative_to(data) and (root == data or data not in root.parents)
