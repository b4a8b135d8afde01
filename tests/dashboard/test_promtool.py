"""What Prometheus and its tool say of the metrics and the alert rules. They are in Debian's package `prometheus`."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import yaml
from filled import fill

import dashboard
import tracker
from tests.ports import find_free_port
from tests.waiting import PATIENCE_SECONDS, wait_until
from tracker.connection import write
from tracker.notes import SWEPT_AT, set_note

DOCS = Path(dashboard.__file__).parent.parent / "docs"
PROMTOOL, PROMETHEUS = shutil.which("promtool"), shutil.which("prometheus")

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


# -- who is woken ----------------------------------------------------------------------------------------


def fires(alert, text, folder):
    """Tell whether an alert fires when the metrics are these for twenty minutes."""
    samples = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    series = [{"series": name, "values": f"{float(number):f}+0x30"} for name, number in samples]
    quiet = {"eval_time": "20m", "alertname": alert, "exp_alerts": []}
    rules = {
        "rule_files": [str(DOCS / "alert-rules.yaml")],
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": [quiet]}],
    }
    (folder / "rules.test.yml").write_text(yaml.safe_dump(rules))
    code, said = ask("test", "rules", str(folder / "rules.test.yml"))
    assert code == 0 or f"alertname: {alert}" in said, said
    return code != 0


def test_nobody_is_woken_for_a_sweep_that_waits_for_what_takes_long(metrics, conn, tmp_path):
    fill(conn)
    with write(conn):
        set_note(conn, SWEPT_AT, str(int((time.time() - 900) * 1000)))
    assert not fires("CeleriacIsNotSwept", metrics(), tmp_path)
    with write(conn):
        conn.execute("UPDATE item_stages SET leased_until = 1 WHERE status = 'in_progress'")
    assert fires("CeleriacIsNotSwept", metrics(), tmp_path)


# -- Prometheus, told what docs/api.md tells -------------------------------------------------------------


@contextmanager
def prometheus(folder, target):
    """Run Prometheus as docs/api.md configures it, but for whom it asks and how often; its address."""
    (block,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", (DOCS / "api.md").read_text(), re.DOTALL)
    config = yaml.safe_load(block)
    (scrape,) = config["scrape_configs"]
    del scrape["authorization"]
    scrape |= {"static_configs": [{"targets": [target]}], "scrape_interval": "1s"}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    listen = f"127.0.0.1:{find_free_port()}"
    asked = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/series"]
    with (folder / "prometheus.log").open("w") as said:
        process = subprocess.Popen(
            [PROMETHEUS, *asked, f"--web.listen-address={listen}"], stdout=said, stderr=said
        )
        try:
            yield f"http://{listen}"
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


@pytest.mark.skipif(PROMETHEUS is None, reason="there is no prometheus (Debian's package prometheus)")
def test_a_job_is_still_called_so_where_prometheus_has_a_label_job_of_its_own(
    metrics, conn, httpserver, tmp_path
):
    fill(conn)
    httpserver.expect_request("/metrics").respond_with_data(
        metrics(), content_type="text/plain; version=0.0.4"
    )
    with prometheus(tmp_path, httpserver.url_for("").removeprefix("http://").rstrip("/")) as address:

        def jobs():
            try:
                asked = {"query": "count by (job) (celeriac_items)"}
                answer = httpx2.get(f"{address}/api/v1/query", params=asked)
            except httpx2.TransportError:
                return None
            found = answer.json()["data"]["result"] if answer.status_code == 200 else []
            return {one["metric"].get("job") for one in found}

        assert "papers" in wait_until(jobs, (tmp_path / "prometheus.log").read_text)
