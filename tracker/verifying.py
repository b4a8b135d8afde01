"""Verify the kept files: what is gone, what was changed, what nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import ArtifactError
from tracker.artifacts import is_known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.blobs import BlobStore
    from tracker.connection import Connection


@dataclass(frozen=True, slots=True)
class Fault:
    """
    Something that is wrong with a kept file.

    `fault` is `gone`, `changed`, `stray` (a file that the tracker does not know, left by a killed
    process) or `never kept` (a pointer to a file that was not kept here). `uses` counts who refers to it.
    """

    sha256: str
    fault: str
    uses: int


LIST_KEPT = "SELECT sha256, bytes, uses FROM artifacts WHERE sha256 > :after ORDER BY sha256 LIMIT 100"

COUNT_USES_OF_UNKNOWN = """
SELECT u.sha256, count(*)
  FROM artifact_uses u
 WHERE NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.sha256 = u.sha256)
 GROUP BY u.sha256
 ORDER BY u.sha256
"""


def list_faults(conn: Connection, store: BlobStore) -> Iterator[Fault]:
    """Read every kept file through, and give what is wrong as it is found."""
    yield from _list_broken(conn, store)
    for sha256, uses in conn.execute(COUNT_USES_OF_UNKNOWN).fetchall():
        yield Fault(sha256, "never kept", uses)
    for blob in store.list_placed():
        if not is_known(conn, blob.sha256):
            yield Fault(blob.sha256, "stray", 0)


def _list_broken(conn: Connection, store: BlobStore) -> Iterator[Fault]:
    after = ""
    while rows := conn.execute(LIST_KEPT, {"after": after}).fetchall():
        for sha256, size, uses in rows:
            try:
                store.verify(sha256, size)
            except ArtifactError:
                is_there = store.path(sha256).exists()
                if is_there or is_known(conn, sha256):  # not removed meanwhile
                    yield Fault(sha256, "changed" if is_there else "gone", uses)
        after = rows[-1][0]
