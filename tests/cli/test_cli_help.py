from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete

from cli import exit_codes
from cli.main import COMMANDS, cli

ROOT = Path(exit_codes.__file__).parent.parent
PAGE = (ROOT / "docs" / "command-line.md").read_text()
SECTIONS = dict(
    re.findall(r"^### celeriac (\S[^\n]*)\n(.*?)(?=^##|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
)
CODES = {name: value for name, value in vars(exit_codes).items() if name.isupper()}

EVERY_HELP = """
import sys, time
from cli.main import COMMANDS, main
for arguments in [["--help"], *([*name.split(), "--help"] for name in COMMANDS)]:
    try:
        main(arguments)
    except SystemExit as ended:
        assert ended.code == 0
    if arguments == ["--help"]:
        print(time.process_time(), file=sys.stderr)
heavy = ("celery", "pydantic", "apsw", "rich", "redis", "yaml")
print(*(name for name in heavy if name in sys.modules), file=sys.stderr)
"""


def get_command(name):
    return cli.get_command(click.Context(cli), name)


def list_options(command):
    return {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    }


NOTHING = "import sys, time, click; print(time.process_time(), file=sys.stderr)"
"""What a command takes that says nothing: the processor's seconds until it could."""


def read_seconds(program):
    """Run a program three times; give the fewest seconds that it told of first, and what it told then."""
    command = [sys.executable, "-c", program]
    told = [
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr.split("\n")
        for _ in range(3)
    ]
    return min(float(seconds) for seconds, *_ in told), {tuple(more) for _, *more in told}


def test_help_is_quick_and_imports_nothing_heavy():
    least, _ = read_seconds(NOTHING)
    seconds, imported = read_seconds(EVERY_HELP)
    assert seconds < 5 * least
    assert imported == {("", "")}


def test_the_page_has_every_command_and_no_other():
    assert list(SECTIONS) == sorted(COMMANDS, key=list(SECTIONS).index)
    assert len(re.findall(r"^### celeriac", PAGE, flags=re.MULTILINE)) == len(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_every_option_and_no_other(name):
    documented = set(re.findall(r"^\| `(--[a-z-]+)", SECTIONS[name], flags=re.MULTILINE))
    assert documented == list_options(get_command(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_shows_how_a_command_is_called(name):
    assert f"`celeriac {name}" in SECTIONS[name]


def test_the_page_has_every_exit_code_and_no_other():
    rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", PAGE, flags=re.MULTILINE)
    assert {name: int(code) for code, name in rows} == CODES
    assert len(rows) == len(CODES) == len(set(CODES.values()))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_takes_anything_shows_an_example(name):
    command = get_command(name)
    assert command.name == name
    examples = re.search(r"\x08\nExamples?:\n((?:  .+\n?)+)", inspect.cleandoc(command.help))
    assert examples or not command.params
    assert not examples or f"celeriac {name}" in examples[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name):
    assert all(option.help for option in get_command(name).params if isinstance(option, click.Option))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_cuts_no_sentence_short(name):
    assert not get_command(name).get_short_help_str(limit=60).endswith("...")


def test_examples_stand_in_the_help_line_by_line(call):
    assert "\n    celeriac results demo summarise\n" in call("results", "--help").out


def test_an_unknown_command_names_the_nearest(call):
    ended = call("statsu")
    assert ended.code == exit_codes.INVALID
    assert "did you mean 'status'?" in ended.err


@pytest.mark.parametrize(
    ("said", "meant"), [("artifacts lst", "artifacts list"), ("new handlr", "new handler")]
)
def test_an_unknown_second_word_of_a_command_names_the_nearest(call, said, meant):
    ended = call(*said.split())
    assert ended.code == exit_codes.INVALID
    assert f"No such command '{said}'; did you mean '{meant}'?" in ended.err


@pytest.mark.parametrize(
    ("said", "named", "there"),
    [
        ("new", "new", "new handler, new strategy"),
        ("new --help", "new", "new handler, new strategy"),
        ("artifacts foo", "artifacts foo", "artifacts list, artifacts show, artifacts gc, artifacts verify"),
    ],
)
def test_a_second_word_that_is_missing_or_like_no_other_names_those_that_there_are(call, said, named, there):
    ended = call(*said.split())
    assert ended.code == exit_codes.INVALID
    assert f"No such command '{named}'; there are: {there}" in ended.err


def test_what_is_still_being_completed_is_not_refused():
    completion = BashComplete(cli, {}, "celeriac", "_CELERIAC_COMPLETE")
    assert "status" in [one.value for one in completion.get_completions(["statsu"], "")]


def test_a_command_that_is_like_no_other_is_refused(call):
    assert call("xyzzy").code == exit_codes.INVALID


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "notes", "--limit", "0"], ["items", "notes", "--status", "x"]]
)
def test_a_wrong_command_line_shows_how_it_is_written(call, arguments):
    ended = call(*arguments)
    assert ended.code == exit_codes.INVALID
    assert "Usage: celeriac" in ended.err


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_the_completion_script_is_for_celeriac(call, shell_name):
    ended = call("completion", shell_name)
    assert ended.code == 0
    assert "_CELERIAC_COMPLETE" in ended.out


def test_commands_and_options_are_completed():
    completion = BashComplete(cli, {}, "celeriac", "_CELERIAC_COMPLETE")
    assert [one.value for one in completion.get_completions([], "stat")] == ["status"]
    assert [one.value for one in completion.get_completions(["items"], "--st")] == ["--status", "--stage"]


def test_a_command_may_have_two_words(call):
    assert "Usage: celeriac sources test [OPTIONS] STRATEGY" in call("sources", "test", "--help").out


def test_a_job_may_be_called_as_the_second_word_of_a_command(call, tracked):
    assert "no job 'test'" in call("sources", "--", "test").err


INTEGERS = (click.IntRange, click.types.IntParamType)
JUDGED_WITH_ITS_ITEM = {("enqueue", "priority")}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_takes_an_integer_that_sqlite_does_not(name):
    for parameter in get_command(name).params:
        if isinstance(parameter.type, INTEGERS) and (name, parameter.name) not in JUDGED_WITH_ITS_ITEM:
            with pytest.raises(click.BadParameter):
                parameter.type.convert(str(2**63 - 1), parameter, None)
