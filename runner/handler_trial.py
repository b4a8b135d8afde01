"""Try a handler out, in this process, without a job and without the tracker."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline.catalog import HANDLER
from pipeline.jobspec import JobSpec
from runner.attempt import Work
from runner.given_params import check_params
from runner.output import errors_are_told
from runner.prepared import make_handler
from runner.sandbox import Ran, run_aside
from runner.scratch_desk import ScratchDesk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.runtime import Runtime

JOB, STAGE = "trial", "trial"


@dataclass(frozen=True, slots=True)
class TrialInput:
    """What a handler is tried on: an item's key and data, and the results of earlier stages, by stage."""

    key: str
    data: Mapping[str, Any]
    results: Mapping[str, dict[str, Any]]

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> TrialInput:
        """
        Read `{"key", "data", "results"}`, of which data or results must be there; anything else is data.

        Raises ValueError for data or results that are no objects.
        """
        is_whole = given.keys() <= {"key", "data", "results"} and given.keys() & {"data", "results"}
        whole = given if is_whole else {"data": given}
        data, results = whole.get("data", {}), whole.get("results", {})
        if not isinstance(data, dict):
            raise ValueError("`data` is no JSON object")  # noqa: TRY004 - it is what the input says, not its type
        if not isinstance(results, dict) or not all(isinstance(one, dict) for one in results.values()):
            raise ValueError("`results` is no JSON object of objects by stage")
        return cls(str(whole.get("key", "trial")), data, results)


@dataclass(frozen=True, slots=True)
class HandlerTrial:
    """What a trial of a handler came to; `kept` are the files that its artifacts were copied to."""

    handler: str
    version: str
    ran: Ran
    kept: tuple[Path, ...] = ()


def try_handler(
    runtime: Runtime, name: str, params: Mapping[str, Any], given: TrialInput, keep: Path | None = None
) -> HandlerTrial:
    """
    Run a handler once. What it keeps goes away, unless it is copied into the folder `keep`.

    Raises `InvalidParamsError` with every mistake, or `LackingError`; `ExportError` when `keep` cannot be used,
    before the handler is run if that can be known.
    """
    check_params(HANDLER, name, params)
    handler, version = make_handler(name, params)
    spec = JobSpec.model_validate(
        {
            "name": JOB,
            "discovery": {"strategy": "manual"},
            "stages": [{"name": STAGE, "handler": name, "params": params}],
        }
    ).stage(STAGE)
    work = Work(JOB, given.key, STAGE, 1, given.data, given.results, spec.timeout)
    if keep is not None:
        _make_folder(keep)  # what the handler does may be dear, and is not done for nothing
    with TemporaryDirectory(prefix="celeriac-") as folder:
        desk = ScratchDesk(Path(folder), given.key)
        ran = run_aside(runtime, handler, work, desk)
        kept = () if keep is None else tuple(_copy_artifacts(desk, keep))
    return HandlerTrial(name, version, ran, kept)


def _make_folder(folder: Path) -> None:
    with errors_are_told(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _copy_artifacts(desk: ScratchDesk, folder: Path) -> Iterator[Path]:
    for pointer in desk.pointers:
        path = _find_free(folder, Path(pointer["name"]).name or "artifact")
        with errors_are_told(path):
            shutil.copyfile(desk.find(pointer), path)
        yield path


def _find_free(folder: Path, name: str) -> Path:
    """Find a name that is not taken: nothing is written over."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return path
