"""What is piped into the commands that discover."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

import tracker
from cli import exit_codes
from tests.waiting import PATIENCE_SECONDS

JOBS = """
version: 1
jobs:
  piped:
    discovery: {strategy: stdin_lines, field: url}
    stages: [read_file]
"""

LINES = "https://a.example/1\nhttps://a.example/2\n"


@pytest.fixture
def piped(folder):
    (folder / "jobs.yaml").write_text(JOBS)


def test_each_line_that_is_piped_in_is_stored_once(piped, shell, conn):
    assert "2 found, 2 new" in shell("discover", "piped", given=LINES).err
    assert "3 found, 1 new" in shell("discover", "piped", given=LINES + "https://a.example/3").err
    assert tracker.get_job_stats(conn, "piped")["total"] == 3


def test_a_dry_run_and_a_trial_read_what_is_piped_in_and_store_nothing(piped, shell, folder):
    for command in (["discover", "piped", "--dry-run"], ["sources", "test", "stdin_lines"]):
        done = shell(*command, "--json", given=LINES)
        assert (done.code, done.out.count("https://a.example/1") > 0) == (exit_codes.OK, True)
    assert not (folder / "data" / "tracker.db").exists()


def test_a_run_that_discovers_reads_what_is_piped_in(piped, shell, conn):
    done = shell("run", "piped", "--discover-only", given=LINES)
    assert "2 found, 2 new" in done.err
    assert tracker.get_job_stats(conn, "piped")["total"] == 2


def test_at_a_terminal_it_says_what_to_pipe_in(piped, folder):
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "discover", "piped"],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert "nothing is piped in here; pipe it in: … | celeriac discover piped" in done.stderr
    assert done.returncode == exit_codes.FAILED
