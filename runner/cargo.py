"""What a remote stage's message carries, because its worker cannot open the tracker's file."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from pipeline.versions import hash_input
from runner.big_results import is_moved
from runner.prepared import find_item_folder
from tracker.item_data import read_data_json
from tracker.results import read_results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.jobspec import JobSpec
    from runner.runtime import Runtime
    from tracker.dispatch import Message


class Cargo(TypedDict):
    """
    What a remote attempt needs. The parameters are as in jobs.yaml: variables are resolved where it runs.

    Of the stages `moved` the result is a pointer to the artifact that holds it, for the worker to fetch. `folder` is
    where the files are that the item may name, if any: for a worker that has it under the same path.
    """

    job: str
    key: str
    data: dict[str, Any]
    results: dict[str, dict[str, Any]]
    moved: list[str]
    input_hash: str
    handler: str
    params: dict[str, Any]
    timeout_seconds: float
    folder: str | None


def load_cargo(runtime: Runtime, job: JobSpec, messages: Sequence[Message]) -> list[Message]:
    """Put into the messages of remote stages what these need; the others stay as they are."""
    remote = {stage.name for stage in job.stages if stage.remote}
    return [_load(runtime, job, one) if one.stage in remote else one for one in messages]


def _load(runtime: Runtime, job: JobSpec, message: Message) -> Message:
    spec, folder = job.stage(message.stage), find_item_folder(job)
    data_json = read_data_json(runtime.tracker, message.item_id)
    needed = read_results(runtime.tracker, message.item_id, spec.needs)
    cargo = Cargo(
        job=job.name,
        key=message.key,
        data=json.loads(data_json),
        results={stage: known.result for stage, known in needed.items()},
        moved=[stage for stage, known in needed.items() if is_moved(known.result)],
        input_hash=hash_input(data_json, {stage: known.output_hash for stage, known in needed.items()}),
        handler=spec.handler,
        params=dict(spec.params),
        timeout_seconds=spec.timeout,
        folder=None if folder is None else str(folder),
    )
    return replace(message, cargo=cargo)
