"""Logs go to standard error, as JSON where nobody watches."""

from __future__ import annotations

import json
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
