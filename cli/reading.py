"""What the commands that read have in common: a read-only tracker, and names that must exist."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.jobs_file import JobsFile
    from runner.accepted import Accepted
    from tracker.connection import Connection


@contextmanager
def reading() -> Iterator[Connection]:
    """Open the tracker for reading; nothing can be changed through it."""
    from pipeline.settings import load_settings
    from tracker.connection import open_readonly

    with open_readonly(load_settings().db_path) as conn:
        yield conn


def read_jobs_file() -> tuple[JobsFile | None, str | None]:
    """Read jobs.yaml, or say why it is refused; reading the tracker goes on without it."""
    from pipeline.errors import JobsFileError
    from pipeline.jobs_file import load_jobs_file
    from pipeline.settings import load_settings

    path = load_settings().jobs
    try:
        if (accepted := _find_accepted(path)) is None:
            return load_jobs_file(path), None
        jobs = load_jobs_file(path, plugins=False)
        return jobs.model_copy(update={"unavailable": dict.fromkeys(accepted.unavailable, ())}), None
    except JobsFileError as error:
        return None, str(error)


def _find_accepted(path: Path) -> Accepted | None:
    from pipeline.errors import TrackerUnusableError
    from runner.accepted import find_accepted

    try:
        with reading() as conn:
            return find_accepted(conn, path)
    except TrackerUnusableError:  # whoever reads it next says so
        return None


def require_job(conn: Connection, job: str) -> None:
    """Raise `NotFoundError`, with the nearest name, for a job unknown to the tracker and to jobs.yaml."""
    from runner import known

    known.require_job(conn, job, _read_jobs)


def require_stage(conn: Connection, job: str, stage: str) -> None:
    """Raise `NotFoundError`, with the nearest name, for a stage unknown to the tracker and to jobs.yaml."""
    from runner import known

    known.require_stage(conn, job, stage, _read_jobs)


def require_stage_of_any(conn: Connection, stage: str) -> None:
    """Raise `NotFoundError`, with the nearest name, for a stage that no job has."""
    from runner import known

    known.require_stage_of_any(conn, stage, _read_jobs)


def _read_jobs() -> JobsFile | None:
    jobs, _ = read_jobs_file()
    return jobs


def require_key(conn: Connection, job: str, key: str) -> None:
    """Raise `NotFoundError`, with the nearest key, for an item that the job has not."""
    from tracker.items import get_item

    get_item(conn, job, key)
