"""Places below a folder that a text names: found without a step outside, whatever the text says."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import CeleriacError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DEPTH = 32
MAX_NAME_BYTES = 255

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
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in place.folders:
            below = _step(descriptor, name, place)
            os.close(descriptor)
            descriptor = below
        _check_file(descriptor, place)
        yield descriptor
    finally:
        os.close(descriptor)


def _step(descriptor: int, name: str, place: Place) -> int:
    try:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=descriptor)
        os.fsync(descriptor)
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
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
