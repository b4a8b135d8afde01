from __future__ import annotations

import os
import subprocess
import sys

import pytest

import tracker

MANY = 3000


def read_one_line_of(*arguments):
    """Run a command whose reader goes away after one line; its exit code and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        process.stdout.readline()
        process.stdout.close()
        return process.wait(timeout=30), process.stderr.read()


@pytest.mark.parametrize(
    "line",
    [
        "items notes --limit 3000",
        "items notes --limit 3000 --json",
        "results notes --format jsonl",
        "events --limit 5000",
    ],
)
def test_a_reader_may_leave_at_any_time(conn, line):
    tracker.upsert_items(conn, "notes", [{"key": f"item {n}" * 5} for n in range(MANY)])
    with tracker.write(conn):
        for n in range(MANY):
            tracker.store_result(conn, "notes", f"item {n}" * 5, "read_file", {"text": "x" * 100})
            tracker.log_event(conn, "notes", "noted")
    assert read_one_line_of(*line.split()) == (0, b"")


def test_a_reader_that_never_read_is_no_error(tracked):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "status"],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
