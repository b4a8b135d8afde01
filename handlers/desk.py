"""What a handler may keep and ask for beyond its result, and how one manages without."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired, Protocol, TypedDict

from pipeline.errors import ArtifactError

Content = bytes | Path | Iterable[bytes]
"""What an artifact is made of."""

Folder = Literal["files", "partial"]
"""`files` are people's own, which handlers write for them; `partial` are downloads that go on another time."""

Scalar = None | int | float | str | bytes
"""What SQLite keeps in a column."""


class Pointer(TypedDict):
    """
    What stands in a result for a kept file: `artifact` is `sha256:` and 64 hexadecimal digits.

    `name` is for people, `bytes` its size, `charset` what a server calls that of a text.
    """

    artifact: str
    name: str
    bytes: int
    content_type: NotRequired[str]
    charset: NotRequired[str]


_POINTER = re.compile(r"sha256:[0-9a-f]{64}")


def write_pointer(sha256: str, name: str, size: int, content_type: str | None = None) -> Pointer:
    """Make the pointer to a kept file of `size` bytes."""
    pointer: Pointer = {"artifact": f"sha256:{sha256}", "name": name, "bytes": size}
    return pointer if content_type is None else {**pointer, "content_type": content_type}


def read_pointer(pointer: Mapping[str, Any]) -> tuple[str, int | None]:
    """Read a pointer's SHA-256 and size. Raises `ArtifactError` for what is none."""
    named, size = pointer.get("artifact"), pointer.get("bytes")
    if not isinstance(named, str) or not _POINTER.fullmatch(named):
        raise ArtifactError(f"no pointer to an artifact: {dict(pointer)!r:.200}")
    return named.removeprefix("sha256:"), size if isinstance(size, int) else None


class Desk(Protocol):
    """What stands behind `HandlerContext`'s methods of the same meaning; see there."""

    def tell_progress(self, done: float, total: float | None, note: str) -> None:
        """Show how far the attempt is."""

    def keep(self, name: str, content: Content, content_type: str | None) -> Pointer:
        """Keep a file."""

    def find(self, pointer: Mapping[str, Any]) -> Path:
        """Find a kept file."""

    def recall(self, key: str) -> Any:
        """Recall what was remembered, or None."""

    def remember(self, key: str, value: Any) -> None:
        """Remember JSON at once."""

    def find_twin(self, fingerprint: int, distance: int) -> str | None:
        """Note a fingerprint and find the nearest of an earlier item."""

    def find_folder(self, name: Folder) -> Path:
        """Find one of the folders for handlers, made if need be."""

    def upsert_row(
        self, database: Path, table: str, row: Mapping[str, Scalar], key: Sequence[str], *, make: bool
    ) -> None:
        """Put a row into a table of a user's own SQLite file."""


class NoDesk:
    """The desk of an attempt far from the tracker's folder: it keeps nothing, and says so."""

    def tell_progress(self, done: float, total: float | None, note: str) -> None:
        """Tell nobody."""

    def keep(self, name: str, content: Content, content_type: str | None) -> Pointer:  # noqa: ARG002
        """Refuse."""
        raise ArtifactError(f"cannot keep {name!r}: this worker does not reach the tracker's folder")

    def find(self, pointer: Mapping[str, Any]) -> Path:
        """Refuse."""
        raise ArtifactError(f"cannot open {dict(pointer)}: this worker does not reach the tracker's folder")

    def recall(self, key: str) -> Any:  # noqa: ARG002
        """Know nothing."""
        return None

    def remember(self, key: str, value: Any) -> None:
        """Forget it."""

    def find_twin(self, fingerprint: int, distance: int) -> str | None:  # noqa: ARG002
        """Know of no other item."""
        return None

    def find_folder(self, name: Folder) -> Path:
        """Refuse."""
        raise ArtifactError(f"no folder for {name}: this worker does not reach the tracker's folder")

    def upsert_row(
        self,
        database: Path,
        table: str,
        row: Mapping[str, Scalar],  # noqa: ARG002
        key: Sequence[str],  # noqa: ARG002
        *,
        make: bool,  # noqa: ARG002
    ) -> None:
        """Refuse."""
        raise ArtifactError(
            f"cannot write {table} of {database}: this worker does not reach the tracker's folder"
        )
