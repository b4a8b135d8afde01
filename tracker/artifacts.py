"""Artifacts: which files are kept, and who refers to each."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import ArtifactError, NotFoundError, StaleLeaseError, TrackerUnusableError
from tracker.clock import now_ms
from tracker.connection import write
from tracker.notes import find_note, set_note

if TYPE_CHECKING:
    from tracker.blobs import Blob, BlobStore, Content
    from tracker.connection import Connection

OWNER_NOTE, OWNER_FILE = "artifacts_owner", "OWNER"
"""Where a tracker has the name under which it owns a folder, and where the folder has it."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One kept file; `name` is what it was first called, `uses` counts who refers to it."""

    sha256: str
    bytes: int
    name: str
    content_type: str | None
    first_kept_at: int
    last_kept_at: int
    uses: int


@dataclass(frozen=True, slots=True)
class Use:
    """
    One that refers to an artifact.

    `kind` is `result`, `history` (a result that was replaced), `item` (its data), `held` (that of a held item),
    `attempt` (it runs now) or `answer`, which has no job, key and stage. Only results and attempts have a stage.
    """

    kind: str
    job: str | None
    key: str | None
    stage: str | None


@dataclass(frozen=True, slots=True)
class Holder:
    """The running attempt for which a file is kept."""

    item_id: int
    stage: str
    attempt: int


def claim_folder(conn: Connection, store: BlobStore) -> None:
    """
    See that the folder keeps this tracker's files and no other's, and claim one that keeps none yet. Commits.

    Raises `TrackerUnusableError`: what one tracker refers to, another would remove.
    """
    if not claim_for(store, name_owner(conn)):
        raise TrackerUnusableError(
            f"{store.folder} keeps the files of another tracker than {conn.path}: give this one a data folder of its "
            f"own (CELERIAC_DATA), or remove {store.folder / OWNER_FILE} if the other is gone for good"
        )


def claim_for(store: BlobStore, owner: str) -> bool:
    """Let an owner have the folder, if it keeps no other's files; False when it does."""
    path = store.folder / OWNER_FILE
    if not path.exists():
        store.folder.mkdir(parents=True, exist_ok=True)
        written = path.with_name(f"{OWNER_FILE}.{uuid.uuid4().hex}")
        written.write_text(owner)
        written.replace(path)
    return path.read_text() == owner


def name_owner(conn: Connection) -> str:
    """Name this tracker: by a name of its own, given when it is first asked for. Commits."""
    return find_note(conn, OWNER_NOTE) or _choose_name(conn)


def _choose_name(conn: Connection) -> str:
    with write(conn):
        name = find_note(conn, OWNER_NOTE) or uuid.uuid4().hex
        set_note(conn, OWNER_NOTE, name)
    return name


def keep(
    conn: Connection,
    store: BlobStore,
    holder: Holder,
    content: Content,
    name: str,
    content_type: str | None = None,
    sha256: str | None = None,
) -> Blob:
    """
    Keep a file, held for an attempt for as long as that runs; one that was sent is checked by its `sha256`. Commits.

    Raises `ArtifactError` for another hash, `TrackerFullError` when there is no room, `TrackerUnusableError` for the
    folder of another tracker, `StaleLeaseError` when the attempt owns its stage no longer. Then nothing is left
    behind that `collect` does not remove.
    """
    claim_folder(conn, store)
    with store.receive(content) as received:
        if sha256 not in {None, received.blob.sha256}:
            raise ArtifactError(f"what came for the artifact {sha256} has the SHA-256 {received.blob.sha256}")
        register(conn, holder, received.blob, name, content_type)  # from here on nobody removes it
        received.place()
    return received.blob


REGISTER_ARTIFACT = """
INSERT INTO artifacts (sha256, bytes, name, content_type, first_kept_at, last_kept_at, uses)
VALUES (:sha256, :bytes, :name, :content_type, :now, :now,
        (SELECT count(*) FROM artifact_uses WHERE sha256 = :sha256))
    ON CONFLICT DO UPDATE
   SET last_kept_at = :now, content_type = coalesce(content_type, excluded.content_type)
"""


def register(conn: Connection, holder: Holder, blob: Blob, name: str, content_type: str | None) -> None:
    """
    Put a file on the list, held for an attempt for as long as that runs, before it gets its name. Commits.

    Raises `StaleLeaseError` when the attempt owns its stage no longer.
    """
    asked = {
        "sha256": blob.sha256,
        "bytes": blob.size,
        "name": name,
        "content_type": content_type,
        "now": now_ms(),
    }
    with write(conn):
        conn.execute(REGISTER_ARTIFACT, asked)
        hold(conn, holder, blob.sha256)


