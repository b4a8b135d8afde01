"""`beat_schedule.py` stays what it is: jobs in, entries out. Celery's beat, and people, import it by name."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "beat_schedule.py"
BELOW = ["pipeline", "tracker", "net", "discovery", "handlers", "runner"]
ACTS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}


def list_imports(path):
    """List the modules that a file imports, at the top or anywhere else."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_it_imports_the_words_celerys_schedules_and_the_standard_library_only():
    for name in list_imports(SOURCE):
        top = name.split(".")[0]
        assert name == "celery.schedules" or top == "pipeline" or top in sys.stdlib_module_names, name


def test_it_imports_nothing_that_reads_writes_or_asks():
    modules = {name.split(".")[0] for name in list_imports(SOURCE)}
    assert not modules & {"os", "io", "pathlib", "socket", "subprocess", "sqlite3", "urllib", "http"}
    assert not set(list_imports(SOURCE)) & {"pipeline.jobs_file", "pipeline.settings"}


def test_at_import_it_only_defines():
    allowed = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.If)
    for node in ast.parse(SOURCE.read_text()).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_constant = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        is_type_check = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        assert is_docstring or is_constant or is_type_check or isinstance(node, allowed[:-1]), ast.unparse(
            node
        )


def test_nothing_in_it_reads_or_writes():
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ACTS


@pytest.mark.parametrize("package", BELOW)
def test_nothing_below_its_floor_imports_it(package):
    for path in (ROOT / package).rglob("*.py"):
        assert "beat_schedule" not in {name.split(".")[0] for name in list_imports(path)}, path
