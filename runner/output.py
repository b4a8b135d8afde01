"""Where an export goes: standard output, a file that is whole or not there, or a device or a pipe."""

from __future__ import annotations

import io
import os
import sys
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from pipeline.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO]:
    """Open standard output, or a file that gets its name when it is whole; a device or a pipe is written to."""
    if path is None or _is_stream(path):
        with open_in_place(path) as out:
            yield out
        return
    with replace_whole(path) as fresh, fresh.open("w", encoding="utf-8", errors="replace", newline="") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def open_in_place(path: Path | None) -> Iterator[TextIO]:
    """Open standard output, or a file that is written where it is. Raises `ExportError`."""
    if path is None:
        yield sys.stdout
        return
    with errors_are_told(path):
        out = path.open("w", encoding="utf-8", errors="replace", newline="", buffering=io.DEFAULT_BUFFER_SIZE)
        with out:
            yield out


@contextmanager
def replace_whole(path: Path) -> Iterator[Path]:
    """
    Give the name of a file to write, which takes the place of `path` when it is whole.

    Where `path` is a link, it takes the place of what that leads to. Raises `ExportError`, also for a device or a pipe.
    """
    if _is_stream(path):
        raise ExportError(f"cannot write {path}: this format needs a file, and that is none")
    place = path.resolve()
    fresh = place.with_name(f".{place.name}.{uuid.uuid4().hex}.partial")
    with errors_are_told(path):
        try:
            fresh.touch(exist_ok=False)  # whether it can be there is known before any work, and in our words
            yield fresh
            fresh.replace(place)
        finally:
            fresh.unlink(missing_ok=True)


def find_folder(path: Path | None) -> Path | None:
    """Tell in which folder a file is written, by its real place; None for standard output, a device or a pipe."""
    return None if path is None or _is_stream(path) else path.resolve().parent


@contextmanager
def errors_are_told(path: Path) -> Iterator[None]:
    """Say of an operating system's error in the block which path could not be written. Raises `ExportError`."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error


def _is_stream(path: Path) -> bool:
    """Tell whether a path is that of a device, a pipe or the like: no file may take its place."""
    return path.exists() and not (path.is_file() or path.is_dir())
