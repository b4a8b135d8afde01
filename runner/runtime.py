"""What one process needs to run jobs, each made when first asked for, and never carried across a fork."""

from __future__ import annotations

import os
import socket
import threading
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, BinaryIO

from discovery.base import Access, ItemPage, Recalled
from net.client import PoliteClient
from net.guard import Guard
from net.host_rates import HostRate, find_host_rate
from net.memory_manners import MemoryManners
from pipeline.errors import (
    BrokerUnavailableError,
    JobsFileError,
    NotFoundError,
    SourceRejectedError,
    TrackerUnusableError,
)
from pipeline.jobs_file import JobsWatch
from pipeline.redaction import KNOWN
from runner.context import RunContext
from runner.far_cache import ArtifactCache
from runner.far_dashboard import FarDashboard
from runner.far_desk import Afar
from runner.far_manners import FarManners
from runner.known import require_job
from runner.leases import LeaseKeeper
from runner.manners import TrackerManners
from runner.pace import Pace
from runner.prepared import Prepared, prepare
from runner.stage_changes import describe_plan
from tracker.blobs import BlobStore
from tracker.connection import Connection, open_raw_db, open_readonly
from tracker.foreign_files import read_foreign
from tracker.item_pages import read_item_page
from tracker.pauses import list_domains
from tracker.plan import find_plan, is_remembered
from tracker.sources import read_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from discovery.memory import Receive
    from net.manners import Manners
    from pipeline.breaker import BreakerSpec
    from pipeline.filespec import JobsFile
    from pipeline.jobspec import JobSpec
    from pipeline.settings import Settings
    from runner.clock_steps import ClockSteps
    from runner.publishing import Publisher
    from tracker.plan import StagePlan


HOST = socket.gethostname()

HANDLER_PATIENCE_SECONDS, DISCOVERY_PATIENCE_SECONDS = 10.0, 300.0
"""How long a turn at a host is waited for. A stage that is told to come later frees its worker for another."""


def name_process(pid: int | None = None) -> str:
    """Name a process of this host, or this one, as the tracker's `worker` and `by` do: `host:pid`."""
    return f"{HOST}:{os.getpid() if pid is None else pid}"


class _Local(threading.local):
    """What belongs to one thread of one process."""

    pid: int = 0
    tracker: Connection | None = None


