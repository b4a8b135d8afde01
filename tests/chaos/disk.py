"""A small disk for the tracker, which can be filled: a tmpfs, where this user may mount one."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SIZE_MIB = 1024
MIB = 1024 * 1024


class Disk:
    """The folder of the tracker. `can_be_filled` is false where it is an ordinary folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.can_be_filled = _run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "chaos", str(path))
        self._filler = path / "filler"

    def fill(self) -> None:
        """Write until there is no room left."""
        with self._filler.open("ab", buffering=0) as file:
            size = MIB
            while size >= 512:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    size //= 2

    def make_room(self) -> None:
        """Take away what filled it."""
        self._filler.unlink(missing_ok=True)

    def release(self) -> None:
        """Unmount it; its files are gone then."""
        if self.can_be_filled:
            _run("umount", "--lazy", str(self.path))


def _run(program: str, *arguments: str) -> bool:
    """Run a program of the system's; whether it is there and did what it was told."""
    found = shutil.which(program)
    return (
        found is not None
        and not subprocess.run([found, *arguments], capture_output=True, check=False).returncode
    )
