"""What every handler of the catalogue keeps to, shown on its case: `cases/NAME.py`."""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError
from structlog.testing import capture_logs

from handlers.base import Handler, HandlerParams
from handlers.contract import find_json_fault
from handlers.running import run_handler
from handlers.versions import handler_version
from pipeline.catalog import HANDLER, HANDLERS, OFFLINE, load
from pipeline.docstrings import read_docstring
from pipeline.fields import Seconds
from pipeline.jobspec import StageSpec
from pipeline.outcomes import GiveUp, RetryLater, Skip

EVERY = pytest.mark.parametrize("name", sorted(HANDLERS))
CASES = Path(__file__).parent / "cases"
ENDINGS = {"skip": Skip, "never": GiveUp, "later": RetryLater}
"""What a handler returns, by class of failure; the fourth, `unexpected`, is an exception."""


@dataclass(frozen=True)
class House:
    """What a case may use: a server, a folder, a place for artifacts, modules, variables, an end, earlier runs."""

    httpserver: Any
    folder: Path
    keep: Callable[..., Mapping[str, Any]]
    write_module: Callable[[str], str]
    setenv: Callable[[str, str], None]
    closing: ExitStack
    run: Callable[..., Any]


@pytest.fixture
def house(httpserver, tmp_path, make_context, user_module, monkeypatch, run):
    folder = tmp_path / "house"
    folder.mkdir()
    with ExitStack() as closing:
        keep = make_context(key="house").artifact
        yield House(httpserver, folder, keep, user_module, monkeypatch.setenv, closing, run)


def load_case(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"handler_case_{name}", CASES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_handler(name: str, sample: dict[str, Any]) -> Handler:
    return load(HANDLER, name)(sample.get("params", {}))


@pytest.fixture
def run(make_context):
    """Run a handler on a sample."""

    def run(name: str, sample: dict[str, Any], **changes: Any):
        given = {key: value for key, value in sample.items() if key != "params"}
        return run_handler(make_handler(name, sample), make_context(**given | changes))

    return run


def drop_varying(case: Any, result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in getattr(case, "VARIES", ())}


# -- how it is written ------------------------------------------------------------------------------------


@EVERY
def test_it_has_a_case(name):
    assert (CASES / f"{name}.py").is_file()


def test_every_case_is_of_a_handler():
    assert {path.stem for path in CASES.glob("*.py")} <= set(HANDLERS)


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
def test_its_docstring_says_what_goes_in_what_comes_out_and_how_it_ends(name):
    said = " ".join(inspect.getdoc(load(HANDLER, name)).split())
    assert [
        word for word in ("Input: ", "Result: ", "Endings: ", "Idempotent", "Example: ") if word not in said
    ] == []


@EVERY
def test_an_unknown_parameter_is_refused(name):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        load(HANDLER, name)({"no_such_parameter": 1})


@EVERY
def test_it_has_a_version(name):
    handler_class = load(HANDLER, name)
    version = handler_version(handler_class, {})
    assert version == handler_class.VERSION or re.fullmatch("[0-9a-f]{12}", version)


@EVERY
def test_it_stands_in_the_file_of_its_name(name):
    assert Path(inspect.getfile(load(HANDLER, name))).name == f"{name}.py"


@EVERY
def test_its_own_timeout_is_a_duration_other_than_the_general_one(name):
    timeout = load(HANDLER, name).TIMEOUT
    general = StageSpec.model_fields["timeout"].default
    assert timeout is None or TypeAdapter(Seconds).validate_python(timeout) != general


# -- how it ends ------------------------------------------------------------------------------------------


@EVERY
def test_its_sample_ends_in_a_result(name, house, run):
    assert isinstance(run(name, load_case(name).make_sample(house)), dict)


@EVERY
def test_its_docstring_names_every_field_of_its_result(name, house, run):
    case, described = load_case(name), inspect.getdoc(load(HANDLER, name))
    if not getattr(case, "NAMED_BY_USER", False):
        result = run(name, case.make_sample(house))
        assert [field for field in result if f'"{field}"' not in described] == []


@EVERY
def test_the_same_input_gives_the_same_result(name, house, run):
    case = load_case(name)
    sample = case.make_sample(house)
    first, again = run(name, sample), run(name, sample, attempt=2)
    assert drop_varying(case, again) == drop_varying(case, first)
    assert first.keys() >= set(getattr(case, "VARIES", ()))


@EVERY
def test_its_result_is_the_same_after_a_journey_as_json(name, house, run):
    result = run(name, load_case(name).make_sample(house))
    assert find_json_fault(result) is None
    assert json.loads(json.dumps(result)) == result


@EVERY
def test_each_class_of_its_failures_ends_as_it_should(name, house, run):
    endings = load_case(name).make_endings(house)
    assert endings
    assert endings.keys() <= {*ENDINGS, "unexpected"}
    for kind, sample in endings.items():
        if kind == "unexpected":
            with pytest.raises(Exception, match=r"."):
                run(name, sample)
        else:
            outcome = run(name, sample)
            assert type(outcome) is ENDINGS[kind]
            assert outcome.reason


@EVERY
def test_its_docstring_names_the_endings_that_are_shown_and_no_others(name, house):
    said = read_docstring(load(HANDLER, name)).entries["Endings"]
    shown = load_case(name).make_endings(house).keys()
    assert {kind for kind, ending in ENDINGS.items() if ending.__name__ in said} == shown - {"unexpected"}
    assert "unexpected" not in shown or "raise" in said


# -- what it must not tell --------------------------------------------------------------------------------


def list_secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Mapping):
        yield from (secret for inner in value.values() for secret in list_secrets(inner))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (secret for inner in value for secret in list_secrets(inner))


@EVERY
def test_no_secret_of_its_parameters_is_told_to_anybody(name, house, run, caplog, capfd):
    case = load_case(name)
    samples = [case.make_sample(house), *case.make_endings(house).values()]
    secrets = {
        each for sample in samples for each in list_secrets(make_handler(name, sample).params.model_dump())
    }
    takes_secrets = "SecretStr" in repr(load(HANDLER, name).Params.model_fields)
    assert bool(secrets) == takes_secrets, "a case gives each secret that its handler can take a value"
    told: list[Any] = []
    with capture_logs() as logged, caplog.at_level(logging.DEBUG):
        for sample in samples:
            try:
                told.append(run(name, sample, record_cost=told.append))
            except Exception as error:  # noqa: BLE001 - whatever it is, its words are looked at
                told += [repr(error), repr(error.__cause__), repr(error.__context__)]
    everything = repr((told, logged, caplog.text, capfd.readouterr()))
    assert [secret for secret in secrets if secret in everything] == []


@EVERY
def test_what_is_called_offline_asks_nobody(name, house, run):
    if name in OFFLINE:
        run(name, load_case(name).make_sample(house))
        assert house.httpserver.log == []
