"""What `tests.commands` forks is what a process is that was started for a command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import Ended, get_commands

MIRROR = """
import atexit, gc, os, signal, sys, threading
from handlers.base import Handler

class Mirror(Handler):
    '''Tell all that a process is made with.'''

    def run(self, context):
        atexit.register(print, "ended")
        handled = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)
        return {
            "said": context.data,
            "program": [sys.modules["__main__"].__spec__.name, sys.argv, "tasks" in sys.modules],
            "place": [os.getcwd(), sys.path, dict(os.environ), sorted(os.listdir("/dev/fd"))],
            "signals": [[str(signal.getsignal(one)) for one in handled], [*signal.pthread_sigmask(0, [])]],
            "machine": [gc.isenabled(), gc.get_threshold(), threading.active_count()],
            "streams": [
                [one.fileno(), one.encoding, one.errors, one.line_buffering, one.write_through, one.seekable()]
                for one in (sys.stdin, sys.stdout, sys.stderr)
            ],
        }

class Breaking(Handler):
    '''End in the middle of a line.'''

    def run(self, context):
        print("so far", end="")
        os.kill(os.getpid(), signal.SIGTERM)
"""


def start_anew(*words, given):
    command = [sys.executable, "-m", "cli.main", *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=os.environ, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("--help", ""),
        ("sttus", ""),
        ("try mirror:Mirror", '{"text": "Grüße", "long": "%s"}' % ("x" * 200_000)),
        ("try mirror:Breaking", "{}"),
    ],
)
def test_a_fork_says_what_a_process_says_and_ends_as_it_does(folder, words, given):
    (folder / "mirror.py").write_text(MIRROR)
    commands = get_commands()
    assert commands.can_fork(os.environ)
    forked = commands.run(words.split(), os.environ, Path.cwd(), given=given)
    started = start_anew(*words.split(), given=given)
    assert (forked.code, forked.out) == (started.code, started.out)
    assert strike_seconds(forked.err) == strike_seconds(started.err)


def strike_seconds(text):
    return re.sub(r"\d+\.\d s", "", text)


def test_where_a_fork_would_be_another_thing_a_process_is_started(folder, monkeypatch):
    commands = get_commands()
    assert not commands.can_fork(os.environ | {"PYTHONUTF8": "1"})
    assert not commands.can_fork(os.environ | {"PYTHONPATH": str(folder)})
    (folder / "sitecustomize.py").write_text("import sys; sys.stderr.write('begun otherwise')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], str(folder)]))
    assert commands.run(["--help"], os.environ, Path.cwd()).err == "begun otherwise"
