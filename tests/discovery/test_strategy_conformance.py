from __future__ import annotations

import ast
import importlib
import inspect
import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

import discovery
from discovery.base import BaseDiscovery, StrategyParams
from pipeline.catalog import STRATEGIES, STRATEGY, load
from pipeline.errors import SourceError, SourceUnavailableError

FOLDER = Path(discovery.__file__).parent
RECORDINGS = ("good", "empty", "throttled", "broken")
every_strategy = pytest.mark.parametrize("name", sorted(STRATEGIES))


def uses_the_network(name):
    return asks_somewhere(STRATEGIES[name].partition(":")[0], {"discovery.base"})


def asks_somewhere(module_name, seen):
    """Tell whether a module of discovery, or one that it imports, asks some address."""
    seen.add(module_name)
    source = inspect.getsource(importlib.import_module(module_name))
    imported = set(re.findall(r"^from (discovery\.\w+) import", source, re.MULTILINE))
    return bool(re.search(r"\.fetch(_if_changed)?\(|\bopen_address\(", source)) or any(
        asks_somewhere(each, seen) for each in sorted(imported - seen)
    )


NETWORKED = [name for name in sorted(STRATEGIES) if uses_the_network(name)]
every_networked_strategy = pytest.mark.parametrize("name", NETWORKED)
every_other_strategy = pytest.mark.parametrize("name", sorted({*STRATEGIES} - {*NETWORKED}))


@pytest.fixture
def make(access, tmp_path):
    """Make a strategy that may reach what it needs; the same two lines are piped into each."""
    piped = tmp_path / "piped"
    piped.write_text("one\ntwo\n")
    with ExitStack() as stack:

        def make(name, params):
            stdin = stack.enter_context(piped.open("rb"))
            return load(STRATEGY, name)(params, replace(access, stdin=stdin))

        yield make


@pytest.fixture
def run(make, discover):
    return lambda name, params: discover(make(name, params))


def models(model):
    yield model
    for field in model.model_fields.values():
        for kind in (field.annotation, *_parts(field.annotation)):
            if inspect.isclass(kind) and issubclass(kind, BaseModel):
                yield from models(kind)


def _parts(annotation):
    for part in getattr(annotation, "__args__", ()):
        yield part
        yield from _parts(part)


def entry(strategy, word):
    """Give what a line of the docstring says after its word and colon, up to the next such line."""
    found = re.search(rf"\b{word}: (.+?)(?=\n\s*\n|\b[A-Z]\w+: |\Z)", inspect.getdoc(strategy), re.DOTALL)
    return found[1].strip() if found else ""


# -- what each says of itself -----------------------------------------------------------------------------


@every_strategy
def test_every_strategy_follows_the_contract(name):
    strategy = load(STRATEGY, name)
    assert issubclass(strategy, BaseDiscovery)
    assert issubclass(strategy.Params, StrategyParams)
    assert "Params" in vars(strategy)


@every_strategy
@pytest.mark.parametrize("word", ["Key", "Order", "Data", "Example", "Source"])
def test_every_strategy_documents_what_it_finds(name, word):
    assert entry(load(STRATEGY, name), word)


@every_strategy
def test_every_example_is_valid(name):
    example = yaml.safe_load(entry(load(STRATEGY, name), "Example"))
    assert example.pop("strategy") == name
    load(STRATEGY, name).Params.model_validate(example)


@every_strategy
def test_every_parameter_is_documented(name):
    for model in models(load(STRATEGY, name).Params):
        for field, about in model.model_fields.items():
            assert (about.description or "").endswith("."), f"{name}: {field}"


@every_strategy
def test_an_unknown_parameter_is_refused(name):
    with pytest.raises(ValidationError, match="no_such_parameter"):
        load(STRATEGY, name)({"no_such_parameter": 1})


def test_every_case_is_of_a_strategy():
    cases = Path(__file__).parent / "cases"
    assert sorted(path.stem for path in cases.glob("*.py")) == sorted(STRATEGIES)


