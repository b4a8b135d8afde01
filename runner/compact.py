"""Compact the tracker because somebody asks."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from tracker.compacting import Compacted, compact
from tracker.connection import open_db, write
from tracker.events import append_event

if TYPE_CHECKING:
    from pathlib import Path


def compact_tracker(path: Path, by: str) -> Compacted:
    """Compact the tracker as far as can be; one event. Raises `TrackerFullError` when there is no room for it."""
    done = compact(path)
    with open_db(path) as conn, write(conn):
        append_event(conn, None, "compact", None, None, None, by, asdict(done))
    return done
