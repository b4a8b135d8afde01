"""docs/adding-a-handler.md does what it says."""

from __future__ import annotations

import dataclasses
import inspect
import re
import runpy
import sys
from pathlib import Path

import pytest

from handlers.base import HandlerContext
from handlers.contract import MAX_DEPTH
from handlers.python import Python
from handlers.running import run_handler, run_handler_together
from pipeline.catalog import HANDLER, load
from pipeline.outcomes import GiveUp, Skip

PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-handler.md").read_text()
FILES = dict(re.findall(r"```python\n# file: (\S+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write the page's files where they can be imported."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py"), None)
    load.cache_clear()


def test_every_python_block_names_its_file():
    assert len(FILES) == PAGE.count("```python") == 4


def test_the_script_that_tries_the_handler_passes(written):
    runpy.run_path(str(written / "try_shout.py"))


def test_the_class_works_by_its_dotted_path(written, make_context):
    handler = load(HANDLER, "shout:Shout")({})
    assert run_handler(handler, make_context(data={"text": "hello!"})) == GiveUp("loud already")
    assert isinstance(run_handler(handler, make_context()), Skip)


def test_the_function_works_as_the_yaml_says(written, make_context):
    assert 'params: {function: "kitchen:count_words", arguments: {least: 3}}' in PAGE
    handler = Python({"function": "kitchen:count_words", "arguments": {"least": 3}})
    assert run_handler(handler, make_context(data={"text": "a b c"})) == {"words": 3}
    assert run_handler(handler, make_context(data={"text": "a"})) == Skip("only 1 words")


def test_the_handler_of_many_items_works_on_many_and_on_one(written, make_context):
    handler = load(HANDLER, "shout_together:ShoutTogether")({})
    contexts = [make_context(data={"text": "hello"}), make_context()]
    assert handler.takes_batches()
    assert run_handler_together(handler, contexts) == [{"text": "HELLO"}, GiveUp("no text")]
    assert run_handler(handler, contexts[0]) == {"text": "HELLO"}


def test_the_page_explains_everything_in_a_context():
    fields = [f"{field.name}`" for field in dataclasses.fields(HandlerContext)]
    methods = [f"{name}(" for name, found in vars(HandlerContext).items() if inspect.isfunction(found)]
    named = [name for name in [*fields, *methods] if not name.startswith("_")]
    assert [name for name in named if f"`context.{name}" not in PAGE] == []


def test_the_page_names_the_depth_that_is_enforced():
    assert f"at most {MAX_DEPTH} levels deep" in PAGE
