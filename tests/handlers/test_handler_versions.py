"""The version of what a handler makes."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest

import handlers.article  # noqa: F401 - in sys.modules
from handlers.python import Python, import_function
from handlers.read_file import ReadFile
from handlers.versions import handler_version
from pipeline.catalog import HANDLER, load
from pipeline.sources import OWN_PACKAGES, spell_sources
from pipeline.versions import hash_version

SOURCE = (
    "from handlers.base import Handler\nclass Mine(Handler):\n    def run(self, context): return {{{}}}\n"
)

FUNCTION = "def work(context):\n    return {}\n"


def test_a_declared_version_is_the_version():
    class Declared(ReadFile):
        VERSION = "2026-11"

    assert handler_version(Declared, {"path": "x"}) == "2026-11"


def test_a_declared_number_is_a_text_as_the_tracker_holds_it():
    class Counted(ReadFile):
        VERSION = 3

    assert handler_version(Counted, {}) == "3"


def test_without_one_it_is_twelve_hex_digits():
    version = handler_version(ReadFile, {})
    assert len(version) == 12
    assert set(version) <= set("0123456789abcdef")


def test_changed_parameters_make_another_version():
    assert handler_version(ReadFile, {"max_bytes": 1}) != handler_version(ReadFile, {"max_bytes": 2})


def test_the_order_of_the_parameters_does_not_count():
    assert handler_version(ReadFile, {"a": 1, "b": 2}) == handler_version(ReadFile, {"b": 2, "a": 1})


def test_a_read_only_mapping_counts_as_the_dict_it_shows():
    assert handler_version(ReadFile, MappingProxyType({"a": 1})) == handler_version(ReadFile, {"a": 1})


def test_another_process_finds_the_same_version():
    code = (
        "from handlers.read_file import ReadFile\n"
        "from handlers.versions import handler_version\n"
        "print(handler_version(ReadFile, {'a': 1}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == handler_version(ReadFile, {"a": 1})


def test_two_handlers_in_one_module_have_two_versions(user_module):
    source = SOURCE.format("") + "\n\nclass Other(Handler):\n    pass\n"
    module = importlib.import_module(user_module(source))
    assert handler_version(module.Mine, {}) != handler_version(module.Other, {})


def test_a_changed_source_makes_another_version(user_module):
    first = handler_version(importlib.import_module(user_module(SOURCE.format("'a': 1"), "mine_a")).Mine, {})
    second = handler_version(importlib.import_module(user_module(SOURCE.format("'a': 2"), "mine_b")).Mine, {})
    again = handler_version(importlib.import_module(user_module(SOURCE.format("'a': 2"), "mine_c")).Mine, {})
    assert first != second == again


def test_a_handler_that_was_edited_after_it_was_loaded_has_the_version_of_what_runs(user_module):
    before = handler_version(
        importlib.import_module(user_module(SOURCE.format("'a': 1"), "as_it_was")).Mine, {}
    )
    name = user_module(SOURCE.format("'a': 1"), "edited_later")
    loaded = load(HANDLER, f"{name}:Mine")
    Path(sys.modules["edited_later"].__file__).write_text(SOURCE.format("'a': 2"))
    assert handler_version(loaded, {}) == before


def test_a_function_that_was_edited_after_it_was_loaded_has_the_version_of_what_runs(user_module):
    import_function(f"{user_module(FUNCTION, 'work_edited_later')}:work")
    Path(sys.modules["work_edited_later"].__file__).write_text(FUNCTION.replace("{}", "{'b': 1}"))
    code = spell_sources([sys.modules["work_edited_later"]])
    assert code == spell_sources([importlib.import_module(user_module(FUNCTION, "work_as_it_was"))])


def test_the_source_of_a_users_function_counts_whether_or_not_it_is_imported_yet(user_module):
    params = {"function": f"{user_module(FUNCTION)}:work"}
    version = handler_version(Python, params)
    modules = Python.list_source_modules(params)
    assert [module.__name__ for module in modules] == ["handlers.python", "users_own_module"]
    assert handler_version(Python, params) == version


def test_a_function_that_does_not_import_still_has_a_version():
    assert handler_version(Python, {"function": "${MINE}:work"}) != handler_version(
        Python, {"function": "absent:work"}
    )


def test_a_class_without_a_source_counts_by_its_name():
    scope = {"__name__": "typed_at_a_prompt"}
    exec("from handlers.base import Handler\nclass Mine(Handler): pass", scope)  # noqa: S102
    assert handler_version(scope["Mine"], {}) == handler_version(scope["Mine"], {})


def test_a_comment_and_the_layout_make_no_new_version_but_a_line_of_code_does(user_module):
    plain = SOURCE.format("'a': 1")
    commented = "# why it is so\n\n" + plain.replace("\n", "\n\n")
    versions = [
        handler_version(importlib.import_module(user_module(text, name)).Mine, {})
        for text, name in ((plain, "said_a"), (commented, "said_b"), (plain + "\nX = 1\n", "said_c"))
    ]
    assert versions[0] == versions[1] != versions[2]


def find_version(folder, source, module="kitchen.mine", **beside):
    """Tell the version of a handler in a user's own module, among others, as a new process would find it."""
    house = Path(tempfile.mkdtemp(dir=folder))
    place = house.joinpath(*module.split(".")[:-1])
    for name, text in {"__init__": "", "deep/__init__": "", **beside, "mine": source}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.py").write_text(text)
    made = ModuleType(module)
    made.__file__ = str(place / "mine.py")
    return hash_version("Mine", [made], {})


