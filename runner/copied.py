"""A copy of the tracker and its files, for a run that is thrown away."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.settings import variable_name
from runner.backup_files import copy_used
from tracker.blobs import BlobStore
from tracker.copying import Tell, copy_database, tell_nobody

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.settings import Settings


@contextmanager
def on_a_copy(settings: Settings, tell: Tell = tell_nobody) -> Iterator[Settings]:
    """
    Work on a copy of the tracker, of one moment, with its artifacts by hard link or copied; it goes away at the end.

    Within the block the environment names the copy, for this process and those it starts, so that `${CELERIAC_DATA}`
    does as well. The copy is in the system's folder for temporary files. Raises `TrackerFullError` without room.
    """
    with TemporaryDirectory(prefix="celeriac-test-") as name:
        own = settings.model_copy(update={"data": Path(name), "db": Path(name) / "tracker.db"})
        _copy(settings, own, tell)
        with _environment({variable_name("data"): name, variable_name("db"): str(own.db_path)}):
            yield own


def _copy(settings: Settings, own: Settings, tell: Tell) -> None:
    if not settings.db_path.exists():
        return
    store = BlobStore(settings.artifacts_path)
    if not store.folder.is_dir():
        copy_database(settings.db_path, own.db_path, tell)
        return
    with store.hold_still():
        copy_database(settings.db_path, own.db_path, tell)
        copy_used(own.db_path, store, BlobStore(own.artifacts_path), tell)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
