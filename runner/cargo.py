"""What a remote stage's message carries, because its worker cannot open the tracker's file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from tracker.items import read_data
from tracker.results import read_results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.jobspec import JobSpec
    from tracker.connection import Connection
    from tracker.dispatch import Message


class Cargo(TypedDict):
    """What a remote attempt needs. The parameters are as in jobs.yaml: variables are resolved where it runs."""

    job: str
    key: str
    data: dict[str, Any]
    results: dict[str, dict[str, Any]]
    handler: str
    params: dict[str, Any]
    timeout_seconds: float


def load_cargo(conn: Connection, job: JobSpec, messages: Sequence[Message]) -> list[Message]:
    """Put into the messages of remote stages what these need; the others stay as they are."""
    remote = {stage.name for stage in job.stages if stage.remote}
    return [_load(conn, job, one) if one.stage in remote else one for one in messages]


def _load(conn: Connection, job: JobSpec, message: Message) -> Message:
    spec = job.stage(message.stage)
    cargo = Cargo(
        job=job.name,
        key=message.key,
        data=read_data(conn, message.item_id),
        results=read_results(conn, message.item_id, spec.needs),
        handler=spec.handler,
        params=dict(spec.params),
        timeout_seconds=spec.timeout,
    )
    return replace(message, cargo=cargo)
