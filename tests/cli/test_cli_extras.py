"""What `celeriac check` says of strategies and handlers whose packages are not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cli import exit_codes
from tests.waiting import PATIENCE_SECONDS

WITHOUT = "import sys; sys.modules[sys.argv[1]] = None; from cli.main import main; main(['check'])"
JOBS = """
version: 1
jobs:
  sample:
    discovery: {discovery}
    stages: [{stage}]
  other:
    discovery: {strategy: local_files, root: .}
    stages: [read_file]
"""
FILES = "{strategy: local_files, root: .}"
BUCKET = "{strategy: object_store, url: s3://bucket}"
NOTIFY = '{handler: notify, params: {message: a, apprise: ["json://a.example"]}}'
MAILBOX = "{strategy: imap_mailbox, host: a.example, user: a, password: b}"
QUERY = '{strategy: sql_query, database: "postgresql://h/x", query: SELECT 1 AS id, key: id}'


@pytest.mark.parametrize(
    ("package", "discovery", "stage", "line"),
    [
        ("imap_tools", MAILBOX, "read_file", "pip install 'celeriac[imap]'"),
        ("fsspec", BUCKET, "read_file", "pip install 'celeriac[s3]'"),
        ("s3fs", BUCKET, "read_file", "pip install 'celeriac[s3]'"),
        ("sqlalchemy", QUERY, "read_file", "pip install 'celeriac[sql]'"),
        ("apprise", FILES, NOTIFY, "pip install 'celeriac[notify]'"),
    ],
)
def test_a_missing_package_is_told_with_the_line_that_installs_it_and_stops_no_other_job(
    folder, package, discovery, stage, line
):
    (folder / "jobs.yaml").write_text(JOBS.replace("{discovery}", discovery).replace("{stage}", stage))
    command = [sys.executable, "-c", WITHOUT, package]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    assert "other" in done.stdout  # the file is in order, and its other jobs run
    assert done.returncode == exit_codes.FAILED
