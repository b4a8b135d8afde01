"""The shape of jobs.yaml as a whole, as typed, frozen models: as it is written, and as it is once it is in order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.breaker import BreakerSpec
from pipeline.budget import BudgetSpec
from pipeline.catalog import find_nearest
from pipeline.errors import NotFoundError
from pipeline.fields import (
    ApplyAbove,
    Concurrency,
    HostName,
    OlderResults,
    Priority,
    Queue,
    RateField,
    Retries,
    Seconds,
    Share,
    Timezone,
)
from pipeline.jobspec import JobSpec
from pipeline.maintenance import MaintenanceSpec
from pipeline.notify import NotifySpec
from pipeline.on_schedule import OnSchedule
from pipeline.problems import InvalidValueError, Problem
from pipeline.rate import Rate
from pipeline.spec import Spec


class Defaults(Spec):
    """Values for every stage and job of the file that does not say otherwise."""

    retries: Retries = Field(3, description="For each stage.")
    backoff: Seconds = Field(30.0, description="For each stage.")
    timeout: Seconds = Field(600.0, description="For each stage.")
    concurrency: Concurrency | None = Field(None, description="For each stage.")
    rate: RateField | None = Field(None, description="For each stage.")
    keep: OlderResults = Field(3, description="For each stage.")
    queue: Queue = Field("celery", description="For each stage.")
    priority: Priority = Field(0, description="For each job.")
    backfill_share: Share = Field(0.25, description="For each job.")
    breaker: BreakerSpec | None = Field(None, description="For each job.")
    on_schedule: OnSchedule = Field(OnSchedule.HOLD, description="For each job.")
    timezone: Timezone = Field(
        "UTC", description="For each cron schedule and budget that names no time zone."
    )


class HostSpec(Spec):
    """How one host, and those of its subdomains, may be asked."""

    rate: RateField | None = Field(
        None, description="How many requests in a time, by all jobs and workers together."
    )
    breaker: BreakerSpec | None = Field(None, description="How many failures in a row pause the host.")

    @model_validator(mode="after")
    def _check_says_something(self) -> Self:
        if self.rate is None and self.breaker is None:
            raise InvalidValueError("nothing is said of this host", "`rate`, `breaker` or both")
        return self


class JobsDocument(Spec):
    """The top of jobs.yaml, its jobs not yet looked into."""

    version: Literal[1] = Field(description="The version of the format.")
    defaults: Defaults = Field(default_factory=Defaults, description="Values for all stages and jobs.")
    hosts: Mapping[HostName, HostSpec] = Field(
        default_factory=dict, description="How often hosts may be asked, by their names."
    )
    budget: BudgetSpec | None = Field(None, description="What all jobs together may spend.")
    apply_above: ApplyAbove = Field(
        1000, description="A change of stages that touches more items than this waits for `celeriac apply`."
    )
    maintenance: MaintenanceSpec = Field(
        default_factory=MaintenanceSpec,
        description="What the house does for itself on a schedule; see below.",
    )
    notify: NotifySpec | None = Field(
        None, description="Whom to tell when something is wrong with any job; see below."
    )
    jobs: dict[str, Any] = Field(description="The jobs by name.")


class JobsFile(Spec):
    """A jobs.yaml that is in order."""

    version: Literal[1] = 1
    jobs: Mapping[str, JobSpec]
    digest: str
    """The first 16 hex digits of the SHA-256 of the file's bytes."""
    path: Path
    apply_above: int = 1000
    """How many items a change of stages may touch without `celeriac apply`."""
    budget: BudgetSpec | None = None
    """What all jobs together may spend."""
    host_rates: Mapping[str, Rate] = Field(default_factory=dict)
    """How often hosts may be asked, by the name of each, or of the domain that it is in."""
    host_breakers: Mapping[str, BreakerSpec] = Field(default_factory=dict)
    """When hosts that fail are paused, by the same names."""
    maintenance: MaintenanceSpec = Field(default_factory=MaintenanceSpec)
    """What the house does for itself."""
    notify: NotifySpec | None = None
    """Whom to tell when something is wrong with any job."""
    lacks: tuple[Problem, ...] = ()
    """What `notify` lacks on this machine as it is."""
    unavailable: Mapping[str, tuple[Problem, ...]] = Field(default_factory=dict)
    """The jobs that cannot run on this machine as it is: an extra is not installed, a variable is not set."""

    def get_job(self, name: str) -> JobSpec:
        """Get a job by its name. Raises `NotFoundError` with the nearest."""
        if name not in self.jobs:
            raise NotFoundError("job", name, find_nearest(name, sorted(self.jobs)))
        return self.jobs[name]

    def find_notify(self, name: str) -> NotifySpec | None:
        """Find whom to tell of a job, and of what: as it says itself, else as the file does."""
        job = self.jobs.get(name)
        return job.notify if job is not None and "notify" in job.model_fields_set else self.notify

    @property
    def enabled_jobs(self) -> tuple[JobSpec, ...]:
        """The jobs that are switched on and can run here, in the order of the file."""
        return tuple(job for job in self.jobs.values() if job.enabled and job.name not in self.unavailable)

    @property
    def remote_queues(self) -> frozenset[str]:
        """The queues of remote stages, which the workers beside the tracker leave alone."""
        stages = [stage for job in self.jobs.values() for stage in job.stages]
        return frozenset(stage.queue for stage in stages if stage.remote)

    @property
    def queues(self) -> tuple[str, ...]:
        """Every queue that a stage names, sorted."""
        return tuple(sorted({stage.queue for job in self.jobs.values() for stage in job.stages}))
