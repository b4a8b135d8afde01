"""Which code a process runs: the release, and a hash of the source that it was started from."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from pipeline.release import read_release
from pipeline.sources import OWN_PACKAGES

ROOT = Path(__file__).parent.parent
SUFFIXES = frozenset((".py", ".sql"))


@cache
def read_code_version() -> str:
    """
    Tell the version of our code, such as `0.1.0+3f9c2a1b`: two that differ in a line of source differ here.

    It is that of the files when a process first asks, so a worker asks when it starts.
    """
    return f"{read_release()}+{_hash_sources()}"


def _hash_sources() -> str:
    digest = hashlib.sha256()
    for package in sorted(OWN_PACKAGES):
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in SUFFIXES:
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:8]
