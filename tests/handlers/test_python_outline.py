"""The handler `python_outline`, on real Python."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

import pytest

from handlers.python_outline import PythonOutline
from handlers.running import run_handler
from pipeline.outcomes import GiveUp, Skip

STDLIB = Path(sysconfig.get_path("stdlib"))

MODULE = '''
"""Say what it is.

And more.
"""

# a comment
import os, json.decoder
from . import sibling
from ..above import name
from typing import Any

TEXT = """
# not a comment
"""


class Tree:
    """A tree."""

    def grow(self):
        """Grow."""
        import late

        def inner(): ...

    async def wait(self): ...

    class Leaf: ...


if os.name == "nt":
    def windows(): ...
else:
    try:
        def unix(): """On Unix."""
    except ImportError:
        def neither(): ...
'''


@pytest.fixture
def outline(make_context):
    """Outline a text as the result of a stage `read`."""

    def run(text: str, path: str = "/src/pkg/mod.py", key: str = "pkg/mod.py"):
        results = {"read": {"text": text, "path": path}}
        return run_handler(PythonOutline({}), make_context(key=key, results=results))

    return run


def test_classes_are_listed_with_their_methods(outline):
    methods = [
        {"name": "grow", "line": 21, "docstring": "Grow."},
        {"name": "wait", "line": 27, "docstring": None},
    ]
    tree = {"name": "Tree", "line": 18, "docstring": "A tree.", "methods": methods}
    assert outline(MODULE)["classes"] == [tree]


def test_functions_are_listed_also_under_if_and_try_but_not_inside_others(outline):
    found = [(function["name"], function["docstring"]) for function in outline(MODULE)["functions"]]
    assert found == [("windows", None), ("unix", "On Unix."), ("neither", None)]


def test_imports_are_listed_wherever_they_stand(outline):
    assert outline(MODULE)["imports"] == [".", "..above", "json.decoder", "late", "os", "typing"]


def test_the_docstring_is_the_modules(outline):
    assert outline(MODULE)["docstring"] == "Say what it is.\n\nAnd more."


def test_code_lines_leave_out_blank_lines_comments_and_docstrings(outline):
    assert outline('"""Doc."""\n\n# comment\nx = 1  # counts\ny = """\n# text\n"""\n')["code_lines"] == 4
    assert outline('def f():\n    """Doc\n\n    more."""\n    return 1\n')["code_lines"] == 2


def test_an_empty_file_has_an_empty_outline(outline):
    assert outline("", "/src/pkg/__init__.py", "pkg/__init__.py") == {
        "module": "pkg",
        "docstring": None,
        "classes": [],
        "functions": [],
        "imports": [],
        "lines": 0,
        "code_lines": 0,
    }


@pytest.mark.parametrize(
    ("path", "key", "module"),
    [
        ("/lib/json/decoder.py", "json/decoder.py", "json.decoder"),
        ("/lib/json/__init__.py", "json/__init__.py", "json"),
        ("/lib/json/decoder.py", "0f3a9c", "decoder"),
        ("/lib/json/__init__.py", "0f3a9c", "json"),
        ("/lib/json/decoder.py", "/lib/json/decoder.py", "decoder"),
        ("__init__.py", "__init__.py", "__init__"),
    ],
)
def test_a_module_is_named_as_an_import_would_as_far_as_the_key_tells(outline, path, key, module):
    assert outline("x = 1\n", path, key)["module"] == module


def test_windows_newlines_change_nothing(outline):
    assert outline(MODULE.replace("\n", "\r\n")) == outline(MODULE)


@pytest.mark.parametrize("name", ["heapq.py", "json/decoder.py", "asyncio/tasks.py", "typing.py"])
def test_the_standard_librarys_own_modules_are_outlined(outline, name):
    text = (STDLIB / name).read_text()
    result = outline(text, str(STDLIB / name), name)
    assert result["docstring"] == ast.get_docstring(ast.parse(text))
    assert result["functions"]
    assert 0 < result["code_lines"] < result["lines"]


def test_what_is_not_python_is_given_up_with_the_line(outline):
    assert outline("x = 1\nprint 'hello'\n").reason.startswith(
        "not valid Python: line 2: Missing parentheses"
    )


def test_a_null_byte_is_given_up(outline):
    assert "null bytes" in outline("x = 1\0").reason


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000 + ")" * 100_000,
        "-" * 100_000 + "1",
        "a" + ".a" * 100_000,
        "a" + "()" * 100_000,
        "1" + "+1" * 100_000,
        "lambda:" * 100_000 + "1",
        "if 1:\n pass\n" + "elif 1:\n pass\n" * 20_000,
    ],
    ids=["parentheses", "minus", "attributes", "calls", "sum", "lambdas", "elifs"],
)
def test_nesting_beyond_the_parser_is_given_up(outline, text):
    assert isinstance(outline(text), GiveUp)


def test_a_warning_about_somebodys_source_is_not_ours(outline):
    assert outline("x = '\\d'\nassert (1, 'always')\n")["lines"] == 2


def test_the_text_may_be_taken_from_a_named_stage(make_context):
    results = {"first": {"text": "a = 1"}, "second": {"text": "def f(): ..."}}
    context = make_context(results=results)
    assert run_handler(PythonOutline({}), context)["functions"]
    assert not run_handler(PythonOutline({"text_from": "first"}), context)["functions"]


def test_an_item_may_bring_its_text_along(make_context):
    assert run_handler(PythonOutline({}), make_context(data={"text": "import os"}))["imports"] == ["os"]


def test_when_the_stages_it_needs_were_skipped_it_is_skipped_too(make_context):
    assert run_handler(PythonOutline({}), make_context()) == Skip("no result to work on")
    assert isinstance(
        run_handler(PythonOutline({"text_from": "read"}), make_context(data={"text": "x"})), Skip
    )


def test_results_without_a_text_are_a_mistake_in_jobs_yaml(make_context):
    outcome = run_handler(PythonOutline({}), make_context(results={"count": {"n": 1}}))
    assert outcome.reason == "no text in 'text' of the results of: count; set `needs` or `text_from`"
