"""Which results the handlers of today made, and which an older version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from handlers.versions import handler_version
from pipeline import catalog
from pipeline.errors import CeleriacError
from tracker.reports import list_job_names
from tracker.results import count_versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.jobspec import JobSpec, StageSpec
    from tracker.connection import Connection

State = Literal["current", "stale", "unknown"]


@dataclass(frozen=True, slots=True)
class VersionReport:
    """
    How many results of a stage one version made.

    `version` is None for results stored by hand without one, and for a stage without results its present version.
    `state` is unknown, with the `reason`, when it cannot be told what version the handler is now.
    """

    job: str
    stage: str
    version: str | None
    results: int
    state: State
    reason: str | None = None


def list_versions(
    conn: Connection, jobs: Mapping[str, JobSpec], job_id: str | None = None
) -> list[VersionReport]:
    """Report on the results of a job, or of all jobs, by stage and version; of each stage the present one first."""
    names = sorted({*list_job_names(conn), *jobs}) if job_id is None else [job_id]
    return [report for name in names for report in _report_job(conn, name, jobs.get(name))]


def _report_job(conn: Connection, job_id: str, job: JobSpec | None) -> list[VersionReport]:
    counted: dict[str, dict[str | None, int]] = {spec.name: {} for spec in job.stages} if job else {}
    for stage, version, results in count_versions(conn, job_id):
        counted.setdefault(stage, {})[version] = results
    specs = {spec.name: spec for spec in job.stages} if job else {}
    return [
        report
        for stage, results in counted.items()
        for report in _report_stage(job_id, stage, results, specs.get(stage))
    ]


def _report_stage(
    job_id: str, stage: str, results: dict[str | None, int], spec: StageSpec | None
) -> list[VersionReport]:
    try:
        present, reason = (find_version(spec), None) if spec else (None, "not in jobs.yaml")
    except CeleriacError as error:
        present, reason = None, str(error)
    if reason is not None:
        return [
            VersionReport(job_id, stage, version, count, "unknown", reason)
            for version, count in results.items()
        ]
    older = sorted((version or "", count) for version, count in results.items() if version != present)
    return [
        VersionReport(job_id, stage, present, results.get(present, 0), "current"),
        *(VersionReport(job_id, stage, version or None, count, "stale") for version, count in older),
    ]


def find_version(spec: StageSpec) -> str:
    """Find the version of what a stage makes now. Raises what importing its handler raises."""
    return handler_version(catalog.load(catalog.HANDLER, spec.handler), spec.params)
