"""Put a backup in the tracker's place, ready to go on."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from pipeline.errors import (
    OperatorError,
    TrackerFullError,
    TrackerUnusableError,
)
from runner.backup_check import find_backup, verify
from runner.backup_files import copy_used
from runner.backup_places import DATABASE
from tracker.artifacts import claim_for, name_owner
from tracker.blobs import BlobStore, sync_folder
from tracker.clock import now_ms, to_datetime
from tracker.connection import open_db
from tracker.copying import stand_alone, tell_nobody
from tracker.exclusive import exclusively, is_sound
from tracker.restoring import TakenBack, forget_unused_artifacts, take_back_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.copying import Tell

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored from where to where; `aside` is where the tracker is now that was in its place."""

    path: str
    database: str
    aside: str | None
    artifacts: int
    taken_back: TakenBack


def restore(
    path: Path, database: Path, artifacts: Path, by: str, *, replace: bool = False, tell: Tell = tell_nobody
) -> Restored:
    """
    Put a backup at `database`, with its files in `artifacts`, ready to go on: claims and messages are taken back.

    What is there is kept aside, and is replaced only if so asked. Until the last step, which is one renaming, all is
    as it was. Raises `OperatorError` when something is there and not to be replaced; `TrackerInUseError` when
    it is in use; `TrackerUnusableError` for a backup that is not sound.
    """
    if database.exists() and not replace:
        raise OperatorError(f"{database} is there already: --yes puts it aside and the backup in its place")
    verified = verify(path, tell)
    if verified.faults:
        raise TrackerUnusableError(f"{verified.path} is not sound: {'; '.join(verified.faults)}")
    place, store = find_backup(path), BlobStore(artifacts)
    with _no_room_is_told(database), _begin(database) as fresh:
        tell("copying the tracker", 0, 0)
        shutil.copyfile(place.database, fresh)
        with open_db(fresh) as conn:
            taken = take_back_all(conn, by, verified.path)
            forget_unused_artifacts(conn)
            owner = name_owner(conn)
        stand_alone(fresh)
        _claim(store, owner)
        files = copy_used(fresh, BlobStore(place.artifacts), store, tell)
        aside = _swap(fresh, database)
    return Restored(
        verified.path, str(database), str(aside) if aside else None, files.linked + files.copied, taken
    )


@contextmanager
def _begin(database: Path) -> Iterator[Path]:
    """Give the name of a file beside the tracker, in a folder that goes away with all that is left in it."""
    folder = database.with_name(f".restore-{uuid.uuid4().hex}")
    folder.mkdir(parents=True)
    try:
        yield folder / DATABASE
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _claim(store: BlobStore, owner: str) -> None:
    if not claim_for(store, owner):
        raise TrackerUnusableError(
            f"{store.folder} keeps the files of another tracker: restore into another data folder (--to), or move "
            "that folder away"
        )


def _swap(fresh: Path, database: Path) -> Path | None:
    if not database.exists():
        fresh.replace(database)
        sync_folder(database.parent)
        return None
    aside = database.with_name(f"{database.name}.before-restore-{to_datetime(now_ms()):%Y%m%dT%H%M%S%f}")
    if is_sound(database):
        with exclusively(database):
            _put_in_place(fresh, database, aside)
    else:  # what is no database cannot say who has it open
        log.warning("what is there is no sound database; it is put aside as it is", path=str(database))
        for suffix in ("-wal", "-shm"):
            beside = database.with_name(database.name + suffix)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + suffix))
        _put_in_place(fresh, database, aside)
    return aside


def _put_in_place(fresh: Path, database: Path, aside: Path) -> None:
    try:
        os.link(database, aside)  # so that there is a tracker at every moment
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}:
            raise
        database.rename(aside)
    fresh.replace(database)
    sync_folder(database.parent)


@contextmanager
def _no_room_is_told(database: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise TrackerFullError(f"no room left beside {database}; all is as it was") from error
        raise
