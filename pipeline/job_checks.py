"""
One entry of jobs.yaml checked from every side, so that one reading finds all that is wrong with it.

The checks look at the entry as written, not at a model made from it: a mistake in one field must not hide
those in the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline.catalog import HANDLER, STRATEGY
from pipeline.jobspec import JobEntry, JobSpec, StageSpec
from pipeline.model_errors import explain, explain_unknown_key
from pipeline.plugin_checks import Lack, PluginUse, check_plugin, find_timeout
from pipeline.problems import Finding, KeyPath
from pipeline.shorthand import name_stage, split_discovery
from pipeline.stage_graph import find_graph_problems, resolve_needs

if TYPE_CHECKING:
    from pipeline.filespec import Defaults


@dataclass(slots=True)
class JobCheck:
    """What came of checking a job: its spec if it is in order, what is wrong, and what this machine lacks."""

    spec: JobSpec | None = None
    wrong: list[Finding] = field(default_factory=list)
    lacks: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class JobChecker:
    """
    Checks jobs of one file. `data` is the file as written.

    Without `plugins` no strategy and no handler is looked at, nor imported. With `make` the handlers are made.
    """

    data: Any
    defaults: Defaults
    environment: Mapping[str, str]
    plugins: bool = True
    make: bool = False

    def check(self, name: str) -> JobCheck:
        """Check the job of this name."""
        base: KeyPath = ("jobs", name)
        entry = self.data["jobs"][name]
        if not isinstance(entry, Mapping):
            return JobCheck(
                wrong=[Finding(base, "a job must be a mapping", "discovery, stages and more, one a line")]
            )
        checked = JobCheck()
        if "name" in entry:
            checked.wrong.append(explain_unknown_key((*base, "name"), sorted(JobEntry.model_fields)))
        self._check_shape(name, entry, checked)
        stages = self._list_stages(entry)
        checked.wrong += [
            Finding(base + problem.path, problem.message, problem.allowed) for problem in _graph(stages)
        ]
        if self.plugins:
            self._check_plugins(base, entry, checked)
        checked.wrong = list(dict.fromkeys(checked.wrong))
        return checked

    def _check_shape(self, name: str, entry: Mapping[str, Any], checked: JobCheck) -> None:
        filled = {**self._given(JobSpec), **entry, "name": name}
        if isinstance(entry.get("stages"), list):
            filled["stages"] = self._list_stages(entry)
        try:
            checked.spec = JobSpec.model_validate(filled, context={"timezone": self.defaults.timezone})
        except ValidationError as error:
            findings = explain(error, JobEntry, ("jobs", name), self.data)
            checked.wrong += [_place_name(finding) for finding in findings]

    def _list_stages(self, entry: Mapping[str, Any]) -> list[Any]:
        stages = entry.get("stages")
        named = [name_stage(stage) for stage in stages] if isinstance(stages, list) else []
        return [self._fill_in(stage) if isinstance(stage, dict) else stage for stage in named]

    def _fill_in(self, stage: dict[str, Any]) -> dict[str, Any]:
        """Fill in what a stage leaves out: from `defaults`, else from its handler."""
        timeout = find_timeout(stage.get("handler")) if self.plugins else None
        own = {} if timeout is None else {"timeout": timeout}
        return {**own, **self._given(StageSpec), **stage}

    def _given(self, model: type[JobSpec | StageSpec]) -> dict[str, Any]:
        names = self.defaults.model_fields_set & set(model.model_fields)
        return {name: getattr(self.defaults, name) for name in sorted(names)}

    def _check_plugins(self, base: KeyPath, entry: Mapping[str, Any], checked: JobCheck) -> None:
        for use, is_on in (*_strategy_use(base, entry), *_handler_uses(base, self._list_stages(entry))):
            for found in check_plugin(use, self.environment, self.data, make=self.make and is_on):
                if not isinstance(found, Lack):
                    checked.wrong.append(found)
                elif is_on:  # what is switched off may lack what it likes
                    checked.lacks.append(found.finding)


def _place_name(finding: Finding) -> Finding:
    # the name of a job is its key in the file
    if len(finding.path) == 3 and finding.path[2] == "name":
        message = f"{finding.path[1]!r} is no name for a job"
        return Finding(finding.path[:2], message, finding.allowed, at_key=True)
    return finding


def _graph(stages: list[Any]) -> Iterator[Any]:
    names, needs = _list_needs(stages)
    if all(names):
        yield from find_graph_problems(list(zip(names, needs, strict=True)))


def _list_needs(stages: list[Any]) -> tuple[list[str], list[Any]]:
    known = [stage if isinstance(stage, dict) else {} for stage in stages]
    names = [str(stage.get("name", "")) for stage in known]
    return names, list(resolve_needs(names, [_read_needs(stage) for stage in known]))


def _read_needs(stage: Mapping[str, Any]) -> list[str] | None:
    needs = stage.get("needs")
    if isinstance(needs, str):
        return [needs]
    return [str(need) for need in needs] if isinstance(needs, list) else None


def _strategy_use(base: KeyPath, entry: Mapping[str, Any]) -> Iterator[tuple[PluginUse, bool]]:
    written = entry.get("discovery")
    discovery = split_discovery(written)
    if not isinstance(discovery, Mapping):
        return
    name, params, path = discovery.get("strategy"), discovery.get("params", {}), (*base, "discovery")
    if isinstance(name, str) and name and isinstance(params, Mapping):
        is_flat = discovery is not written or not params
        params_path = path if is_flat else (*path, "params")
        yield PluginUse(STRATEGY, name, (*path, "strategy"), params, params_path), True


def _handler_uses(base: KeyPath, stages: list[Any]) -> Iterator[tuple[PluginUse, bool]]:
    _, needs = _list_needs(stages)
    for index, stage in enumerate(stages):
        if not isinstance(stage, dict):
            continue
        name, params, path = stage.get("handler"), stage.get("params", {}), (*base, "stages", index)
        if isinstance(name, str) and name and isinstance(params, Mapping):
            is_on = stage.get("enabled", True) is not False
            batch_path = (*path, "batch") if stage.get("batch") is not None else None
            name_path, params_path = (*path, "handler"), (*path, "params")
            yield (
                PluginUse(HANDLER, name, name_path, params, params_path, batch_path, tuple(needs[index])),
                is_on,
            )
