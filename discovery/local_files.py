"""Files in a folder of this machine."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from discovery.globs import matches_any
from discovery.instants import tell_unix
from discovery.local_paths import tell_os_error
from pipeline.errors import SourceUnavailableError
from pipeline.fields import FilePath  # noqa: TC001 - the model is built with it

if TYPE_CHECKING:
    from collections.abc import Iterator


class LocalFiles(BaseDiscovery):
    """
    Find the files below a folder.

    Links to folders are not entered, and links to files outside the folder are left out; so is everything
    that is not a plain file. A folder below that cannot be read is a problem, not the end.

    Key: the path relative to the root, with forward slashes. Order: by key.
    Data: `{"path": str, "size": int, "modified_at": str | None}`: the absolute path, bytes, an ISO instant in UTC.
    Example: {strategy: local_files, root: ./inbox, include: ["*.txt"], exclude: [drafts], max_bytes: 1000000}

    Source: the file system.
    """

    class Params(StrategyParams):
        """Patterns are matched as `discovery.globs.matches_any` says."""

        root: FilePath = Field(
            description="The folder; relative to where Celeriac runs. `~` is the home folder."
        )
        include: list[str] = Field(["**"], description="Patterns of the files to find; all, when left out.")
        exclude: list[str] = Field([], description="Patterns of files to leave out and folders not to enter.")
        max_bytes: int | None = Field(None, ge=0, description="Leave out files that are larger.")

    params: Params

    async def fetch_items(self) -> list[FoundItem]:
        """Walk the folder, in a thread of its own. Raises `SourceUnavailableError` for an unreadable root."""
        return await asyncio.to_thread(self._list_items)

    def _list_items(self) -> list[FoundItem]:
        try:
            root = self.params.root.expanduser().resolve(strict=True)
            os.scandir(root).close()
        except (OSError, RuntimeError, ValueError) as error:
            raise SourceUnavailableError(
                f"cannot read the folder {self.params.root}: {tell_os_error(error)}"
            ) from error
        found = (self._find(root, path) for path in self._walk(root))
        return sorted((item for item in found if item), key=lambda item: item.key)

    def _walk(self, root: Path) -> Iterator[Path]:
        for folder, folders, files in os.walk(root, onerror=self._note):
            here = Path(folder)
            folders[:] = [each for each in folders if not self._excludes(root, here / each)]
            yield from (here / each for each in files)

    def _find(self, root: Path, path: Path) -> FoundItem | None:
        key = _relative(root, path)
        if self._excludes(root, path) or not matches_any(key, self.params.include):
            return None
        try:
            found = path.stat()
            inside = path.resolve().is_relative_to(root)
        except OSError:  # gone since it was listed, or a link to nowhere
            return None
        if not stat.S_ISREG(found.st_mode) or not inside or self._is_too_large(found.st_size):
            return None
        data = {"path": str(path), "size": found.st_size, "modified_at": tell_unix(found.st_mtime)}
        return FoundItem(key, data)

    def _excludes(self, root: Path, path: Path) -> bool:
        return matches_any(_relative(root, path), self.params.exclude)

    def _is_too_large(self, size: int) -> bool:
        return self.params.max_bytes is not None and size > self.params.max_bytes

    def _note(self, error: OSError) -> None:
        self.problems.append(f"cannot read the folder {error.filename}: {tell_os_error(error)}")


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
