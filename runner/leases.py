"""Keep what this process has claimed: a thread that renews its leases for as long as the work takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from pipeline.errors import CeleriacError
from tracker.connection import Connection, open_db

log = structlog.get_logger(__name__)

RENEW_EVERY_SECONDS = 10.0
"""A third of a lease: two renewals may fail before it is lost."""

Renew = Callable[[Connection], bool]
"""Renews one lease; False when nobody waits for its result any more: it is lost, or its work is cancelled."""


@dataclass(eq=False, slots=True)
class Held:
    """One claim that is kept. `lost` is set when somebody else owns it, or wants it to stop."""

    renew: Renew
    name: str
    lost: threading.Event = field(default_factory=threading.Event)


class LeaseKeeper:
    """Renews every held lease from one thread, on a connection of its own. One for each process."""

    def __init__(self, db_path: str, every_seconds: float = RENEW_EVERY_SECONDS) -> None:
        self._db_path, self._every_seconds = db_path, every_seconds
        self._held: set[Held] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(self, name: str, renew: Renew) -> Iterator[Held]:
        """Keep a lease while the block runs."""
        held = Held(renew, name)
        with self._lock:
            self._held.add(held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)
                self._thread.start()
        try:
            yield held
        finally:
            with self._lock:
                self._held.discard(held)

    def _keep(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._every_seconds):
            with self._lock:
                held = list(self._held)
            if held:
                self._renew(held)

    def _renew(self, held: list[Held]) -> None:
        try:
            with open_db(self._db_path) as conn:
                for one in held:
                    if not one.renew(conn):
                        one.lost.set()
        except Exception as error:  # noqa: BLE001 - the next round tries again; a lease outlasts three of them
            level = "warning" if isinstance(error, CeleriacError) else "error"
            getattr(log, level)(
                "leases were not renewed", error=str(error), stages=[one.name for one in held]
            )
