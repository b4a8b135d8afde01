from __future__ import annotations

import inspect
import pickle
import pkgutil
from importlib import import_module

import pytest

import pipeline
from pipeline import errors
from pipeline.errors import CeleriacError
from pipeline.jobs_file import JobsFileInvalidError, Problem

FAMILIES = {
    errors.JobsFileError,
    errors.PluginError,
    errors.SourceError,
    errors.OperatorError,
    errors.LostOwnershipError,
}
SAMPLES = {
    "known": ["a"],
    "problems": [Problem(3, 5, "jobs.a", "wrong", -1, "0 or more")],
    "item_id": 7,
    "attempt": 2,
    "run_id": 3,
    "at": 4,
    "seconds": 5.0,
}


def list_errors():
    for module in pkgutil.iter_modules(pipeline.__path__, "pipeline."):
        import_module(module.name)
    found, rest = [], [CeleriacError]
    while rest:
        found.append(rest.pop())
        rest += [kind for kind in found[-1].__subclasses__() if kind.__module__.startswith("pipeline.")]
    return sorted(found, key=lambda kind: kind.__name__)


def make(kind):
    # most take just a message; the others are made from values named like their parameters
    names = list(inspect.signature(kind.__init__).parameters)[1:]
    return kind("what") if names == ["args", "kwargs"] else kind(*(SAMPLES.get(name, name) for name in names))


@pytest.mark.parametrize("kind", list_errors(), ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_with_its_message_and_attributes(kind):
    error = make(kind)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is kind
    assert str(again) == str(error) != ""
    assert vars(again) == vars(error)


@pytest.mark.parametrize("kind", list_errors(), ids=lambda kind: kind.__name__)
def test_every_error_belongs_to_the_family_of_who_must_act(kind):
    is_ending = kind.__name__ == "RetryLaterError"  # an outcome in the older words, not a failure
    assert kind is CeleriacError or is_ending or any(issubclass(kind, family) for family in FAMILIES)


def test_the_loop_sees_errors_of_other_modules_than_errors():
    assert {JobsFileInvalidError, errors.StaleLeaseError} <= set(list_errors())