def test_a_docstring_is_a_comment(tmp_path):
    plain = SOURCE.format("'a': 1")
    said = '"""A module."""\n' + plain.replace(
        "Mine(Handler):\n", 'Mine(Handler):\n    """A class."""\n'
    ).replace("return", "'''A method.'''; return")
    assert find_version(tmp_path, plain) == find_version(tmp_path, said)
    assert find_version(tmp_path, plain) != find_version(
        tmp_path, plain.replace("return", "'a'; 'b'; return")
    )


@pytest.mark.parametrize(
    "line",
    [
        "from kitchen.salt import pinch",
        "from .salt import pinch",
        "from . import salt",
        "import kitchen.salt",
        "from kitchen.deep.pepper import grind",
    ],
)
def test_the_modules_of_its_package_that_it_imports_from_count_and_so_do_theirs(tmp_path, line):
    source = f"{line}\n{SOURCE.format('')}"
    pepper = {"deep/pepper": "from ..salt import pinch\ngrind = 1\n"}
    first = find_version(tmp_path, source, salt="pinch = 1  # of sea salt\n", **pepper)
    commented = find_version(tmp_path, source, salt="pinch = 1\n", **pepper)
    changed = find_version(tmp_path, source, salt="pinch = 2\n", **pepper)
    assert first == commented != changed


def test_a_module_that_is_not_imported_from_does_not_count(tmp_path):
    source = (
        f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import kitchen.salt\n{SOURCE.format('')}"
    )
    assert find_version(tmp_path, source, salt="pinch = 1\n") == find_version(
        tmp_path, source, salt="pinch = 2\n"
    )


def test_a_module_outside_any_package_counts_with_what_lies_beside_it(tmp_path):
    source = f"import json\nimport salt\n{SOURCE.format('')}"
    first, same, other = (find_version(tmp_path, source, "mine", salt=f"pinch = {n}\n") for n in (1, 1, 2))
    assert first == same != other


def test_every_package_that_is_shipped_is_our_own():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert {name for name in shipped if not name.endswith(".py")} == OWN_PACKAGES


def test_helpers_of_our_own_handlers_count_and_the_contract_does_not():
    spelled = spell_sources([sys.modules[ReadFile.__module__], sys.modules["handlers.article"]])
    assert spell_sources([sys.modules["handlers.inputs"]])[0] in spelled
    assert spell_sources([sys.modules["handlers.base"]]) == []


def test_what_a_variable_stands_for_is_not_part_of_the_version(monkeypatch):
    monkeypatch.setenv("PLACE", "one")
    first = handler_version(ReadFile, {"path": "${PLACE}"})
    monkeypatch.setenv("PLACE", "two")
    assert (
        handler_version(ReadFile, {"path": "${PLACE}"}) == first != handler_version(ReadFile, {"path": "two"})
    )