IS_RUNNING = """
SELECT 1 FROM item_stages
 WHERE item_id = :item_id AND stage = :stage AND status = 'in_progress' AND attempt = :attempt
"""

HOLD_ARTIFACT = """
INSERT INTO artifact_uses (kind, id, stage, sha256)
VALUES ('attempt', :item_id, :stage, :sha256)
    ON CONFLICT DO NOTHING
"""


def hold(conn: Connection, holder: Holder, sha256: str) -> None:
    """
    Hold a file for an attempt for as long as that runs, known or not. Commits.

    Raises `StaleLeaseError` when the attempt owns its stage no longer.
    """
    asked = {
        "item_id": holder.item_id,
        "stage": holder.stage,
        "attempt": holder.attempt,
        "sha256": sha256,
    }
    with write(conn):
        if conn.execute(IS_RUNNING, asked).fetchone() is None:
            raise StaleLeaseError(holder.item_id, holder.stage, holder.attempt)
        conn.execute(HOLD_ARTIFACT, asked)


# -- reading ----------------------------------------------------------------------------------------------

LIST_ARTIFACTS = """
SELECT sha256, bytes, name, content_type, first_kept_at, last_kept_at, uses
  FROM artifacts
 ORDER BY first_kept_at DESC
 LIMIT :limit
"""

LIST_UNUSED_ARTIFACTS = """
SELECT sha256, bytes, name, content_type, first_kept_at, last_kept_at, uses
  FROM artifacts
 WHERE uses = 0
 ORDER BY sha256
 LIMIT :limit
"""


def list_artifacts(conn: Connection, limit: int, *, unused: bool = False) -> list[Artifact]:
    """List at most `limit` artifacts, the newest first; or those that nothing refers to, by their hash."""
    sql = LIST_UNUSED_ARTIFACTS if unused else LIST_ARTIFACTS
    return [Artifact(*row) for row in conn.execute(sql, {"limit": limit})]


FIND_ARTIFACTS = """
SELECT sha256, bytes, name, content_type, first_kept_at, last_kept_at, uses
  FROM artifacts
 WHERE sha256 >= :start AND sha256 < :start || 'g'
 ORDER BY sha256
 LIMIT 2
"""


def get_artifact(conn: Connection, start: str) -> Artifact:
    """Get the artifact whose hash begins so. Raises `NotFoundError` if there is none, or more than one."""
    found = conn.execute(FIND_ARTIFACTS, {"start": start.removeprefix("sha256:").lower()}).fetchall()
    if len(found) != 1:
        what = (
            "artifact whose SHA-256 begins with" if not found else "single artifact whose SHA-256 begins with"
        )
        raise NotFoundError(what, start)
    return Artifact(*found[0])


IS_KNOWN = """
SELECT EXISTS (SELECT 1 FROM artifacts WHERE sha256 = :sha256)
    OR EXISTS (SELECT 1 FROM artifact_uses WHERE sha256 = :sha256)
"""


def is_known(conn: Connection, sha256: str) -> bool:
    """Tell whether a file is registered, or anything refers to it."""
    return bool(conn.execute(IS_KNOWN, {"sha256": sha256}).fetchone()[0])


LIST_USES = """
SELECT u.kind, coalesce(i.job_id, h.job_id), coalesce(i.key, h.key), coalesce(nullif(u.stage, ''), r.stage)
  FROM artifact_uses u
  LEFT JOIN results_history r ON r.history_id = u.id AND u.kind = 'history'
  LEFT JOIN work_items i ON i.item_id = iif(u.kind = 'history', r.item_id, u.id)
                        AND u.kind IN ('result', 'history', 'item', 'attempt')
  LEFT JOIN held_items h ON h.held_id = u.id AND u.kind = 'held'
 WHERE u.sha256 = :sha256
 ORDER BY u.kind, u.id, u.stage
 LIMIT :limit
"""


def list_uses(conn: Connection, sha256: str, limit: int) -> list[Use]:
    """List at most `limit` of those that refer to an artifact."""
    return [Use(*row) for row in conn.execute(LIST_USES, {"sha256": sha256, "limit": limit})]


@dataclass(frozen=True, slots=True)
class Count:
    """How many artifacts there are, how large they are together, and how much of it nothing refers to."""

    files: int
    bytes: int
    unused_files: int
    unused_bytes: int


COUNT_ARTIFACTS = """
SELECT count(*), coalesce(sum(bytes), 0), count(*) FILTER (WHERE uses = 0),
       coalesce(sum(bytes) FILTER (WHERE uses = 0), 0)
  FROM artifacts
"""


def count_artifacts(conn: Connection) -> Count:
    """Count the artifacts; it reads one row for each."""
    return Count(*conn.execute(COUNT_ARTIFACTS).fetchone())
