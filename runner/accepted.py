"""
The jobs.yaml that running processes have accepted, noted in the tracker.

By it a command that only reads need not import every strategy and handler to know that the file is in order.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracker.notes import find_note, set_note

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pipeline.filespec import JobsFile
    from tracker.connection import Connection

NOTE = "jobs_file"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A file that was accepted, by its digest; and the jobs of it that cannot run where it was."""

    digest: str
    unavailable: Collection[str]


def note_accepted(conn: Connection, jobs: JobsFile) -> None:
    """Note the file in force. Writes nothing if it is noted already. Commits."""
    note = json.dumps({"digest": jobs.digest, "unavailable": sorted(jobs.unavailable)})
    if find_note(conn, NOTE) != note:
        set_note(conn, NOTE, note)


def find_accepted(conn: Connection, path: Path) -> Accepted | None:
    """Find whether the file at a path, as it is now, was accepted."""
    note = find_note(conn, NOTE)
    if note is None:
        return None
    known = Accepted(**json.loads(note))
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # whoever reads it next says so
        return None
    return known if digest.startswith(known.digest) else None
