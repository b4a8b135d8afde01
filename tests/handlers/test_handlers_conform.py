"""What every handler of the catalogue keeps to."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from handlers.base import Handler, HandlerParams
from handlers.contract import find_json_fault
from handlers.running import handler_version, run_handler
from pipeline.catalog import HANDLER, HANDLERS, load

EVERY = pytest.mark.parametrize("name", sorted(HANDLERS))
PROSE = "The root keeps through the winter. Its stalks have gone. " * 3

SAMPLES = {
    "article": {
        "results": {"fetch": {"text": f"<html><body><article><p>{PROSE}</p></article></body></html>"}}
    },
    "fetch": {"data": {"text": PROSE}},
    "python": {"params": {"function": "users_own_module:work"}},
    "python_outline": {"data": {"text": "import os\n"}},
    "read_file": {"data": {"path": __file__}},
    "summarise_text": {"data": {"text": PROSE}},
}
"""By short name: the parameters and the context of one ordinary run that ends in a result."""


def test_every_handler_has_a_sample():
    assert sorted(SAMPLES) == sorted(HANDLERS)


@EVERY
def test_it_is_a_handler_with_parameters_of_its_own(name):
    handler_class = load(HANDLER, name)
    assert issubclass(handler_class, Handler)
    assert issubclass(handler_class.Params, HandlerParams)
    assert handler_class.run is not Handler.run


@EVERY
def test_every_parameter_is_described(name):
    fields = load(HANDLER, name).Params.model_fields
    assert [field for field, about in fields.items() if not about.description] == []


@EVERY
@pytest.mark.parametrize("word", ["Input: ", "Result: ", "Endings: ", "Idempotent"])
def test_its_docstring_says(name, word):
    assert word in " ".join(inspect.getdoc(load(HANDLER, name)).split())


@pytest.mark.parametrize("name", sorted(HANDLERS.keys() - {"python"}))  # its result is its function's
def test_its_docstring_names_every_field_of_its_result(name, run_sample):
    described = inspect.getdoc(load(HANDLER, name))
    assert [field for field in run_sample(name) if f'"{field}"' not in described] == []


@EVERY
def test_an_unknown_parameter_is_refused(name):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        load(HANDLER, name)({"no_such_parameter": 1})


@pytest.fixture
def run_sample(user_module, make_context):
    """Run a handler's sample."""
    user_module("def work(context):\n    return {'key': context.key}\n")

    def run(name: str):
        sample = {"params": {}, **SAMPLES[name]}
        handler = load(HANDLER, name)(sample.pop("params"))
        return run_handler(handler, make_context(**sample))

    return run


@EVERY
def test_the_same_input_gives_the_same_result(name, run_sample):
    first = run_sample(name)
    assert isinstance(first, dict)
    assert run_sample(name) == first


@EVERY
def test_its_result_is_the_same_after_a_journey_as_json(name, run_sample):
    result = run_sample(name)
    assert find_json_fault(result) is None
    assert json.loads(json.dumps(result)) == result


@EVERY
def test_it_has_a_version(name):
    assert len(handler_version(load(HANDLER, name), {})) == 12


@EVERY
def test_it_stands_in_the_file_of_its_name(name):
    assert Path(inspect.getfile(load(HANDLER, name))).name == f"{name}.py"
