"""What `celeriac check` says of strategies whose packages are not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.waiting import PATIENCE_SECONDS

WITHOUT = "import sys; sys.modules[sys.argv[1]] = None; from cli.main import main; main(['check'])"
JOBS = """
version: 1
jobs:
  sample:
    discovery: {discovery}
    stages: [read_file]
"""
MAILBOX = "{strategy: imap_mailbox, host: a.example, user: a, password: b}"
QUERY = '{strategy: sql_query, database: "postgresql://h/x", query: SELECT 1 AS id, key: id}'


@pytest.mark.parametrize(
    ("package", "discovery", "line"),
    [
        ("imap_tools", MAILBOX, "pip install 'celeriac[imap]'"),
        ("fsspec", "{strategy: object_store, url: s3://bucket}", "pip install 'celeriac[s3]'"),
        ("s3fs", "{strategy: object_store, url: s3://bucket}", "pip install 'celeriac[s3]'"),
        ("sqlalchemy", QUERY, "pip install 'celeriac[sql]'"),
    ],
)
def test_a_missing_package_is_told_with_the_line_that_installs_it(folder, package, discovery, line):
    (folder / "jobs.yaml").write_text(JOBS.replace("{discovery}", discovery))
    command = [sys.executable, "-c", WITHOUT, package]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert line in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode != 0
