"""`celeriac new`: what it writes works unchanged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from cli import exit_codes
from cli.new_files import add_to_table
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(cli.__file__).parent.parent
PACKAGES = ["cli", "discovery", "handlers", "net", "pipeline", "runner", "tasks", "tracker"]


def run_tool(folder, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env={**os.environ, "MYPYPATH": "", **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(folder, shell_each):
    """A user's project with a new handler and a new strategy."""
    for ended in shell_each(["new handler word_count", "new strategy bulletin"]):
        assert ended.code == exit_codes.OK, ended.err
    return folder


def test_a_project_gets_a_handler_and_a_strategy_with_their_tests(project):
    written = sorted(str(path.relative_to(project)) for path in project.glob("my_*/*.py"))
    assert written == [
        "my_handlers/__init__.py",
        "my_handlers/test_word_count.py",
        "my_handlers/word_count.py",
        "my_strategies/__init__.py",
        "my_strategies/bulletin.py",
        "my_strategies/test_bulletin.py",
    ]


def test_a_file_where_the_folder_belongs_is_named(shell, folder):
    (folder / "my_handlers").write_text("")
    ended = shell("new", "handler", "word_count")
    assert (ended.code, ended.err) == (
        exit_codes.UNUSABLE,
        "celeriac: cannot write my_handlers: File exists\n",
    )


def test_a_link_that_leads_nowhere_is_not_written_over(shell, folder):
    (folder / "my_handlers").mkdir()
    (folder / "my_handlers" / "word_count.py").symlink_to("gone.py")
    ended = shell("new", "handler", "word_count")
    assert (ended.code, "exists already; nothing was written" in ended.err) == (exit_codes.INVALID, True)


@pytest.mark.parametrize(
    ("word", "module"), [("handler", "my_handlers.py"), ("strategy", "my_strategies.py")]
)
def test_a_module_that_the_new_folder_would_hide_is_named_and_nothing_written(shell, folder, word, module):
    (folder / module).write_text("")
    ended = shell("new", word, "word_count")
    assert ended.code == exit_codes.INVALID
    assert f"would hide {module} from Python: give that file another name" in ended.err
    assert list(folder.glob("my_*")) == [folder / module]


def test_what_is_written_passes_its_own_tests_unchanged(project):
    (project / "pytest.ini").write_text("[pytest]\n")
    assert "4 passed" in run_tool(
        project, "pytest", "-q", "-p", "no:randomly", "my_handlers", "my_strategies"
    )


def test_what_is_written_passes_the_linter_and_the_formatter_unchanged(project):
    places, usual = ["my_handlers", "my_strategies"], ["--isolated", "--no-cache", "--line-length", "110"]
    run_tool(project, "ruff", "check", "--isolated", "--no-cache", *places)
    run_tool(project, "ruff", "check", *usual, "--select", "E,F,W,I,B,UP,N,RUF,SIM,TC,PT", *places)
    run_tool(project, "ruff", "format", *usual, "--check", *places)


def test_what_is_written_passes_the_strict_type_checker_unchanged(project):
    said = run_tool(project, "mypy", "--strict", "--cache-dir", "types", "my_handlers", "my_strategies")
    assert "no issues found in 6 source files" in said


def test_what_is_written_can_be_tried_and_described_at_once(project, shell_each, shell):
    ended = shell("try", "my_handlers.word_count:WordCount", "--json", given='{"text": "one two"}')
    assert json.loads(ended.out)["ran"]["result"] == {"words": 2}
    handler, strategy = shell_each(
        ["handlers my_handlers.word_count:WordCount", "strategies my_strategies.bulletin:Bulletin"]
    )
    assert "- name: word_count\n  handler: my_handlers.word_count:WordCount" in handler.out
    assert "my_strategies.bulletin:Bulletin" in strategy.out


def test_it_says_what_to_do_next(shell):
    ended = shell("new", "handler", "word_count")
    assert "wrote my_handlers/word_count.py" in ended.out
    assert (
        'use it, under stages: in jobs.yaml:  - {name: word_count, handler: "my_handlers.word_count:WordCount"}'
        in (ended.err)
    )


def test_nothing_is_written_over_and_then_nothing_is_written_at_all(folder, shell):
    (folder / "my_handlers").mkdir()
    (folder / "my_handlers" / "test_word_count.py").write_text("mine")
    ended = shell("new", "handler", "word_count")
    assert (ended.code, "exists already; nothing was written" in ended.err) == (exit_codes.INVALID, True)
    assert [path.name for path in (folder / "my_handlers").iterdir()] == ["test_word_count.py"]
    assert (folder / "my_handlers" / "test_word_count.py").read_text() == "mine"


def test_a_second_one_joins_the_first(project, shell):
    assert shell("new", "handler", "letters").code == exit_codes.OK
    assert sorted(path.name for path in (project / "my_handlers").glob("*.py")) == [
        "__init__.py",
        "letters.py",
        "test_letters.py",
        "test_word_count.py",
        "word_count.py",
    ]


@pytest.mark.parametrize("name", ["Word", "word-count", "../word", "class", "", "a" * 70, "1st", "wörter"])
def test_what_is_no_name_for_a_module_is_refused(shell, folder, name):
    ended = shell("new", "handler", name)
    assert (ended.code, "is no name for a module" in ended.err) == (exit_codes.INVALID, True)
    assert not (folder / "my_handlers").exists()


# -- Celeriac's own checkout ------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of Celeriac's checkout, and how to run a command in it."""
    copy = tmp_path / "checkout"
    unwanted = shutil.ignore_patterns("__pycache__", "recordings", "corpus")
    for name in [*PACKAGES, "tests/handlers", "tests/discovery"]:
        shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
    for name in ("pyproject.toml", "beat_schedule.py"):
        shutil.copy(ROOT / name, copy)
    monkeypatch.setenv("PYTHONPATH", str(copy))
    return copy


def test_inside_the_checkout_the_catalogue_has_it_and_the_conformance_tests_pass(checkout):
    run_tool(checkout, "cli.main", "new", "handler", "word_count")
    run_tool(checkout, "cli.main", "new", "strategy", "bulletin")
    known = run_tool(checkout, "cli.main", "handlers") + run_tool(checkout, "cli.main", "strategies")
    assert "word_count" in known
    assert "bulletin" in known
    places = ["tests/handlers/test_handlers_conform.py", "tests/discovery/test_strategy_conformance.py"]
    own = ["tests/handlers/test_word_count.py", "tests/discovery/test_bulletin.py"]
    said = run_tool(checkout, "pytest", "-q", "-k", "word_count or bulletin", *places, *own)
    assert "failed" not in said
    written = [path for path in checkout.rglob("*.py") if path.stem.endswith(("word_count", "bulletin"))]
    assert len(written) == 6
    lint = ["--no-cache", *map(str, written), "pipeline/catalog.py"]
    run_tool(checkout, "ruff", "check", *lint)
    run_tool(checkout, "ruff", "format", "--check", *lint)


def test_a_name_in_the_catalogue_is_not_taken_again(checkout):
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "new", "handler", "fetch"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == exit_codes.INVALID
    assert "'fetch' is in the catalogue already" in done.stderr


def test_a_line_of_the_catalogue_has_its_place_by_name():
    source = 'A = {\n    "a": "x",\n}\n\nHANDLERS = {\n    "a": "x",\n    "c": "z",\n}\nB = {\n}\n'
    assert add_to_table(source, "HANDLERS", "b", "y") == source.replace(
        '"x",\n    "c"', '"x",\n    "b": "y",\n    "c"'
    )
