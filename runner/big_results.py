"""Big results: kept as artifacts, with a pointer in their place, and read back for the stages that need them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from handlers.desk import read_pointer, write_pointer
from pipeline.errors import TrackerUnusableError
from runner.judge import describe_error
from runner.room import wait_for_room
from tracker import artifacts
from tracker.endings import Ending
from tracker.results import NeededResult, read_results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from handlers.desk import Pointer
    from runner.runtime import Runtime
    from tracker.artifacts import Holder
    from tracker.connection import Connection

MAX_CHARS = 1024 * 1024
"""A result of more JSON than this is kept as an artifact: the tracker stays quick to read and to copy."""

PREVIEW_CHARS = 500
NAME, CONTENT_TYPE = "result.json", "application/vnd.celeriac.result+json"


def move_if_big(runtime: Runtime, holder: Holder, ending: Ending) -> Ending:
    """
    Keep a big result as an artifact, with a pointer in its place.

    The pointer has a `preview` of the JSON, and `holds`, the pointers within it. Waits on a full disk; where the
    folder cannot be used the stage fails. Raises `StaleLeaseError` when the attempt owns its stage no longer.
    """
    text = ending.result_json
    if text is None or not is_big(ending):
        return ending
    try:
        return replace(ending, result_json=wait_for_room(lambda: _move(runtime, holder, text)))
    except (OSError, TrackerUnusableError) as error:
        return Ending.failed(describe_error(error))


def is_big(ending: Ending) -> bool:
    """Tell whether an ending's result is to be kept as an artifact."""
    return ending.result_json is not None and is_to_be_moved(ending.result_json)


def is_to_be_moved(text: str) -> bool:
    """Tell whether a result, as JSON, is big, or would be taken for one that was moved."""
    return len(text) > MAX_CHARS or (CONTENT_TYPE in text and is_moved(json.loads(text)))


def _move(runtime: Runtime, holder: Holder, text: str) -> str:
    blob = artifacts.keep(runtime.tracker, runtime.artifacts, holder, text.encode(), NAME, CONTENT_TYPE)
    return write_moved(text, write_pointer(blob.sha256, NAME, blob.size, CONTENT_TYPE))


def write_moved(text: str, pointer: Pointer) -> str:
    """Write, as JSON, what stands for a result that is kept at a pointer."""
    holds = [{"artifact": one} for one in sorted(set(_find_pointers(json.loads(text))))]
    return json.dumps({**pointer, "preview": text[:PREVIEW_CHARS], "holds": holds}, ensure_ascii=False)


def is_moved(result: object) -> bool:
    """Tell whether this stands for a result that was moved. One that a handler made to look so is moved as well."""
    return isinstance(result, dict) and result.get("content_type") == CONTENT_TYPE and "artifact" in result


def _find_pointers(result: dict[str, Any]) -> Iterator[str]:
    waiting: list[Any] = [result]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if isinstance(named := found.get("artifact"), str) and named.startswith("sha256:"):
                yield named
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def read_needed(
    runtime: Runtime, conn: Connection, item_id: int, stages: Sequence[str]
) -> dict[str, NeededResult]:
    """
    Read the results of some stages of an item as these gave them, in the order of `stages`.

    Raises `ArtifactError` for one whose file is gone or was changed.
    """
    needed = read_results(conn, item_id, stages)
    return {stage: read_back(runtime, one) if is_moved(one.result) else one for stage, one in needed.items()}


def read_back(runtime: Runtime, needed: NeededResult) -> NeededResult:
    """Give a result as its stage gave it, in the place of the pointer. Raises `ArtifactError`."""
    path = runtime.artifacts.verify(*read_pointer(needed.result))
    return needed._replace(result=json.loads(path.read_bytes()))
