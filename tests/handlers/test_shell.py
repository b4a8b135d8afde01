"""The handler `shell`, with real processes."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from handlers.running import run_handler
from handlers.shell import CommandFailedError, Shell
from pipeline.errors import PluginError
from pipeline.outcomes import GiveUp, RetryLater, Skip
from tests.waiting import PATIENCE_SECONDS, wait_until

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="found by /proc")
START_DAEMON = """
(setsid sh -c 'echo $$ > "$1"; exec sleep 60' - "$1" &)
while [ ! -s "$1" ]; do sleep 0.05; done
"""


@pytest.fixture
def run(make_context):
    def run(command, seconds=30.0, stop_asked=lambda: False, data=None, results=None, **params):
        deadline = datetime.now(UTC) + timedelta(seconds=seconds)
        context = make_context(
            deadline=deadline, stop_asked=stop_asked, data=data or {}, results=results or {}
        )
        return run_handler(Shell({"command": command, **params}), context)

    return run


@pytest.fixture
def pid_file(tmp_path):
    """A file for a process id; whoever is still there at the end is killed."""
    path = tmp_path / "pid"
    yield path
    with suppress(OSError, ValueError):
        os.kill(int(path.read_text()), signal.SIGKILL)


def is_gone(path):
    """Tell whether the process whose id stands in a file has ended."""
    pid = int(path.read_text())
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


# -- what it is given -------------------------------------------------------------------------------------


def test_arguments_are_templates_and_no_shell_reads_them(run):
    hostile = "$(touch owned); `id` && rm -rf / '\" * \n"
    result = run(["printf", "%s|%s", "{{ item.title }}", "$HOME"], data={"title": hostile})
    assert result == {"exit_code": 0, "stdout": f"{hostile}|$HOME", "bytes": len(hostile) + 6}


def test_the_program_is_no_template():
    with pytest.raises(ValidationError, match="items must not choose it"):
        Shell({"command": ["{{ item.program }}"]})


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"command": ["echo", "a\0b"]}, "an argument cannot hold the character NUL"),
        ({"folder": "a\0b"}, "a path cannot hold the character NUL"),
        ({"env": {"TOKEN": "s3cret\0"}}, "the value of TOKEN cannot hold the character NUL"),
        ({"env": {"A\0B": "s3cret"}}, "is no name of a variable"),
        ({"env": {"A=B": "s3cret"}}, "'A=B' is no name of a variable"),
        ({"env": {"": "s3cret"}}, "'' is no name of a variable"),
    ],
)
def test_what_no_command_can_be_given_is_refused_when_the_file_is_checked(params, told):
    with pytest.raises(ValidationError, match=told) as caught:
        Shell({"command": ["echo"], **params})
    assert "s3cret" not in str(caught.value)


def test_a_name_that_no_template_knows_is_refused_at_once():
    with pytest.raises(ValidationError, match="a template knows no 'titel'"):
        Shell({"command": ["echo", "{{ titel }}"]})


def test_a_field_that_is_not_there_is_given_up_by_name(run):
    outcome = run(["echo", "{{ item.titel }}"], data={"title": "x"})
    assert isinstance(outcome, GiveUp)
    assert "did you mean 'title'?" in outcome.reason


def test_a_nul_in_an_argument_is_given_up(run):
    assert "NUL" in run(["echo", "{{ item.title }}"], data={"title": "a\0b"}).reason


def test_an_argument_too_long_for_the_system_is_given_up(run):
    assert "cannot be run" in run(["echo", "{{ item.title }}"], data={"title": "x" * 300_000}).reason


def test_stdin_is_a_template_or_the_item_or_empty(run):
    given = {"data": {"title": "Grüße"}, "results": {"fetch": {"text": "t"}}}
    assert run(["cat"], stdin="{{ item.title }}", **given)["stdout"] == "Grüße"
    assert json.loads(run(["cat"], stdin="item", **given)["stdout"]) == {"key": "k1", **given}
    assert run(["cat"], **given)["stdout"] == ""


def test_a_command_that_reads_none_of_much_stdin_does_not_hang(run):
    assert run(["true"], stdin="{{ item.text }}", data={"text": "x" * 5_000_000})["exit_code"] == 0


def test_it_sees_the_variables_that_are_named_and_no_other(run, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-worker")
    monkeypatch.setenv("EDITOR", "ed")
    seen = run(["env"], env={"TOKEN": "t"}, inherit=["PATH", "EDITOR"])["stdout"]
    names = {line.partition("=")[0] for line in seen.splitlines()}
    assert names - {"PWD", "SHLVL", "_"} == {"PATH", "EDITOR", "TOKEN", "CELERIAC_COMMAND"}


def test_it_works_in_the_folder_named(run, tmp_path):
    assert run(["pwd", "-P"], folder=str(tmp_path))["stdout"].strip() == str(tmp_path.resolve())


@pytest.mark.parametrize(
    ("command", "more"),
    [(["no-such-program-here"], {}), (["/etc/passwd"], {}), (["true"], {"folder": "/no/such/folder"})],
)
def test_what_cannot_be_run_is_given_up(run, command, more):
    outcome = run(command, **more)
    assert isinstance(outcome, GiveUp)
    assert "cannot be run" in outcome.reason


# -- how it ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "kind"), [(3, Skip), (4, GiveUp), (5, RetryLater), (75, RetryLater)])
def test_exit_codes_mean_what_the_parameters_say(run, code, kind):
    codes = {"skip_codes": [3], "give_up_codes": [4], "later_codes": [5, 75], "later": "2m"}
    outcome = run(["sh", "-c", f"echo because >&2; exit {code}"], **codes)
    assert type(outcome) is kind
    assert outcome.reason == f"sh ended with exit code {code}: because"
    assert getattr(outcome, "delay", 120) == 120


def test_any_other_exit_code_is_left_to_the_stages_retries(run):
    with pytest.raises(CommandFailedError, match=r"^sh ended with exit code 2: oh no$"):
        run(["sh", "-c", "echo oh no; exit 2"])


def test_a_command_that_a_signal_ends_is_left_to_the_stages_retries(run):
    with pytest.raises(CommandFailedError, match="sh ended with signal 9"):
        run(["sh", "-c", "kill -9 $$"])


def test_a_code_cannot_mean_two_things():
    with pytest.raises(ValidationError, match="75 cannot mean two things"):
        Shell({"command": ["x"], "skip_codes": [75]})
    with pytest.raises(ValidationError, match="0 cannot mean two things"):
        Shell({"command": ["x"], "give_up_codes": [0]})


def test_only_the_end_of_what_it_said_stands_in_the_error_and_no_secret_of_its_own(run):
    with pytest.raises(CommandFailedError) as failed:
        run(["sh", "-c", "yes | head -c 99999 >&2; echo $TOKEN >&2; exit 1"], env={"TOKEN": "s3cret"})
    assert len(str(failed.value)) < 2100
    assert str(failed.value).endswith("…")


def test_where_nobody_hears_of_the_end_of_children_it_refuses_to_guess(run):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with pytest.raises(PluginError, match="no command's exit code"):
            run(["false"])
    finally:
        signal.signal(signal.SIGCHLD, before)


# -- what it prints ---------------------------------------------------------------------------------------


def test_more_than_fits_is_cut_at_a_character_and_all_of_it_is_an_artifact(make_context):
    context = make_context(data={"text": "ä" * 1000})
    handler = Shell({"command": ["cat"], "stdin": "{{ item.text }}", "max_stdout_bytes": 101})
    result = run_handler(handler, context)
    assert (result["stdout"], result["bytes"]) == ("ä" * 50, 2000)
    assert context.open_artifact(result["stdout_file"]).read_text() == "ä" * 1000


def test_what_is_no_text_is_an_artifact(make_context):
    context = make_context()
    result = run_handler(Shell({"command": ["printf", r"\377\376"]}), context)
    assert result["stdout"] == "\ufffd\ufffd"
    assert context.open_artifact(result["stdout_file"]).read_bytes() == b"\xff\xfe"


def test_a_command_that_prints_without_end_is_stopped_and_given_up(run):
    outcome = run(["yes"], max_output_bytes=100_000)
    assert outcome == GiveUp("yes: it printed more than 100,000 bytes")
    assert "more than" in run(["sh", "-c", "yes >&2"], max_output_bytes=100_000).reason


def test_json_becomes_a_value(run):
    assert run(["echo", '{"a": [1]}'], stdout="json") == {"exit_code": 0, "json": {"a": [1]}, "bytes": 11}


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a": 1e999}', "[" * 100_000, "[" * 600 + "]" * 600])
def test_what_is_no_json_is_given_up(run, text):
    outcome = run(["cat"], stdin="{{ item.text }}", data={"text": text}, stdout="json")
    assert isinstance(outcome, GiveUp)
    assert "JSON" in outcome.reason


# -- what it leaves behind --------------------------------------------------------------------------------


def test_at_the_deadline_all_of_it_is_ended(run, pid_file):
    with pytest.raises(TimeoutError, match="its time was up"):
        run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], seconds=1.0)
    assert is_gone(pid_file)


def test_one_that_does_not_hear_sigterm_is_killed(run, pid_file):
    script = f"trap '' TERM; echo $$ > {pid_file}; while :; do sleep 0.1; done"
    with pytest.raises(TimeoutError):
        run(["sh", "-c", script], seconds=0.5)
    assert is_gone(pid_file)


def test_one_that_forks_and_hangs_with_the_output_open_does_not_hold_the_stage(run, pid_file):
    result = run(["sh", "-c", f"sleep 1000 & echo $! > {pid_file}; echo done"])
    assert result["stdout"] == "done\n"
    assert is_gone(pid_file)


@LINUX
def test_a_daemon_that_left_its_session_is_ended_too(run, pid_file):
    run(["sh", "-c", START_DAEMON, "-", str(pid_file)])
    assert is_gone(pid_file)


@LINUX
def test_a_daemon_that_runs_for_a_while_is_ended_at_the_deadline(run, pid_file):
    with pytest.raises(TimeoutError):
        run(["sh", "-c", f"{START_DAEMON}sleep 60", "-", str(pid_file)], seconds=3.0)
    assert is_gone(pid_file)


def test_it_is_ended_when_the_stage_is_taken_away(run, pid_file):
    asked = threading.Event()

    def ask():
        wait_until(lambda: pid_file.exists() and pid_file.read_text().strip())
        asked.set()

    thread = threading.Thread(target=ask)
    thread.start()
    with pytest.raises(TimeoutError):
        run(["sh", "-c", f"echo $$ > {pid_file}; sleep 60"], stop_asked=asked.is_set)
    thread.join()
    assert is_gone(pid_file)


class TimeLimitError(Exception):
    """What a worker raises in the middle of anything."""


def test_a_time_limit_that_is_raised_in_the_middle_ends_it_all(run, pid_file):
    def strike(*_):
        raise TimeLimitError

    before = signal.signal(signal.SIGUSR1, strike)
    main = threading.main_thread().ident

    def limit():
        wait_until(lambda: pid_file.exists() and pid_file.read_text().strip())
        signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=limit)
    try:
        thread.start()
        with pytest.raises(TimeLimitError):
            run(["sh", "-c", f"echo $$ > {pid_file}; sleep 60"])
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert is_gone(pid_file)


def test_other_commands_are_left_alone(run, pid_file, tmp_path):
    other = tmp_path / "other"
    thread = threading.Thread(
        target=lambda: run(["sh", "-c", f"echo $$ > {pid_file}; while [ ! -e {other} ]; do sleep 0.05; done"])
    )
    thread.start()
    wait_until(lambda: pid_file.exists() and pid_file.read_text().strip())
    run(["true"])
    assert not is_gone(pid_file)
    other.touch()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_who_is_asked_to_end_is_asked_once(run, tmp_path):
    begun, asked = tmp_path / "begun", tmp_path / "asked"
    script = f"trap 'echo x >> {asked}' TERM; echo > {begun}; for n in 1 2 3 4 5 6 7 8; do sleep 0.1; done"
    with pytest.raises(TimeoutError, match="stopped"):
        run(["sh", "-c", script], stop_asked=begun.exists)
    assert asked.read_text() == "x\n"
