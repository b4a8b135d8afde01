"""The desk of an attempt beside the tracker: what its handler keeps, remembers and tells, on record at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from handlers.contract import find_json_fault
from handlers.desk import read_pointer, write_pointer
from pipeline.errors import HandlerContractError, TrackerFullError
from pipeline.outcomes import RetryLaterError
from pipeline.redaction import KNOWN
from runner.judge import as_text
from runner.room import wait_for_room
from tracker import answers, artifacts, fingerprints, progress
from tracker.foreign_tables import upsert_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from handlers.desk import Content, Folder, Pointer, Scalar
    from runner.runtime import Runtime
    from tracker.artifacts import Holder
    from tracker.connection import Connection

log = structlog.get_logger(__name__)

TELL_EVERY_SECONDS = 0.5


class TrackerDesk:
    """
    What stands behind a handler's context where the tracker's file can be opened.

    It opens and writes nothing until it is asked for something.
    """

    def __init__(self, runtime: Runtime, holder: Holder) -> None:
        self._runtime, self._holder = runtime, holder
        self._held: set[str] = set()
        self._told_at = float("-inf")
        self._untold: tuple[float, float | None, str] | None = None

    # -- progress -----------------------------------------------------------------------------------------

    def tell_progress(self, done: float, total: float | None, note: str) -> None:
        """Show how far the attempt is, at most twice a second; the renewal of its lease shows what that left out."""
        self._untold = done, total, note
        if time.monotonic() - self._told_at >= TELL_EVERY_SECONDS:
            self.tell_untold(self._runtime.tracker)

    def tell_untold(self, conn: Connection) -> None:
        """Show what was not shown yet, if anything, over this connection."""
        untold, self._untold = self._untold, None
        if untold is None:
            return
        self._told_at = time.monotonic()
        done, total, note = untold
        holder = self._holder
        try:
            progress.tell_progress(
                conn,
                holder.item_id,
                holder.stage,
                holder.attempt,
                done=float(done),
                total=None if total is None else float(total),
                note=as_text(note),
            )
        except TrackerFullError as error:  # nothing depends on it
            log.warning("progress cannot be shown", error=str(error))

    # -- artifacts ----------------------------------------------------------------------------------------

    def keep(self, name: str, content: Content, content_type: str | None) -> Pointer:
        """
        Keep a file, which from now on is held until the attempt ends, and then by what refers to it.

        When the disk is full the attempt is to come again in a minute, which uses no retry.
        """
        runtime, called = self._runtime, as_text(name)
        try:
            blob = artifacts.keep(
                runtime.tracker, runtime.artifacts, self._holder, content, called, content_type
            )
        except TrackerFullError as error:
            raise RetryLaterError(f"{error}; retry in 1m") from error
        self._held.add(blob.sha256)
        return write_pointer(blob.sha256, called, blob.size, content_type)

    def find(self, pointer: Mapping[str, Any]) -> Path:
        """Find a kept file, which from now on is held until the attempt ends."""
        sha256, size = read_pointer(pointer)
        if sha256 not in self._held:
            wait_for_room(lambda: artifacts.hold(self._runtime.tracker, self._holder, sha256))
            self._held.add(sha256)
        return self._runtime.artifacts.verify(sha256, size)

    # -- answers and twins --------------------------------------------------------------------------------

    def recall(self, key: str) -> Any:
        """Recall what was remembered, or None."""
        return answers.recall(self._runtime.tracker, as_text(key))

    def remember(self, key: str, value: Any) -> None:
        """Remember JSON at once. Raises `HandlerContractError` for what is none."""
        if (fault := find_json_fault(value)) is not None:
            raise HandlerContractError(f"what is to be remembered is not JSON: {fault}")
        wait_for_room(lambda: answers.remember(self._runtime.tracker, as_text(key), KNOWN.hide_in(value)))

    def find_twin(self, fingerprint: int, distance: int) -> str | None:
        """Note the item's fingerprint, and find the nearest of an earlier item."""
        holder = self._holder
        return wait_for_room(
            lambda: fingerprints.find_twin(
                self._runtime.tracker, holder.item_id, holder.stage, fingerprint, distance
            )
        )

    # -- what people keep ---------------------------------------------------------------------------------

    def find_folder(self, name: Folder) -> Path:
        """Find a folder of the data folder, made if need be."""
        folder = self._runtime.settings.data / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def upsert_row(
        self, database: Path, table: str, row: Mapping[str, Scalar], key: Sequence[str], *, make: bool
    ) -> None:
        """Put a row into a table of a user's own SQLite file."""
        upsert_row(database, table, row, key, make=make)
