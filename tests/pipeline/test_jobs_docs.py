from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pipeline.breaker import BreakerSpec
from pipeline.budget import BudgetSpec
from pipeline.catalog import EXTRAS
from pipeline.durations import parse_duration
from pipeline.filespec import Defaults, HostSpec, JobsDocument
from pipeline.jobspec import JobEntry, StageSpec
from pipeline.maintenance import ArtifactsSpec, BackupSpec, CompactSpec, MaintenanceSpec, RetentionSpec
from pipeline.notify import ChannelSpec, NotifySpec, TroubleKind
from pipeline.plugin_pages import PAGES
from pipeline.settings import describe_settings
from pipeline.variables import BUILT_IN

TEXT = (Path(__file__).parents[2] / "docs" / "jobs-yaml.md").read_text(encoding="utf-8")
MODELS = {
    "The file": JobsDocument,
    "A job": JobEntry,
    "A stage": StageSpec,
    "defaults": Defaults,
    "hosts": HostSpec,
    "breaker": BreakerSpec,
    "budget": BudgetSpec,
    "maintenance": MaintenanceSpec,
    "backup": BackupSpec,
    "retention": RetentionSpec,
    "artifacts": ArtifactsSpec,
    "compact": CompactSpec,
    "notify": NotifySpec,
    "channel": ChannelSpec,
}
EXAMPLES = re.findall(r"```yaml\n(version:.*?)```", TEXT, re.DOTALL)


def rows_under(heading):
    section = re.split(rf"\n###? {heading}\n", TEXT)[1].split("\n#")[0]
    cells = (line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `"))
    return {row[0].strip("`"): row[1].strip("`") for row in cells}


def means(field, written):
    """Tell whether what the page gives as a default is the field's own."""
    if field.is_required():
        return written in {"required", "the name", "the handler"}
    if written == str(field.default):
        return True
    if isinstance(field.default, float):
        return parse_duration(written) == field.default
    if isinstance(field.default, bool):
        return written == str(field.default).lower()
    if field.default == tuple(TroubleKind):
        return written == "all"
    words = {None: {"none", "the strategy's"}, (): {"the stage before"}, "": {'""'}}
    return written in ({"{}"} if field.default_factory else words.get(field.default, {str(field.default)}))


@pytest.mark.parametrize("heading", MODELS)
def test_every_field_is_documented_with_its_default(heading):
    rows, fields = rows_under(heading), MODELS[heading].model_fields
    assert set(rows) == set(fields)
    assert [name for name, field in fields.items() if not means(field, rows[name])] == []


def test_every_setting_is_documented_with_its_default_and_meaning():
    for setting in describe_settings():
        default = f"`{setting.default}`" if setting.default else "none"
        assert f"| `{setting.variable}` | {default} | {setting.description} |" in TEXT


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.file_name)
def test_the_pages_that_document_every_name_of_the_catalogue_are_linked(page):
    assert f"({page.file_name})" in TEXT


def test_every_built_in_variable_is_documented():
    for name, meaning in BUILT_IN.items():
        assert f"| `{name}` | {meaning} |" in TEXT


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_is_in_order(load_jobs, example):
    assert load_jobs(example).jobs


def test_there_are_examples():
    assert len(EXAMPLES) >= 4


def test_every_extra_is_documented_with_what_needs_it():
    page = (Path(__file__).parents[2] / "docs" / "running.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(documented) == set(project["project"]["optional-dependencies"])
    assert [name for name, extra in EXTRAS.items() if f"`{name}`" not in documented[extra]] == []
