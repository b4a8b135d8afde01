"""Folders of living processes: each holds the lock of its own, and others remove those whose lock nobody holds."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def make_owned(make: Callable[[], Path], open_lock: Callable[[Path], int]) -> tuple[Path, int]:
    """
    Make a folder and lock it; the folder, and the descriptor that holds the lock, for the caller to close.

    Another is made when somebody took it for one that was left, before it was locked.
    """
    while True:
        folder = make()
        with suppress(FileNotFoundError):
            lock = open_lock(folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.is_dir():
                return folder, lock
            os.close(lock)


def remove_if_left(folder: Path, lock: Path) -> None:
    """Remove a folder, unless somebody holds its lock. Raises FileNotFoundError when it has none."""
    descriptor = os.open(lock, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # its process lives
    finally:
        os.close(descriptor)
