"""Verify a backup: read it through, recount it, and tell what of it would be done again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import ArtifactError, NotFoundError
from runner.backup import FOLDER_OF_FILE
from runner.backup_places import ARTIFACTS, DATABASE, hash_file, list_backups, read_manifest
from tracker.blobs import BlobStore
from tracker.copying import tell_nobody
from tracker.recounting import JobCount, list_used_artifacts, open_copy, recount

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.copying import Tell

SHOWN_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A backup as it lies: its database, its folder of artifacts, and when it was made (Unix ms) if it says so."""

    path: Path
    database: Path
    artifacts: Path
    at: int | None


@dataclass(frozen=True, slots=True)
class Verified:
    """What a backup holds, what of it would be done again, and what is wrong with it, in words."""

    path: str
    at: int | None
    bytes: int
    schema: int
    items: int
    results: int
    artifacts: int
    artifact_bytes: int
    jobs: list[JobCount]
    faults: list[str]

    @property
    def claims(self) -> int:
        """The claims that would be taken back."""
        return sum(job.claims for job in self.jobs)

    @property
    def messages(self) -> int:
        """The messages that would be sent again."""
        return sum(job.messages for job in self.jobs)


def find_backup(path: Path) -> Place:
    """
    Find the backup at a path: a file, the folder of one, or the newest in a folder of backups.

    Raises `NotFoundError`.
    """
    if path.is_file():
        return Place(path, path, path.with_name(path.name + FOLDER_OF_FILE), None)
    if (path / DATABASE).is_file():
        manifest = read_manifest(path)
        return Place(path, path / DATABASE, path / ARTIFACTS, manifest.at if manifest else None)
    if path.is_dir() and (newest := next(iter(list_backups(path)), None)):
        return find_backup(newest)
    raise NotFoundError("backup at", str(path))


def verify(path: Path, tell: Tell = tell_nobody) -> Verified:
    """
    Read a backup through: its database from end to end, its counters against a recount, every file's content.

    Raises `NotFoundError`, and `TrackerUnusableError` for what is no tracker.
    """
    place = find_backup(path)
    tell("checking the tracker", 0, 0)
    counted = recount(place.database, thorough=True)
    faults = [*counted.faults, *_compare(place, counted.counts), *_check_files(place, tell)]
    if len(faults) > SHOWN_FAULTS:
        faults = [*faults[:SHOWN_FAULTS], f"and {len(faults) - SHOWN_FAULTS} more"]
    return Verified(
        path=str(place.path),
        at=place.at,
        bytes=place.database.stat().st_size,
        schema=counted.schema,
        items=counted.items,
        results=counted.results,
        artifacts=counted.artifacts,
        artifact_bytes=counted.artifact_bytes,
        jobs=counted.jobs,
        faults=faults,
    )


def _compare(place: Place, counts: dict[str, int]) -> Iterator[str]:
    if place.path == place.database:
        return
    manifest = read_manifest(place.path)
    if manifest is None:
        yield "its manifest is missing or cannot be read"
    elif manifest.sha256 != hash_file(place.database):
        yield "its tracker.db was changed: it no longer has the hash in its manifest"
    else:
        for name, count in counts.items():
            if manifest.counts.get(name) != count:
                yield f"its manifest says {manifest.counts.get(name)} {name}, there are {count}"


def _check_files(place: Place, tell: Tell) -> Iterator[str]:
    store = BlobStore(place.artifacts)
    with open_copy(place.database) as conn:
        used = list(list_used_artifacts(conn))
    for number, (sha256, size) in enumerate(used, start=1):
        tell("reading its files", number, len(used))
        try:
            store.verify(sha256, size)
        except ArtifactError as error:
            yield str(error)