@every_strategy
def test_a_strategy_that_uses_the_network_is_tried_over_it(name, case_of):
    assert case_of(name).networked == (name in NETWORKED)


@every_networked_strategy
@pytest.mark.parametrize("recording", RECORDINGS)
def test_a_strategy_that_uses_the_network_has_its_four_recordings(name, recording, sources_of):
    assert sources_of(name).recording(recording).status


# -- what each finds --------------------------------------------------------------------------------------


@every_strategy
def test_a_good_source_gives_items_with_the_documented_data(name, case_of, run):
    items = run(name, case_of(name).good)
    assert items
    documented = set(re.findall(r'"(\w+)"', entry(load(STRATEGY, name), "Data")))
    assert all(set(item.data) == documented for item in items)


@every_strategy
def test_what_is_found_twice_has_the_same_keys(name, case_of, run):
    good = case_of(name).good
    first, second = (run(name, good) for _ in range(2))
    assert [item.key for item in first] == [item.key for item in second]


@every_strategy
def test_an_empty_source_gives_nothing(name, case_of, run):
    assert run(name, case_of(name).empty) == []


@every_networked_strategy
def test_a_source_that_throttles_is_unavailable_for_as_long_as_it_says(name, case_of, run, sources_of):
    good = case_of(name).good
    sources_of(name).serve_everywhere("throttled")
    wished = sources_of(name).recording("throttled").headers.get("Retry-After")
    with pytest.raises(SourceUnavailableError) as caught:
        run(name, good)
    assert caught.value.retry_after_seconds == (float(wished) if wished else None)


@every_networked_strategy
def test_a_source_that_is_down_is_unavailable(name, case_of, run, httpserver):
    good = case_of(name).good
    httpserver.clear()
    httpserver.expect_request(re.compile(".*")).respond_with_data("", 503)
    with pytest.raises(SourceUnavailableError, match="503"):
        run(name, good)


def ends_with_a_word_of_what_was_wrong(strategy, discover):
    """Tell whether a discovery ends in an error of the source, or in a problem, having found nothing."""
    try:
        found = discover(strategy)
    except SourceError:
        return True
    return not found and bool(strategy.problems)


@every_networked_strategy
def test_a_source_that_is_broken_is_told_as_such(name, case_of, make, discover, sources_of):
    good = case_of(name).good
    sources_of(name).serve_everywhere("broken")
    assert ends_with_a_word_of_what_was_wrong(make(name, good), discover)


@every_other_strategy
def test_a_source_of_this_machine_that_is_broken_is_told_as_such(name, case_of, make, discover):
    broken = case_of(name).broken
    if broken is not None:
        assert ends_with_a_word_of_what_was_wrong(make(name, broken), discover)


@every_networked_strategy
@pytest.mark.parametrize(
    "body", [b"", b"<html><p>Sorry!", b'{"error": "no"}', b"[null, [], {}]", b"\xff\x00"]
)
def test_a_source_that_answers_nonsense_ends_in_no_other_error(
    name, case_of, make, discover, httpserver, body
):
    good = case_of(name).good
    httpserver.clear()
    httpserver.expect_request(re.compile(".*")).respond_with_data(body)
    strategy = make(name, good)
    try:
        found = discover(strategy)
    except SourceError:
        return
    assert not found


# -- what each may know -----------------------------------------------------------------------------------

FORBIDDEN = {"tracker", "handlers", "runner", "tasks", "cli", "celery", "kombu", "apsw", "sqlite3"}
NAMES_A_STATUS = {"tracker_query.py"}
"""It asks for items by their status, which is a parameter of the job's author; no other strategy may."""


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_no_strategy_knows_the_tracker_celery_or_a_status(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert not FORBIDDEN & {module.partition(".")[0] for module in imported}
    assert "pipeline.lifecycle" not in imported or path.name in NAMES_A_STATUS
