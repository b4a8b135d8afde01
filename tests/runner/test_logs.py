"""Logs go to standard error, as JSON where nobody watches."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

SCRIPT = """
import logging, structlog
from runner.logs import configure_logs
configure_logs(logging.INFO)
structlog.get_logger("celeriac").info("papers.fetch finish", key="žluť", attempt=1)
structlog.get_logger("celeriac").debug("not shown")
logging.getLogger("kombu").info("not shown")
logging.getLogger("celery.worker").warning("a library says %s", "this")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("celeriac").exception("failed")
"""


def test_logs_are_json_lines_on_standard_error_with_their_fields():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert done.stdout == b""
    ours, theirs, failed = [json.loads(line) for line in done.stderr.decode().splitlines()]
    assert (ours["event"], ours["key"], ours["attempt"], ours["level"]) == (
        "papers.fetch finish",
        "žluť",
        1,
        "info",
    )
    assert theirs["event"] == "a library says this"
    assert "ZeroDivisionError" in failed["exception"]
    assert ours["timestamp"].endswith("Z")


STRANGER = r"""
import logging, structlog
from runner.logs import configure_logs
configure_logs(logging.INFO)
TEXT = "a\x1b]0;title\x07\x1b[2J\x9b2J\u202eb"
structlog.get_logger("celeriac").info(TEXT, key=TEXT, keys=[TEXT])
logging.getLogger("celery.worker").warning("a library says %s", TEXT)
try:
    raise ValueError(TEXT)
except ValueError:
    structlog.get_logger("celeriac").exception("failed")
"""


def test_on_a_terminal_no_text_of_a_stranger_does_anything_to_it():
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", STRANGER], stderr=theirs, check=True)
        said = os.read(ours, 1 << 20).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "ValueError" in said
    assert "\x1b[" in said  # our own colours
    assert r"a\u001b]0;title\u0007\u001b[2J\u009b2J\u202eb" in said
    assert [mark for mark in ("\x1b]", "\x07", "\x1b[2J", "\x9b", "\u202e") if mark in said] == []
