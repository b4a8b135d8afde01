"""Where an export goes: standard output, or a file that is whole or not there."""

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
    """Open standard output, or a file that gets its name when it is whole."""
    if path is None:
        yield sys.stdout
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
    try:
        out = path.open("w", encoding="utf-8", errors="replace", newline="", buffering=io.DEFAULT_BUFFER_SIZE)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}") from error
    with out:
        yield out


@contextmanager
def replace_whole(path: Path) -> Iterator[Path]:
    """Give the name of a file to write, which takes the place of `path` when it is whole. Raises `ExportError`."""
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield fresh
        fresh.replace(path)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)
