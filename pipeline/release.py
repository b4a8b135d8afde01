"""Which release of Celeriac this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def read_release() -> str:
    """Read the release that is installed; `0` in a checkout that never was."""
    try:
        return version("celeriac")
    except PackageNotFoundError:
        return "0"
