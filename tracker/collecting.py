"""Remove the files that nothing refers to, whoever works meanwhile, and whenever it is killed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import TrackerFullError
from tracker.artifacts import claim_folder, is_known
from tracker.connection import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.blobs import BlobStore
    from tracker.connection import Connection

AT_ONCE = 100
"""How many files are put out in one transaction: a few milliseconds of everybody's turn to write."""


@dataclass(frozen=True, slots=True)
class Collected:
    """
    What was removed, or would be: files that nothing refers to, and their bytes.

    `strays` are of these those that the tracker does not know, such as what a killed process left half written.
    """

    files: int = 0
    bytes: int = 0
    strays: int = 0

    def __add__(self, other: Collected) -> Collected:
        return Collected(self.files + other.files, self.bytes + other.bytes, self.strays + other.strays)


COUNT_UNUSED = "SELECT count(*), coalesce(sum(bytes), 0) FROM artifacts WHERE uses = 0"


def plan_collection(conn: Connection, store: BlobStore) -> Collected:
    """Tell what `collect` would remove now. Writes nothing."""
    files, size = conn.execute(COUNT_UNUSED).fetchone()
    strays = [blob.size for blob in store.list_placed() if not is_known(conn, blob.sha256)]
    strays += store.sweep_orphans(remove=False)
    return Collected(files, size) + _count_strays(strays)


LIST_UNUSED = "SELECT sha256, bytes FROM artifacts WHERE uses = 0 ORDER BY sha256 LIMIT :limit"

DROP_ARTIFACT = "DELETE FROM artifacts WHERE sha256 = :sha256 AND uses = 0"


def collect(conn: Connection, store: BlobStore) -> Collected:
    """
    Remove every file that nothing refers to; what was removed. Commits again and again.

    A file is put out in the transaction that takes it off the list, and registered before it gets its name: so
    whoever keeps the same content at the same moment is before this or after it. Raises `TrackerUnusableError` for
    the folder of another tracker, `ArtifactError` while a backup copies the files.
    """
    claim_folder(conn, store)
    with store.removing():
        return _collect_all(conn, store)


def _collect_all(conn: Connection, store: BlobStore) -> Collected:
    done = Collected()
    while sizes := _collect_some(conn, store):
        done += Collected(len(sizes), sum(sizes))
        store.empty_outgoing()
    strays = [*_collect_strays(conn, store), *store.sweep_orphans(remove=True)]
    store.empty_outgoing()
    return done + _count_strays(strays)


def _collect_some(conn: Connection, store: BlobStore) -> list[int]:
    try:
        return _put_out_some(conn, store)
    except TrackerFullError:
        store.empty_outgoing()  # that makes the room
        return _put_out_some(conn, store)


def _put_out_some(conn: Connection, store: BlobStore) -> list[int]:
    with write(conn):
        rows = conn.execute(LIST_UNUSED, {"limit": AT_ONCE}).fetchall()
        for sha256, _ in rows:
            store.put_out(sha256)  # one that is gone already is no more than a row
            conn.execute(DROP_ARTIFACT, {"sha256": sha256})
    return [size for _, size in rows]


def _collect_strays(conn: Connection, store: BlobStore) -> list[int]:
    sizes = []
    for blob in store.list_placed():
        if is_known(conn, blob.sha256):
            continue
        with write(conn):  # known by now? then it is left alone
            if not is_known(conn, blob.sha256) and store.put_out(blob.sha256):
                sizes.append(blob.size)
    return sizes


def _count_strays(sizes: Sequence[int]) -> Collected:
    return Collected(len(sizes), sum(sizes), len(sizes))
