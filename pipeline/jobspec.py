"""
The shape of a job in jobs.yaml as typed, frozen models: its discovery, its stages, and what goes for all of it.

`${NAME}` in parameters stays as it is here; `pipeline.variables` resolves it where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from pipeline.breaker import BreakerSpec
from pipeline.budget import BudgetSpec
from pipeline.catalog import find_nearest
from pipeline.errors import NotFoundError
from pipeline.fields import (
    Batch,
    Concurrency,
    Count,
    Flag,
    KeyField,
    Name,
    Needs,
    OlderResults,
    Priority,
    Queue,
    RateField,
    Retries,
    ScheduleField,
    Seconds,
    Share,
    SinceField,
)
from pipeline.notify import NotifySpec
from pipeline.on_change import OnChange
from pipeline.on_schedule import OnSchedule
from pipeline.problems import InvalidValueError
from pipeline.shorthand import name_stage, split_discovery
from pipeline.spec import Spec
from pipeline.stage_graph import find_graph_problems, resolve_needs

OWN_QUEUES = ("celery", "tracker")
"""The queues that the workers beside the tracker keep for themselves."""


class DiscoverySpec(Spec):
    """How a job finds its items. In the file, its parameters stand beside `strategy`."""

    strategy: str = Field(
        min_length=1, description="A strategy's short name, or a class as `package.module:Class`."
    )
    params: Mapping[str, Any] = Field(default_factory=dict, description="The strategy's own parameters.")

    @model_validator(mode="before")
    @classmethod
    def _gather_params(cls, value: Any) -> Any:
        return split_discovery(value)


class StageSpec(Spec):
    """One step for each item of a job. A bare word in the file is a handler, and the stage's name too."""

    name: Name = Field(description="The stage's name; without it, the handler's short name.")
    handler: str = Field(
        min_length=1, description="A short name or `package.module:Class`; without it, `name`."
    )
    needs: Needs = Field(
        (), description="The stages that must be done or skipped before; without it, the one before."
    )
    params: Mapping[str, Any] = Field(default_factory=dict, description="The handler's own parameters.")
    retries: Retries = Field(3, description="How many more attempts follow an unexpected failure.")
    backoff: Seconds = Field(
        30.0, description="The wait before the first retry; each later one is twice as long."
    )
    timeout: Seconds = Field(
        600.0, description="How long one attempt may take; some handlers have a default of their own."
    )
    concurrency: Concurrency | None = Field(
        None, description="How many may run at once, on all workers together."
    )
    rate: RateField | None = Field(None, description="How many may start in a time, on all workers together.")
    batch: Batch | None = Field(
        None, description="Up to so many items are worked on together, by one task; for a handler that can."
    )
    keep: OlderResults = Field(
        3, description="How many older results of each item are kept when a new one replaces them."
    )
    queue: Queue = Field("celery", description="The Celery queue its messages go to.")
    enabled: Flag = Field(default=True, description="Off: the stage is skipped, and what needs it goes on.")
    remote: Flag = Field(
        default=False, description="On: runs on workers that cannot open the tracker's file."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_names(cls, value: Any) -> Any:
        return name_stage(value)


class JobEntry(Spec):
    """One entry of jobs.yaml as it stands below its key."""

    title: str = Field("", description="What people read; without it, the name.")
    enabled: Flag = Field(
        default=True, description="Off: nothing is discovered or run; what is recorded stays."
    )
    discovery: DiscoverySpec = Field(description="How the job finds its items.")
    schedule: ScheduleField | None = Field(
        None, description="When it looks for items; without it, only when asked."
    )
    priority: Priority = Field(0, description="Its items' priority; higher goes first.")
    key: KeyField | None = Field(
        None, description="A template for its items' keys, when the strategy's own are not wanted."
    )
    since: SinceField | None = Field(
        None, description="Leave out what was published or modified before: a span such as 30d, or a date."
    )
    max_items: Count | None = Field(
        None, description="How many new items one look may let in; the rest wait for `celeriac approve`."
    )
    first_run_max: Count | None = Field(
        200, description="The same for the first look; null lets in all, also when a source grows wild."
    )
    max_waiting: Count | None = Field(
        None, description="Above so many unfinished items, looking for more is left out."
    )
    on_change: OnChange = Field(
        OnChange.IGNORE, description="What a known key with new data means: ignore, merge or reprocess."
    )
    on_schedule: OnSchedule = Field(
        OnSchedule.HOLD, description="What discovery does while the job is paused: hold, skip or queue."
    )
    breaker: BreakerSpec | None = Field(
        None, description="How many failures in a row pause the job; null: none, whatever `defaults` say."
    )
    budget: BudgetSpec | None = Field(
        None, description="What it may spend: a day, an item, in all; what would go beyond waits."
    )
    backfill_share: Share = Field(
        0.25, description="How much of what is sent may be work asked for again, while fresh items wait."
    )
    notify: NotifySpec | None = Field(
        None, description="Whom to tell when something is wrong; without it as for all jobs, null: nobody."
    )
    search: Flag = Field(
        default=True, description="Off: what its items and results say is not in the full text search."
    )
    stages: tuple[StageSpec, ...] = Field(min_length=1, description="What each item goes through.")


class JobSpec(JobEntry):
    """One entry of jobs.yaml, with its key as `name`."""

    name: Name = Field(description="The job's key in the file.")

    @field_validator("stages")
    @classmethod
    def _check_remote(cls, stages: tuple[StageSpec, ...]) -> tuple[StageSpec, ...]:
        for position, stage in enumerate(stages):
            if stage.remote and stage.batch is not None:
                raise InvalidValueError(
                    "a remote stage works on one item at a time", "no `batch`", (position, "batch")
                )
            if stage.remote and stage.queue in OWN_QUEUES:
                raise InvalidValueError(
                    f"a remote stage cannot share the queue {stage.queue!r} with the workers beside the tracker",
                    "a `queue:` of its own, which remote workers serve",
                    (position, "queue"),
                )
        return stages

    @field_validator("stages")
    @classmethod
    def _check_graph(cls, stages: tuple[StageSpec, ...]) -> tuple[StageSpec, ...]:
        given = [stage.needs if "needs" in stage.model_fields_set else None for stage in stages]
        needs = resolve_needs([stage.name for stage in stages], given)
        linked = tuple(
            stage.model_copy(update={"needs": need}) for stage, need in zip(stages, needs, strict=True)
        )
        for problem in find_graph_problems([(stage.name, stage.needs) for stage in linked]):
            raise InvalidValueError(problem.message, problem.allowed, problem.path[1:])
        return linked

    def ancestors(self, name: str) -> frozenset[str]:
        """Name the stages that this one needs, at any distance. Raises `NotFoundError`."""
        needs = self.stage(name).needs
        return frozenset(needs).union(*(self.ancestors(need) for need in needs))

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The names in the order of the file."""
        return tuple(stage.name for stage in self.stages)

    @property
    def roots(self) -> tuple[str, ...]:
        """The stages with which an item begins: those switched on that need none that is."""
        on = {stage.name for stage in self.stages if stage.enabled}
        return tuple(stage.name for stage in self.stages if stage.name in on and on.isdisjoint(stage.needs))

    def stage(self, name: str) -> StageSpec:
        """Get a stage by its name. Raises `NotFoundError`."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise NotFoundError(
            f"stage of job {self.name!r} named", name, find_nearest(name, list(self.stage_names))
        )

    def children(self, name: str) -> tuple[str, ...]:
        """List the stages that need this one, directly. Raises `NotFoundError`."""
        needed = self.stage(name).name
        return tuple(stage.name for stage in self.stages if needed in stage.needs)
