"""What a check-up looks at, each part read when it is first asked for; and how a check says what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pipeline.errors import JobsFileError
from pipeline.jobs_file import load_jobs_file
from pipeline.jobspec import OWN_QUEUES
from runner.broker import find_broker_url
from runner.broker_checks import ask_broker
from tracker.blobs import BlobStore
from tracker.doctor import read_flow
from tracker.reports import list_job_names
from tracker.workers import list_workers

if TYPE_CHECKING:
    from pipeline.errors import TrackerUnusableError
    from pipeline.filespec import JobsFile
    from pipeline.settings import Settings
    from runner.broker_checks import BrokerReport
    from tracker.connection import Connection
    from tracker.doctor import Flow
    from tracker.workers import WorkerReport

Health = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: in one line of words, and what to do. `mend` names what `--repair` does about it."""

    check: str
    health: Health
    words: str
    do: str = ""
    mend: str | None = None


@dataclass
class Patient:
    """The house as it is. `conn` is None when the tracker cannot be opened, for what `unusable` says."""

    settings: Settings
    conn: Connection | None
    unusable: TrackerUnusableError | None = None
    full: bool = False
    refusal: str | None = field(default=None, init=False)

    @cached_property
    def jobs(self) -> JobsFile | None:
        """The jobs file, or None with why it is refused in `refusal`."""
        try:
            return load_jobs_file(self.settings.jobs)
        except JobsFileError as error:
            self.refusal = str(error)
            return None

    @property
    def tracker(self) -> Connection:
        """The tracker; only checks that need one ask for it."""
        if self.conn is None:
            raise RuntimeError(str(self.unusable) if self.unusable else "there is no tracker")
        return self.conn

    @cached_property
    def broker_url(self) -> str:
        """The broker in use."""
        return find_broker_url(self.settings)

    @cached_property
    def broker(self) -> BrokerReport | str:
        """What the broker says of itself, or why it does not answer."""
        return ask_broker(self.broker_url, sorted({*OWN_QUEUES, *(self.jobs.queues if self.jobs else ())}))

    @cached_property
    def workers(self) -> list[WorkerReport]:
        """The workers that have said that they live."""
        return list_workers(self.tracker)

    @cached_property
    def flow(self) -> Flow:
        """What has been left lying."""
        return read_flow(self.tracker)

    @cached_property
    def job_names(self) -> list[str]:
        """The jobs that the tracker knows."""
        return list_job_names(self.tracker)

    @cached_property
    def store(self) -> BlobStore:
        """Where handlers' files are kept."""
        return BlobStore(self.settings.artifacts_path)
