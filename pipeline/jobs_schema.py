"""
The JSON Schema of jobs.yaml, for editors: made from the models, and from the parameters of the catalogue.

`python -m pipeline.jobs_schema` writes docs/jobs.schema.json; with `--check` it only says whether that is up
to date.

Source: JSON Schema, draft 2020-12, json-schema.org.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from pipeline.catalog import HANDLER, STRATEGY, Kind, load
from pipeline.filespec import JobsDocument
from pipeline.forms import NAME_PATTERN
from pipeline.jobspec import DiscoverySpec, JobEntry, StageSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

SCHEMA_PATH = Path(__file__).parent.parent / "docs" / "jobs.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {"type": "string", "pattern": r"\$\{"}
_CLASS_PATH = {"type": "string", "pattern": ":"}

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Params:
    """The parameters of one plugin of the catalogue."""

    name: str
    model: type[BaseModel]


def build_schema() -> Schema:
    """Build the schema of the whole file. Raises `MissingExtraError` if an extra is not installed."""
    strategies, handlers = list(_list_params(STRATEGY)), list(_list_params(HANDLER))
    models = _Models([each.model for each in (*strategies, *handlers)])
    _shape_discovery(models, strategies)
    _shape_stage(models, handlers)
    word = {"type": "string", "anyOf": [{"enum": sorted(HANDLER.table)}, _CLASS_PATH]}
    models.get(JobEntry)["properties"]["stages"]["items"] = {"anyOf": [word, models.refer(StageSpec)]}
    document = models.pop(JobsDocument)
    jobs = {"propertyNames": {"pattern": NAME_PATTERN}, "additionalProperties": models.refer(JobEntry)}
    document["properties"]["jobs"].update(jobs)
    return {"$schema": _DIALECT, "title": "jobs.yaml of Celeriac", **document, "$defs": models.definitions}


class _Models:
    """The models' own schemas, which stand in `definitions` and refer to one another."""

    def __init__(self, plugins: list[type[BaseModel]]) -> None:
        models: list[type[BaseModel]] = [JobsDocument, JobEntry, StageSpec, DiscoverySpec, *plugins]
        self._references, top = models_json_schema([(model, "validation") for model in models])
        self.definitions: Schema = _drop_titles(top["$defs"])
        for plugin in plugins:
            _allow_variables(self.get(plugin))

    def refer(self, model: type[BaseModel]) -> Schema:
        return self._references[model, "validation"]

    def get(self, model: type[BaseModel]) -> Schema:
        found: Schema = self.definitions[self._name(model)]
        return found

    def pop(self, model: type[BaseModel]) -> Schema:
        found: Schema = self.definitions.pop(self._name(model))
        return found

    def _name(self, model: type[BaseModel]) -> str:
        reference: str = self.refer(model)["$ref"]
        return reference.rpartition("/")[2]


def _list_params(kind: Kind) -> Iterator[_Params]:
    for name in sorted(kind.table):
        yield _Params(name, load(kind, name).Params)


def _drop_titles(schema: Any) -> Any:
    # pydantic repeats each field's name as its title, which an editor then shows in place of the description
    if isinstance(schema, dict):
        kept = {key: inner for key, inner in schema.items() if key != "title" or not isinstance(inner, str)}
        return {key: _drop_titles(inner) for key, inner in kept.items()}
    return [_drop_titles(inner) for inner in schema] if isinstance(schema, list) else schema


def _allow_variables(params: Schema) -> None:
    for name, schema in params.get("properties", {}).items():
        if schema.get("type") != "string" or "enum" in schema or "pattern" in schema:
            shown = {key: schema.pop(key) for key in ("description", "default") if key in schema}
            params["properties"][name] = {**shown, "anyOf": [schema, _VARIABLE]}


def _shape_discovery(models: _Models, strategies: list[_Params]) -> None:
    discovery = models.get(DiscoverySpec)
    strategy = {
        **discovery["properties"]["strategy"],
        "anyOf": [{"enum": sorted(STRATEGY.table)}, _CLASS_PATH],
    }
    discovery["properties"] = {"strategy": strategy}
    del discovery["additionalProperties"]
    # the parameters stand beside the strategy's name: they must be in the same object, and so in full
    discovery["allOf"] = [_when_strategy(each.name, models.pop(each.model)) for each in strategies]


def _when_strategy(name: str, params: Schema) -> Schema:
    then = {
        "properties": {"strategy": True, **params.get("properties", {})},
        "required": params.get("required", []),
        "additionalProperties": False,
    }
    return {"if": _says("strategy", name), "then": then}


def _shape_stage(models: _Models, handlers: list[_Params]) -> None:
    stage = models.get(StageSpec)
    del stage["required"]
    stage["anyOf"] = [{"required": ["name"]}, {"required": ["handler"]}]
    handler = stage["properties"]["handler"]
    stage["properties"]["handler"] = {**handler, "anyOf": [{"enum": sorted(HANDLER.table)}, _CLASS_PATH]}
    stage["allOf"] = [_when_handler(models, each) for each in handlers]


def _when_handler(models: _Models, handler: _Params) -> Schema:
    by_name = {**_says("name", handler.name), "not": {"required": ["handler"]}}
    required = ["params"] if models.get(handler.model).get("required") else []
    then = {"properties": {"params": models.refer(handler.model)}, "required": required}
    return {"if": {"anyOf": [_says("handler", handler.name), by_name]}, "then": then}


def _says(key: str, value: str) -> Schema:
    return {"properties": {key: {"const": value}}, "required": [key]}


def render_schema() -> str:
    """Write the schema as the text of its file."""
    return json.dumps(build_schema(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with `--check` compare it: 0 if it is up to date, else 1."""
    text = render_schema()
    if "--check" not in arguments:
        SCHEMA_PATH.write_text(text, encoding="utf-8")
        return 0
    if SCHEMA_PATH.is_file() and SCHEMA_PATH.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{SCHEMA_PATH} is out of date: run python -m pipeline.jobs_schema\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
