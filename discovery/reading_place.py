"""Where reading a file stopped, and whether the next discovery may go on there."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discovery.row_files import RowFile

HEAD_BYTES, TAIL_BYTES = 32 * 1024, 4 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """
    A place in a file: the offset of the next row and the number of lines before it.

    `file` is what tells one state of the file from another (size, times, validators), `read_as` how it was
    read. `head` is a hash of its beginning, `tail` of the end of the last line that was read. `whole` says that
    there was nothing after it.
    """

    file: dict[str, Any]
    read_as: str
    head: str
    tail: str
    tail_at: int
    tail_bytes: int
    offset: int
    line: int
    whole: bool

    def as_json(self) -> dict[str, Any]:
        """Give it as what a cursor may be."""
        return asdict(self)

    @classmethod
    def from_json(cls, cursor: object) -> Place | None:
        """Read it from a cursor; None when that is of another kind."""
        if not isinstance(cursor, dict) or cursor.keys() != cls.__dataclass_fields__.keys():
            return None
        return cls(**cursor)

    def is_whole_of(self, file: Mapping[str, Any], read_as: str) -> bool:
        """Tell whether this was the end of the file in its present state, read in the same way."""
        return self.whole and self.file == dict(file) and self.read_as == read_as

    def may_go_on(self, file: Mapping[str, Any], read_as: str, opened: RowFile) -> bool:
        """
        Tell whether the file may be read on from here: it is the same, or has only grown.

        That what was read is unchanged is judged by its first 32 KiB and its last 4 KiB.
        """
        if self.read_as != read_as or (self.whole and file["size"] <= self.file["size"]):
            return False
        if self.head != hash_head(opened, self.offset):
            return False
        return hash_bytes(opened.at(self.tail_at).read(self.tail_bytes)) == self.tail


def hash_head(opened: RowFile, offset: int) -> str:
    """Hash the beginning of a file, at most up to an offset."""
    return hash_bytes(opened.sample[: min(max(0, offset - opened.begins_at), HEAD_BYTES)])


def hash_bytes(given: bytes) -> str:
    """Hash bytes, for telling them from others."""
    return hashlib.blake2b(given, digest_size=12).hexdigest()
