from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracker
from cli import exit_codes
from tests.waiting import PATIENCE_SECONDS

MANY = 3000


def read_one_line_of(*arguments):
    """Run a command whose reader goes away after one line; its exit code and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        process.stdout.readline()
        process.stdout.close()
        return process.wait(timeout=PATIENCE_SECONDS), process.stderr.read()


LINES = [
    "items notes --limit 3000",
    "items notes --limit 3000 --json",
    "results notes --format jsonl",
    "events --limit 5000",
    "show notes k0",
]


def test_a_reader_may_leave_at_any_time(conn):
    tracker.upsert_items(conn, "notes", [{"key": f"k{n}", "data": {"n": "x" * 100}} for n in range(MANY)])
    with tracker.write(conn):
        for n in range(MANY):
            tracker.store_result(conn, "notes", f"k{n}", "read_file", {"text": "x" * 100})
            tracker.log_event(conn, "notes", "noted", detail={"n": "x" * 100})
        tracker.store_result(
            conn, "notes", "k0", "summarise_text", {f"field {n}": "x" * 100 for n in range(MANY)}
        )
    assert {line: read_one_line_of(*line.split()) for line in LINES} == dict.fromkeys(LINES, (0, b""))


def test_a_reader_that_never_read_is_no_error(tracked):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "status"],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this machine has no /dev/full")
@pytest.mark.parametrize("line", ["status", "status --json", "export notes", "items notes --json"])
def test_a_full_disk_behind_the_output_is_said_in_words(conn, line):
    tracker.upsert_items(conn, "notes", [{"key": "k", "data": {}}])
    with tracker.write(conn):
        tracker.store_result(conn, "notes", "k", "read_file", {"text": "x" * 100})
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *line.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_SECONDS,
            check=False,
            text=True,
        )
    assert (done.returncode, done.stderr) == (
        exit_codes.UNUSABLE,
        "celeriac: cannot write what was asked for: No space left on device\n",
    )


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "0<&- >&- 2>&-"])
@pytest.mark.parametrize("line", ["discover notes", "run notes", "status"])
def test_an_output_that_the_shell_closed_ends_no_command(conn, line, closed):
    command = f"{sys.executable} -m cli.main {line} {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=120, check=False)
    assert done.returncode == exit_codes.OK
    assert b"Traceback" not in done.stderr
