"""Paths of files on this machine, as jobs.yaml gives them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pipeline.errors import SourceRejectedError, SourceUnavailableError
from pipeline.fields import AnyPath, check_path

LEADS_OUT = "leads out of the folder where Celeriac runs; give its whole path"


def check_local_path(path: AnyPath) -> AnyPath:
    """Give a path back that need not lead out of the present folder. Raises ValueError for any other."""
    check_path(path)
    if Path(os.path.normpath(path)).parts[:1] == (os.pardir,) and not _is_below(Path(path).resolve()):
        raise ValueError(f"{path} {LEADS_OUT}")
    return path


def _is_below(path: Path) -> bool:
    return path.is_relative_to(Path.cwd().resolve())


def find_local_file(path: str) -> Path:
    """
    Find a file of this machine: an absolute path (`~` is the home folder), or one below the present folder.

    Raises `SourceRejectedError` for a relative path that leads out of the present folder, links included, and
    for what is no plain file; `SourceUnavailableError` when there is none.
    """
    try:
        asked = Path(path).expanduser()
        found = asked.resolve(strict=True)
        if not asked.is_absolute() and not _is_below(found):
            raise SourceRejectedError(f"{path} {LEADS_OUT}")
        if not stat.S_ISREG(found.stat().st_mode):
            raise SourceRejectedError(f"{path} is no file")
    except (OSError, RuntimeError, ValueError) as error:
        raise SourceUnavailableError(f"cannot read {path}: {tell_os_error(error)}") from error
    return found


def tell_os_error(error: Exception) -> str:
    """Tell what was wrong, without the path."""
    return getattr(error, "strerror", None) or str(error)
