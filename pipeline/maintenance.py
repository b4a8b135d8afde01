"""What the house does for itself, and when: backups, forgetting, collecting files, compacting."""

from __future__ import annotations

from pydantic import Field

from pipeline.fields import Age, Keep, ScheduleField
from pipeline.schedule import Schedule
from pipeline.spec import Spec

CHORES = ("retention", "artifacts", "compact", "backup")
"""The chores, in the order in which those that are due together are done: the backup has no use for the rest."""

LOOK_SECONDS = 60.0
"""How often somebody looks whether a chore is due."""

DAILY, WEEKLY = Schedule("@daily"), Schedule("@weekly")


class BackupSpec(Spec):
    """How often the tracker is backed up, and where to."""

    to: str = Field(
        "backups", min_length=1, description="A folder; one that is not absolute is in the data folder."
    )
    keep: Keep = Field(7, description="How many backups stay; older ones are removed.")
    schedule: ScheduleField = Field(DAILY, description="When.")


class RetentionSpec(Spec):
    """How long the tracker remembers what is over. Items, results that count and what waits always stay."""

    events: Age | None = Field(90 * 86_400.0, description="Events; null keeps all.")
    history: Age | None = Field(
        90 * 86_400.0,
        description="Earlier results, failures that were got over, logs of attempts, looks and closed notices.",
    )
    costs: Age | None = Field(None, description="Each cost; the sums that budgets need stay.")
    schedule: ScheduleField = Field(DAILY, description="When what is older is forgotten.")


class ArtifactsSpec(Spec):
    """When the files that nothing refers to are removed, as by `celeriac artifacts gc`."""

    schedule: ScheduleField = Field(WEEKLY, description="When.")


class CompactSpec(Spec):
    """When the tracker is compacted, as by `celeriac compact`."""

    schedule: ScheduleField = Field(WEEKLY, description="When.")


class MaintenanceSpec(Spec):
    """The chores; one that is not there is not done."""

    backup: BackupSpec | None = Field(None, description="Back the tracker up; see below.")
    retention: RetentionSpec | None = Field(None, description="Forget what is old; see below.")
    artifacts: ArtifactsSpec | None = Field(None, description="Remove the files that nothing refers to.")
    compact: CompactSpec | None = Field(None, description="Give back the room of what was forgotten.")

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The chores that are done, each with its schedule, in the order in which they are done."""
        return {name: spec.schedule for name in CHORES if (spec := getattr(self, name)) is not None}
