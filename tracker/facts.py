"""What is known of a job, and of one item of it, when somebody asks why it does not move; see `tracker.explain`."""

from __future__ import annotations

from dataclasses import dataclass

from tracker.spending import StageCost


@dataclass(frozen=True, slots=True)
class Paused:
    """A pause in force that may hold the job; what does not apply to its scope is the empty text."""

    scope: str
    stage: str
    host: str
    cause: str
    reason: str
    by: str
    since_at: int
    until_at: int | None
    probes_left: int


@dataclass(frozen=True, slots=True)
class Serving:
    """One worker: its processes, its queues, and when it last said that it lives. A scoped one serves but one run."""

    name: str
    host: str
    pid: int
    processes: list[int]
    queues: list[str]
    is_scoped: int
    seen_at: int


@dataclass(frozen=True, slots=True)
class Held:
    """A budget that is reached, of the job or of everything (`*`)."""

    job: str
    cap: str
    usd: float
    until_at: int | None


@dataclass(frozen=True, slots=True)
class SlowHost:
    """A host that asked to slow down: nobody asks it before then."""

    host: str
    slowed_until: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class StageCounts:
    """
    One stage of the job, counted. Of the pending ones some are with the broker (`queued`, or `countdown` until their
    time), `blocked` by what they need, or `parked`; the others are ready, and of these some `over_budget`.

    If the stage has a `batch`, they are on their way, or run, in so many loads: `loads_queued`, `loads_running`.

    `free_us` is from when on its rate lets the next go; `expected_usd` what an attempt costs on the average, by so many
    `known_costs`. It `has_costs` if one ever reported any, and so many attempts ever `finished`.
    """

    stage: str
    pending: int = 0
    running: int = 0
    failed: int = 0
    queued: int = 0
    countdown: int = 0
    blocked: int = 0
    parked: int = 0
    over_budget: int = 0
    loads_queued: int = 0
    loads_running: int = 0
    free_us: int | None = None
    expected_usd: float | None = None
    known_costs: int = 0
    has_costs: int = 0
    finished: int = 0

    @property
    def cost(self) -> StageCost | None:
        """Give what its attempts cost so far; None if none ever reported any."""
        return StageCost(self.expected_usd, self.known_costs) if self.has_costs else None

    @property
    def ready(self) -> int:
        """Count those that could be sent."""
        return max(0, self.pending - self.queued - self.countdown - self.blocked - self.parked)


@dataclass(frozen=True, slots=True)
class Since:
    """Of a stage, what has been running, or on its way, for longest."""

    stage: str
    since_at: int
    worker: str | None = None
    leased_until: int | None = None
    resend_at: int | None = None


@dataclass(frozen=True, slots=True)
class NextRetry:
    """The stage that waits for the earliest time, and why; the paused host that it waits for, if it does."""

    stage: str
    retry_at: int
    reason: str | None
    waits_for_host: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Of a stage, the group of failures that are alike with which most are failed now, and how many."""

    stage: str
    name: str
    error_type: str
    signature: str
    failed: int


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """The job's items: all, those without stage rows yet, and besides them those that wait for approval."""

    total: int = 0
    unopened: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """The job's last discovery; `waits_for` is the paused host for which it does."""

    started_at: int
    ended_at: int | None
    leased_until: int | None
    outcome: str | None
    error: str | None
    retry_at: int | None
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class ItemFact:
    """The item as a whole."""

    item_id: int
    status: str
    host: str | None
    opened_at: int | None


@dataclass(frozen=True, slots=True)
class ItemStage:
    """
    Where the item is with one stage, and what is known of the attempt that runs or failed.

    So many stages are failed `alike` now, itself among them.
    """

    stage: str
    status: str
    attempt: int = 0
    needs_left: int = 0
    queued_at: int | None = None
    resend_at: int | None = None
    retry_at: int | None = None
    leased_until: int | None = None
    worker: str | None = None
    started_at: int | None = None
    reason: str | None = None
    backfill: int = 0
    over_budget: int = 0
    cancelled_by: str | None = None
    done: float | None = None
    total: float | None = None
    note: str | None = None
    error_type: str | None = None
    message: str | None = None
    signature: str | None = None
    failure_group: str | None = None
    alike: int = 0
    waits_for_host: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """
    All that the tracker knows of why a job, or one item of it, does not move. Instants are Unix milliseconds.

    The job was asked at `woken_at` to look for items, and has not been sent to do so yet. `is_anything_held` if a stage
    of any job runs whose lease is in force.
    """

    job: str
    key: str | None
    now: int
    pauses: list[Paused]
    workers: list[Serving]
    holds: list[Held]
    slow_hosts: list[SlowHost]
    stages: dict[str, StageCounts]
    needs: dict[str, list[str]]
    longest: dict[str, Since]
    sent: dict[str, Since]
    next_retry: NextRetry | None
    failures: dict[str, Failed]
    items: ItemCounts
    look: Look | None
    oldest_fresh_at: int | None
    woken_at: int | None
    swept_at: int | None
    ticked_at: int | None
    is_anything_held: bool
    is_changing: bool
    item: ItemFact | None
    held_at: int | None
    item_stages: list[ItemStage]

    @property
    def is_known(self) -> bool:
        """Tell whether the job has the item that was asked for."""
        return self.key is None or self.item is not None or self.held_at is not None
