"""What Prometheus's own tool says of the metrics and of the alert rules. It is in Debian's package `prometheus`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from filled import fill

import dashboard
import tracker
from tests.waiting import PATIENCE_SECONDS

DOCS = Path(dashboard.__file__).parent.parent / "docs"
PROMTOOL = shutil.which("promtool")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool (Debian's package prometheus)")


def ask(*arguments, given=""):
    """Ask promtool; what it says, which is nothing when it is content."""
    done = subprocess.run(
        [PROMTOOL, *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.fixture
def metrics(visit):
    return lambda: visit().get("/metrics").text


def test_it_is_content_with_the_metrics_of_a_house(metrics, conn):
    fill(conn)
    tracker.pause_job(conn, "papers", "site is down", by="ann")
    assert ask("check", "metrics", given=metrics()) == (0, "")


def test_it_is_content_with_the_metrics_of_an_empty_house(metrics):
    assert ask("check", "metrics", given=metrics()) == (0, "")


def test_it_is_content_with_hostile_names(metrics, conn):
    for name in ('x"} 1\nevil{a="', "\u202eabc\\", "{{ job }}", "y" * 500):
        tracker.upsert_items(conn, name, [{"key": "a"}])
    assert ask("check", "metrics", given=metrics()) == (0, "")


def test_it_says_so_when_it_is_not_content():
    code, said = ask("check", "metrics", given="# TYPE a_total gauge\na_total 1\n")
    assert code
    assert "a_total" in said


def test_it_is_content_with_the_alert_rules():
    code, said = ask("check", "rules", str(DOCS / "alert-rules.yaml"))
    assert (code, "SUCCESS" in said) == (0, True), said
