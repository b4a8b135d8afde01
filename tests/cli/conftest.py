from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import structlog

import tracker
from cli.main import main
from pipeline.settings import load_settings
from tests.commands import ROOT, Ended, get_commands
from tests.ports import find_free_port
from tests.waiting import wait_until

STAGES = ["read_file", "summarise_text"]
JOBS = """
version: 1
jobs:
  notes:
    title: Notes
    discovery: {strategy: local_files, root: files}
    stages: [read_file, summarise_text]
  hand:
    discovery: {strategy: manual, items: []}
    stages: [{name: read_file, params: {folder: files}}, summarise_text]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Be in a folder with a jobs.yaml, two files to read, and no broker."""
    (tmp_path / "jobs.yaml").write_text(JOBS)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("One. Two. Three.")
    (tmp_path / "files" / "b.txt").write_text("Four. Five. Six.")
    for name in [name for name in os.environ if name.startswith("CELERIAC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CELERIAC_JOBS", str(tmp_path / "jobs.yaml"))
    monkeypatch.setenv("CELERIAC_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CELERIAC_DB", str(tmp_path / "data" / "tracker.db"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # users have buffers, and what ends with them
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def no_broker(folder, monkeypatch):
    """Let no broker answer, wherever this runs."""
    monkeypatch.setenv("CELERIAC_BROKER_URL", f"redis+socket://{folder}/nobody.sock")


@pytest.fixture
def closed_port():
    """Find a port on which nobody listens."""
    return find_free_port()


@pytest.fixture
def conn(folder, migrated_file):
    """Open the folder's tracker."""
    (folder / "data").mkdir(exist_ok=True)
    with tracker.open_db(shutil.copy(migrated_file, load_settings().db_path)) as conn:
        yield conn


@pytest.fixture
def tracked(conn):
    """Let `notes` have an item that is done, one that failed, and one that is new; a connection to them."""
    tracker.upsert_items(
        conn, "notes", [{"key": key, "data": {"path": key}} for key in ("a.txt", "b.txt", "c.txt")]
    )
    ids = dict(conn.execute("SELECT key, item_id FROM work_items").fetchall())
    for stage, result in zip(
        STAGES, ({"text": "One.", "lines": 1}, {"summary": "One", "keywords": ["one"]}), strict=True
    ):
        tracker.mark_stage_in_progress(conn, ids["a.txt"], stage, STAGES)
        tracker.mark_stage_done(conn, ids["a.txt"], stage, STAGES, result, handler_version="v1")
    tracker.mark_stage_in_progress(conn, ids["b.txt"], "read_file", STAGES)
    tracker.mark_stage_failed(conn, ids["b.txt"], "read_file", STAGES, OSError("no such file as b.txt"))
    return conn


@pytest.fixture
def call(folder, capsys):
    """Run a command in this process: one that reads, and leaves no trace in it."""

    def run(*arguments):
        logs = structlog.get_config()
        try:
            with pytest.raises(SystemExit) as ended:
                main(list(arguments))
        finally:
            structlog.configure(**logs)  # a command that logs errors alone would do so for every later test
        printed = capsys.readouterr()
        return Ended(ended.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def shell(folder):
    """Run a command as a shell does."""

    def run(*arguments, given="", **environment):
        ended = get_commands().run(arguments, {**os.environ, **environment}, Path.cwd(), given=given)
        assert "Traceback" not in ended.err, ended.err
        return ended

    return run


@pytest.fixture
def shell_each(folder):
    """Run commands one after the other; one may show a traceback."""
    return lambda lines: [get_commands().run(line.split(), os.environ, Path.cwd()) for line in lines]


@pytest.fixture
def start(folder):
    """Start a command in the background, as a script's `&` does, and be sure of its end."""
    with contextlib.ExitStack() as stack:

        def begin(*arguments):
            log = stack.enter_context(Path(folder, "log").open("ab"))
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "cli.main", *arguments],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 - as after `&`
                )
            )
            stack.callback(process.kill)
            return process

        yield begin


@pytest.fixture
def eventually(folder):
    """Wait until something is so, and say what the background said if it never is."""

    def say():
        log = folder / "log"
        return log.read_text() if log.exists() else "no log"

    return lambda is_so: wait_until(is_so, say, rest=lambda: time.sleep(0.05))


@pytest.fixture
def list_processes(folder):
    """List the processes that were started in this folder, this one left out; from /proc."""

    def list_them():
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (
                    path.name != str(os.getpid())
                    and f"CELERIAC_DATA={folder}/".encode() in (path / "environ").read_bytes()
                ):
                    found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    return list_them