class Runtime:
    """
    What one process needs to run jobs.

    `timeout_error` is what the host of the process raises when a stage's time is up; `stop_errors` are what
    it raises to end the process, and are no failures of a stage; `is_stopping` tells whether that is to end once what
    runs has ended. With `is_far` it can open neither the tracker's file nor jobs.yaml, even if there are some here: it
    runs remote stages alone. `stdin` is for whoever starts a discovery in this process to set: what somebody pipes in.
    """

    stdin: BinaryIO | None = None
    clock_steps: ClockSteps | None = None

    def __init__(
        self,
        settings: Settings,
        publisher: Publisher | None,
        *,
        run: RunContext | None = None,
        timeout_error: type[BaseException] = TimeoutError,
        stop_errors: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
        is_stopping: Callable[[], bool] = lambda: False,
        is_far: bool = False,
    ) -> None:
        self.settings, self._publisher, self.run = settings, publisher, run or RunContext()
        self.timeout_error, self.stop_errors, self.is_far = timeout_error, stop_errors, is_far
        self.is_stopping = is_stopping
        self.watch = JobsWatch(settings.jobs)
        self.pace = Pace()
        self._local = _Local()
        self._prepared: dict[tuple[str, str, str], Prepared] = {}
        self._plans: dict[tuple[str, str], StagePlan] = {}
        self._in_force: dict[str, JobsFile] = {}
        self.told_held: set[tuple[str, str]] = set()
        self._keeper: tuple[int, LeaseKeeper] | None = None

    @property
    def has_publisher(self) -> bool:
        """Tell whether there is somebody to carry messages to workers."""
        return self._publisher is not None

    @property
    def publisher(self) -> Publisher:
        """Whoever carries messages to workers. Raises `BrokerUnavailableError` in a process that has none."""
        if self._publisher is None:
            raise BrokerUnavailableError("this process has no broker to send to")
        return self._publisher

    @property
    def jobs(self) -> JobsFile:
        """The jobs.yaml in force. Raises `JobsFileError`."""
        if self.is_far:
            raise JobsFileError("a worker far from the tracker has no jobs.yaml")
        return self.watch.current()

    @property
    def tracker(self) -> Connection:
        """This thread's connection, opened on first use, after any fork. Raises `TrackerUnusableError`."""
        if self.is_far:
            raise TrackerUnusableError(
                "this worker runs remote stages alone; give it only their queues: celeriac worker --remote --queues …"
            )
        local = self._local
        if local.tracker is None or local.pid != os.getpid():
            local.tracker, local.pid = open_raw_db(self.settings.db_path), os.getpid()
        return local.tracker

    def close(self) -> None:
        """Close this thread's connection."""
        if self._local.tracker is not None and self._local.pid == os.getpid():
            self._local.tracker.close()
        self._local.tracker = None

    @property
    def leases(self) -> LeaseKeeper:
        """This process's lease keeper."""
        if self._keeper is None or self._keeper[0] != os.getpid():
            self._keeper = os.getpid(), LeaseKeeper(str(self.settings.db_path))
        return self._keeper[1]

    @property
    def worker(self) -> str:
        """This process's name in the tracker."""
        return name_process()

    @cached_property
    def artifacts(self) -> BlobStore:
        """Where handlers' files are kept."""
        return BlobStore(self.settings.artifacts_path)

    @cached_property
    def http(self) -> PoliteClient:
        """The HTTP client that all handlers of this process share."""
        return self._make_client(self._manners, HANDLER_PATIENCE_SECONDS)

    @cached_property
    def discovery_http(self) -> PoliteClient:
        """The HTTP client that all strategies of this process share: it waits longer for its turn at a host."""
        return self._make_client(self._manners, DISCOVERY_PATIENCE_SECONDS)

    @cached_property
    def remote_http(self) -> PoliteClient:
        """The HTTP client of a process that cannot open the file: its manners are its own, but for pauses of hosts."""
        dashboard = self.afar.dashboard
        manners = MemoryManners() if dashboard is None else FarManners(dashboard.find_pause)
        return self._make_client(manners, HANDLER_PATIENCE_SECONDS)

    @cached_property
    def afar(self) -> Afar:
        """What a process that cannot open the tracker's file has in its place."""
        settings = self.settings
        cache = ArtifactCache(settings.data / "far", settings.cache_mb * 1024 * 1024)
        if settings.dashboard_url is None or settings.token is None:
            return Afar(cache)
        token = settings.token.get_secret_value()
        KNOWN.learn("CELERIAC_TOKEN", token, is_secret=True)
        http = PoliteClient(contact=settings.contact, allow_hosts=settings.allow_hosts)
        there = FarDashboard(http, settings.dashboard_url, token, is_stopping=self.is_stopping)
        return Afar(cache, there)

    def _make_client(self, manners: Manners, patience_seconds: float) -> PoliteClient:
        return PoliteClient(
            contact=self.settings.contact,
            allow_hosts=self.settings.allow_hosts,
            manners=manners,
            find_rate=self._find_rate,
            patience_seconds=patience_seconds,
        )

    @cached_property
    def _manners(self) -> Manners:
        if self.run.is_dry_run:  # writes nothing
            return MemoryManners()
        return TrackerManners(lambda: self.tracker, lambda: self.worker, self._find_breaker)

    def _find_breaker(self, host: str) -> tuple[str, BreakerSpec] | None:
        """Find the breaker of a host, or of the nearest domain that it is in, with the name that it goes by."""
        breakers = self.jobs.host_breakers
        return next(((name, breakers[name]) for name in list_domains(host) if name in breakers), None)

    def _find_rate(self, host: str) -> HostRate:
        try:
            rates = self.jobs.host_rates
        except JobsFileError:  # a process far from the file has no jobs.yaml
            rates = {}
        return find_host_rate(host, rates)

    def access(self, job: JobSpec, receive: Receive | None = None) -> Access:
        """Give a strategy of a job what it may reach; `receive` takes the items that it finds."""
        return Access(
            http=self.discovery_http,
            read_items=self._read_items,
            job=job.name,
            since=job.since.instant() if job.since else None,
            wanted=(str(job.since),) if job.since else (),
            recall=partial(self._recall, job.name),
            receive=receive,
            read_rows=read_foreign,
            guard=Guard.allowing(self.settings.allow_hosts),
            stdin=self.stdin,
        )

    def _recall(self, job_id: str, source: str) -> Recalled:
        known = read_memory(self.tracker, job_id, source)
        return Recalled(known.cursor, known.etag, known.last_modified)

    def _read_items(
        self, job_id: str, *, stage: str | None, status: str | None, after: Any, limit: int
    ) -> ItemPage:
        with open_readonly(self.settings.db_path) as conn:
            try:
                require_job(conn, job_id, lambda: self.jobs)
            except NotFoundError as error:
                raise SourceRejectedError(str(error)) from None
            page = read_item_page(conn, job_id, stage=stage, status=status, after=after, limit=limit)
        return ItemPage(page.items, page.position, page.is_last)

    def plan(self, job: JobSpec) -> StagePlan:
        """Give the order of a job's stages, made once for each version of jobs.yaml."""
        key = self.jobs.digest, job.name
        if key not in self._plans:
            self._plans[key] = describe_plan(job)
        return self._plans[key]

    def plan_in_force(self, job: JobSpec) -> StagePlan:
        """
        Give the order of stages that a job's items follow: that of jobs.yaml, unless it waits for `celeriac apply`.

        While it waits the tracker is asked each time; from then on it is remembered that it was applied, until
        jobs.yaml is read anew: what it has then may be an older list, which the items have left.
        """
        jobs, plan = self.jobs, self.plan(job)
        if self._in_force.get(job.name) is jobs:
            return plan
        known = find_plan(self.tracker, job.name)
        if known is None:
            return plan
        if is_remembered(self.tracker, job.name, plan):
            self._in_force[job.name] = jobs
            return plan
        return known

    def prepare(self, job: JobSpec, stage: str) -> Prepared:
        """
        Make a stage's handler, once for each version of jobs.yaml.

        Raises `NotFoundError` for a stage that jobs.yaml has not, and what making the handler raises.
        """
        key = self.jobs.digest, job.name, stage
        if key not in self._prepared:
            self._prepared[key] = prepare(job, stage, self.settings.data)
        return self._prepared[key]
