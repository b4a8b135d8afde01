"""What the runner asks of whoever carries its messages; the Celery side is in `tasks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.jobspec import JobSpec
    from tracker.dispatch import Message


class Publisher(Protocol):
    """
    Carries messages to workers.

    Each method raises `BrokerUnavailableError` when the broker does not take them; then none counts as sent.
    """

    def publish_stages(self, job: JobSpec, messages: Sequence[Message]) -> None:
        """Send one message for each stage, in this order."""

    def publish_discovery(self, job_id: str, *, run_id: int | None = None, scheduled: bool = False) -> None:
        """Ask a worker to discover a job: to resume a run, for the present slot, or by hand."""

    def has_waiting_messages(self) -> bool:
        """Tell whether any queue holds a message that no worker has fetched."""
