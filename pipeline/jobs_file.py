"""Read jobs.yaml: all of it checked, every problem with its line; and read it again when it changes."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from importlib import invalidate_caches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline.filespec import Defaults, JobsDocument, JobsFile
from pipeline.job_checks import JobCheck, JobChecker
from pipeline.model_errors import explain
from pipeline.notify_checks import check_channels
from pipeline.plugin_checks import Lack
from pipeline.problems import Finding, JobsFileInvalidError, Problem
from pipeline.variables import current_environment
from pipeline.yaml_document import YamlDocument, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["JobsFile", "JobsFileInvalidError", "JobsWatch", "Problem", "load_jobs_file"]

LOOK_SECONDS = 1.0
"""How often a watch looks at its file, at most."""

REFUSED_SECONDS = 10.0
"""How often a file that is refused is read again though it is the same: a module that it names may have been mended."""


def load_jobs_file(
    path: Path | str,
    environment: Mapping[str, str] | None = None,
    *,
    only: str | None = None,
    plugins: bool = True,
    make: bool = False,
) -> JobsFile:
    """
    Read and check a jobs file, its strategies, handlers and their parameters included.

    With `only` just that job is looked into, if there is such a one. Without `plugins` nothing is imported: what a
    strategy or handler would say against its parameters, and the timeouts that handlers declare, are left out. With
    `make` the handlers are made too, as a worker does it: that may take long.

    `environment` holds the variables; without it, this process's own. Raises `JobsFileInvalidError` with all
    that is wrong. What only this machine lacks is in `unavailable`, and is not raised.
    """
    path = Path(path)
    try:
        source = path.read_bytes()
    except OSError as error:
        problem = Problem(
            1, 1, "", f"cannot be read: {error.strerror}", allowed="a YAML file; see docs/jobs-yaml.md"
        )
        raise JobsFileInvalidError(str(path), [problem]) from error
    variables = current_environment() if environment is None else environment
    return _check_document(path, source, parse_yaml(source), variables, only, plugins=plugins, make=make)


def _check_document(
    path: Path,
    source: bytes,
    document: YamlDocument,
    environment: Mapping[str, str],
    only: str | None,
    *,
    plugins: bool,
    make: bool,
) -> JobsFile:
    if not isinstance(document.data, dict):
        nothing = Problem(1, 1, "", "not a mapping", allowed="version: 1, and jobs: with a job a key")
        raise JobsFileInvalidError(str(path), document.problems or [nothing])
    top, wrong = _check_top(document)
    jobs = document.data.get("jobs")
    checker = JobChecker(document.data, top.defaults, environment, plugins, make)
    names = [name for name in (jobs if isinstance(jobs, dict) else ()) if only in (None, name)]
    checks = {name: checker.check(name) for name in names}
    wrong += [finding for check in checks.values() for finding in check.wrong]
    channels = list(check_channels(document.data, environment)) if plugins else []
    wrong += [found for found in channels if isinstance(found, Finding)]
    if wrong or document.problems:
        problems = [document.place(finding) for finding in wrong]
        raise JobsFileInvalidError(str(path), [*document.problems, *problems])
    digest = hashlib.sha256(source).hexdigest()[:16]
    specs = {name: check.spec for name, check in checks.items() if check.spec}
    rates = {name: host.rate for name, host in top.hosts.items() if host.rate}
    breakers = {name: host.breaker for name, host in top.hosts.items() if host.breaker}
    lacks = _list_lacks(checks, document)
    budget = top.budget and top.budget.within(top.defaults.timezone)
    return JobsFile(
        jobs=specs,
        digest=digest,
        path=path,
        apply_above=top.apply_above,
        budget=budget,
        host_rates=rates,
        host_breakers=breakers,
        maintenance=top.maintenance,
        notify=top.notify,
        lacks=tuple(document.place(found.finding) for found in channels if isinstance(found, Lack)),
        unavailable=lacks,
    )


def _check_top(document: YamlDocument) -> tuple[JobsDocument, list[Finding]]:
    try:
        return JobsDocument.model_validate(document.data, context=_find_context(document.data)), []
    except ValidationError as error:
        findings = explain(error, JobsDocument, (), document.data)
    try:
        defaults = Defaults.model_validate(document.data.get("defaults", {}))
    except ValidationError:  # found above already; without them, the jobs can still be looked at
        defaults = Defaults()
    return JobsDocument(version=1, defaults=defaults, jobs={}), findings


def _find_context(data: Mapping[str, Any]) -> dict[str, Any]:
    """Find the time zone of schedules that name none; one that is wrong is told of elsewhere."""
    try:
        return {"timezone": Defaults.model_validate(data.get("defaults", {})).timezone}
    except ValidationError:
        return {}


def _list_lacks(checks: Mapping[str, JobCheck], document: YamlDocument) -> dict[str, tuple[Problem, ...]]:
    return {name: tuple(map(document.place, check.lacks)) for name, check in checks.items() if check.lacks}


Stamp = tuple[int, int, int]
"""A file's modification time in nanoseconds, size and inode."""


@dataclass(slots=True)
class JobsWatch:
    """
    A jobs file that may be edited while all runs.

    An edit that does not validate is refused: the last good file stays in force, and `refusal` says why until
    the file is right again. The first reading raises.
    """

    path: Path
    clock: Callable[[], float] = time.monotonic
    refusal: JobsFileInvalidError | None = field(default=None, init=False)
    _file: JobsFile | None = field(default=None, init=False)
    _stamp: Stamp | None = field(default=None, init=False)
    _looked_at: float = field(default=0.0, init=False)
    _read_at: float = field(default=0.0, init=False)

    def current(self) -> JobsFile:
        """Give the file in force, read again if it changed; looks at most once a second."""
        if self._file is None:
            stamp, self._looked_at = _read_stamp(self.path), self.clock()
            self._file = load_jobs_file(self.path)
            self._stamp = stamp
        elif self.clock() - self._looked_at >= LOOK_SECONDS:
            self._look(self._file)
        return self._file

    def _look(self, in_force: JobsFile) -> None:
        # the stamp is taken before the reading: a change in between is seen at the next look
        stamp, self._looked_at = _read_stamp(self.path), self.clock()
        if stamp == self._stamp and not self._may_be_in_order_by_now():
            return
        self._stamp, self._read_at = stamp, self._looked_at
        invalidate_caches()  # else a module that has just come may not be found
        try:
            self._file, self.refusal = load_jobs_file(self.path), None
        except JobsFileInvalidError as error:
            self._file, self.refusal = in_force, error

    def _may_be_in_order_by_now(self) -> bool:
        return self.refusal is not None and self._looked_at - self._read_at >= REFUSED_SECONDS


def _read_stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
