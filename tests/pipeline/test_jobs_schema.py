from __future__ import annotations

import json

import pytest

from pipeline import jobs_schema
from pipeline.catalog import HANDLERS, STRATEGIES
from pipeline.jobs_schema import SCHEMA_PATH, build_schema, main, render_schema
from pipeline.jobspec import JobEntry, StageSpec


def test_the_committed_schema_is_up_to_date():
    assert SCHEMA_PATH.read_text(encoding="utf-8") == render_schema(), "run python -m pipeline.jobs_schema"


def test_every_reference_leads_somewhere():
    schema = build_schema()
    references = {part.split('"')[0] for part in json.dumps(schema).split("#/$defs/")[1:]}
    assert references <= set(schema["$defs"])


def test_an_editor_can_complete_every_key():
    definitions = build_schema()["$defs"]
    assert set(definitions["JobEntry"]["properties"]) == set(JobEntry.model_fields)
    assert set(definitions["StageSpec"]["properties"]) == set(StageSpec.model_fields)
    assert all("description" in schema for schema in definitions["StageSpec"]["properties"].values())


def test_an_editor_can_complete_every_name_of_the_catalogue():
    definitions = build_schema()["$defs"]
    names = [
        schema["enum"]
        for schema in definitions["DiscoverySpec"]["properties"]["strategy"]["anyOf"]
        if "enum" in schema
    ]
    assert names == [sorted(STRATEGIES)]
    names = [
        schema["enum"]
        for schema in definitions["StageSpec"]["properties"]["handler"]["anyOf"]
        if "enum" in schema
    ]
    assert names == [sorted(HANDLERS)]


def test_the_parameters_of_a_strategy_stand_beside_its_name():
    rules = build_schema()["$defs"]["DiscoverySpec"]["allOf"]
    by_name = {rule["if"]["properties"]["strategy"]["const"]: rule["then"] for rule in rules}
    assert {"strategy", "root", "include", "exclude"} <= set(by_name["local_files"]["properties"])
    assert by_name["local_files"]["required"] == ["root"]


@pytest.mark.parametrize(("text", "status"), [("{}", 1), (None, 0)])
def test_check_says_whether_the_file_is_up_to_date(monkeypatch, tmp_path, text, status):
    monkeypatch.setattr(jobs_schema, "SCHEMA_PATH", tmp_path / "jobs.schema.json")
    assert main(["--check"]) == 1
    assert main([]) == 0
    if text:
        (tmp_path / "jobs.schema.json").write_text(text)
    assert main(["--check"]) == status
