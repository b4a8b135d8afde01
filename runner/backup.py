"""Back up the tracker and its artifacts while all runs: whole and checked, or not there at all."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.errors import TrackerFullError, TrackerUnusableError, UnclearRequestError
from pipeline.release import read_release
from runner.backup_files import Files, copy_used, remove_unused
from runner.backup_places import (
    ARTIFACTS,
    DATABASE,
    MADE_BY,
    MANIFEST,
    Manifest,
    begin_folder,
    finish_folder,
    hash_file,
    is_file_name,
    remove_older,
)
from runner.own_files import refuse_own
from runner.saying import say_bytes
from tracker.artifacts import name_owner
from tracker.blobs import BlobStore, sync_folder
from tracker.clock import now_ms
from tracker.connection import open_db, write
from tracker.copying import Tell, copy_database, measure, tell_nobody
from tracker.events import append_event
from tracker.recounting import Recount, recount

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.settings import Settings

FORMAT = 1
FOLDER_OF_FILE = ".artifacts"
"""Beside a backup that is one file: the folder of its artifacts, if it has any."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup came to. `missing` are files that the tracker refers to and that were not there to be copied."""

    path: str
    at: int
    seconds: float
    bytes: int
    items: int
    results: int
    artifacts: int
    artifact_bytes: int
    linked: int
    copied: int
    missing: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def back_up(
    settings: Settings, target: Path, by: str, *, keep: int | None = None, tell: Tell = tell_nobody
) -> BackedUp:
    """Write a backup because somebody asks, as `write_backup` does; one event."""
    done = write_backup(settings, target, keep=keep, tell=tell)
    with open_db(settings.db_path) as conn, write(conn):
        detail = {"path": done.path, "bytes": done.bytes, "items": done.items, "artifacts": done.artifacts}
        append_event(conn, None, "backup", None, None, None, by, detail)
    return done


def write_backup(
    settings: Settings, target: Path, *, keep: int | None = None, tell: Tell = tell_nobody
) -> BackedUp:
    """
    Write a backup of this machine's tracker: to a file of its own name, or to a new folder in the folder `target`.

    It is checked before it gets its name. With `keep`, older ones of the same tracker in that folder are removed
    then, all but the newest so many. Raises `OperatorError` for a file of the house's own, `UnclearRequestError`
    for `keep` with a file, `TrackerFullError`, and `TrackerUnusableError` for a copy that is not sound; then nothing is
    left behind.
    """
    refuse_own(settings, target)
    with open_db(settings.db_path) as conn:
        owner, size = name_owner(conn), measure(conn)
    work = _Backup(settings.db_path, BlobStore(settings.artifacts_path), tell)
    if is_file_name(target):
        if keep is not None:
            raise UnclearRequestError(f"--keep is for a folder of backups; {target} is the name of one file")
        return _back_up_to_file(work, target, size)
    return _back_up_to_folder(work, target, size, owner, keep)


@dataclass(frozen=True, slots=True)
class _Backup:
    """What is backed up."""

    db_path: Path
    store: BlobStore
    tell: Tell

    def fill(self, database: Path, artifacts: Path) -> tuple[Recount, Files]:
        """Copy the tracker, and then the files that the copy refers to; nobody removes any meanwhile."""
        with self.store.hold_still():
            copy_database(self.db_path, database, self.tell)
            files = copy_used(database, self.store, BlobStore(artifacts), self.tell)
        self.tell("checking the copy", 0, 0)
        counted = recount(database)
        if counted.faults:
            raise TrackerUnusableError(
                f"the copy of {self.db_path} is not sound, and is not kept: {'; '.join(counted.faults)}"
            )
        return counted, files


def _back_up_to_folder(work: _Backup, parent: Path, size: int, owner: str, keep: int | None) -> BackedUp:
    began, at = time.monotonic(), now_ms()
    with begin_folder(parent) as folder:
        _require_room(folder, size)
        database = folder / DATABASE
        counted, files = work.fill(database, folder / ARTIFACTS)
        work.tell("hashing the copy", 0, 0)
        Manifest(
            MADE_BY,
            FORMAT,
            at,
            owner,
            read_release(),
            hash_file(database),
            database.stat().st_size,
            counted.counts,
        ).write(folder / MANIFEST)
        sync_folder(folder)
        place = finish_folder(folder, at)
    removed = [] if keep is None else [str(path) for path in remove_older(parent, owner, keep)]
    return _sum_up(place, place / DATABASE, at, began, counted, files, removed)


def _back_up_to_file(work: _Backup, target: Path, size: int) -> BackedUp:
    began, at = time.monotonic(), now_ms()
    artifacts = target.with_name(target.name + FOLDER_OF_FILE)
    with begin_folder(target.parent) as folder:
        _require_room(folder, size)
        # Files are only added until the new database is in place: an older backup of this name stays whole.
        counted, files = work.fill(folder / DATABASE, artifacts)
        (folder / DATABASE).replace(target)
        sync_folder(target.parent)
    remove_unused(target, artifacts)
    return _sum_up(target, target, at, began, counted, files, [])


def _sum_up(
    place: Path, database: Path, at: int, began: float, counted: Recount, files: Files, removed: list[str]
) -> BackedUp:
    return BackedUp(
        path=str(place),
        at=at,
        seconds=round(time.monotonic() - began, 3),
        bytes=database.stat().st_size,
        items=counted.items,
        results=counted.results,
        artifacts=counted.artifacts - len(files.missing),
        artifact_bytes=counted.artifact_bytes,
        linked=files.linked,
        copied=files.copied,
        missing=files.missing,
        removed=removed,
    )


def _require_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise TrackerFullError(
            f"no room in {folder.parent}: the tracker has {say_bytes(size)}, {say_bytes(free)} are free"
        )
