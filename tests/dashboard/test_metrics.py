from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from filled import STAGES, fill, find_item_id

import dashboard
import tracker
from dashboard import metrics
from runner.access import make_token

DOCS = Path(dashboard.__file__).parent.parent / "docs"
SAMPLE = re.compile(r"^(celeriac\w*)(?:\{(.*)\})? ([-+.\deE]+)$")


@pytest.fixture
def scrape(visit):
    """Read the metrics as {(name, labels): number}."""

    def get():
        answer = visit().get("/metrics")
        assert answer.status_code == 200, answer.text
        found = {}
        for line in answer.text.splitlines():
            if not line.startswith("#"):
                name, labels, number = SAMPLE.match(line).groups()
                assert (name, labels) not in found, line
                found[name, labels or ""] = float(number)
        return found

    return get


def test_the_metrics_are_those_of_the_tracker(scrape, conn):
    fill(conn)
    found = scrape()
    assert found["celeriac_items", 'job="papers",status="done"'] == 1
    assert found["celeriac_items", 'job="papers",status="failed"'] == 1
    assert found["celeriac_stages", 'job="papers",stage="read",status="done"'] == 2
    assert found["celeriac_stages", 'job="papers",stage="read",status="in_progress"'] == 1
    assert found["celeriac_stages_due", 'job="papers",stage="note"'] == 1
    assert found["celeriac_stage_duration_seconds_count", 'job="papers",stage="read"'] == 2
    assert found["celeriac_failures_total", 'job="papers",stage="read"'] == 1
    assert found["celeriac_failure_groups", 'job="papers"'] == 1
    assert found["celeriac_cost_usd_total", 'job="papers"'] == 1.0
    assert found["celeriac_budget_usd_per_day", 'job="papers"'] == 2
    assert found["celeriac_budget_spent_today_usd", 'job="papers"'] == 1.0
    assert found["celeriac_workers", 'state="alive"'] == 1
    assert found["celeriac_worker_processes", ""] == 2
    assert found["celeriac_queue_workers", 'queue="celery"'] == 1
    assert found["celeriac_paused", 'job="papers"'] == 0
    assert 0 <= found["celeriac_oldest_fresh_age_seconds", 'job="papers"'] < 600
    assert 0 <= found["celeriac_sweep_age_seconds", ""] < 600


def test_the_counters_of_a_stage_that_never_ran_are_there_and_0_so_that_prometheus_sees_the_first_increase(
    scrape, conn
):
    tracker.upsert_items(conn, "papers", [{"key": "a"}])
    tracker.mark_stage_in_progress(conn, find_item_id(conn, "a"), "read", STAGES)
    found = scrape()
    for stage in STAGES:
        labels = f'job="papers",stage="{stage}"'
        assert found["celeriac_stage_duration_seconds_count", labels] == 0
        assert found["celeriac_stage_duration_seconds_sum", labels] == 0
        assert found["celeriac_failures_total", labels] == 0


def test_a_pause_is_seen(scrape, conn):
    fill(conn)
    tracker.pause_job(conn, "papers", "site is down", by="ann")
    found = scrape()
    assert found["celeriac_paused", 'job="papers"'] == 1
    assert found["celeriac_pauses", 'cause="person",scope="job"'] == 1


def test_an_empty_house_has_metrics_too(scrape):
    assert scrape()["celeriac_notices_open", ""] == 0


def test_what_is_added_up_under_others_is_bounded_and_loses_nothing(scrape, conn, monkeypatch):
    monkeypatch.setattr(metrics, "MOST_JOBS", 2)
    for job in range(5):
        tracker.upsert_items(conn, f"job{job}", [{"key": str(n)} for n in range(job + 1)])
    found = scrape()
    pending = {
        labels: n
        for (name, labels), n in found.items()
        if name == "celeriac_items" and 'status="pending"' in labels
    }
    assert pending == {
        'job="job4",status="pending"': 5, 'job="job3",status="pending"': 4, 'job="(others)",status="pending"': 6
    }  # fmt: skip


def test_hostile_names_are_escaped_and_cut(scrape, conn):
    tracker.upsert_items(conn, 'x"} 1\nevil{a="' + "y" * 500, [{"key": "a"}])
    assert sum(n for (name, _), n in scrape().items() if name == "celeriac_items") == 1


def test_it_takes_a_token_that_may_look(visit, conn):
    _, token = make_token(conn, "prometheus", "viewer", "test", scopes={"view"})
    _, other = make_token(conn, "intake", "operator", "test", scopes={"enqueue"})
    address = ("192.0.2.7", 50000)
    assert visit(client=address, authorization=f"Bearer {token}").get("/metrics").status_code == 200
    assert visit(client=address, authorization=f"Bearer {other}").get("/metrics").status_code == 403
    assert visit(client=address).get("/metrics").status_code == 401


# -- what docs/ names -------------------------------------------------------------------------------------

NAMES = re.compile(r"\bceleriac_[a-z_]+")


def names_in(expressions):
    return {name for expression in expressions for name in NAMES.findall(expression)}


def list_rules():
    groups = yaml.safe_load((DOCS / "alert-rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_metric_that_an_alert_names_is_there(scrape, conn):
    fill(conn)
    tracker.pause_job(conn, "papers", "site is down", by="ann")
    assert names_in(rule["expr"] for rule in list_rules()) <= {name for name, _ in scrape()}


def test_every_metric_that_the_grafana_dashboard_names_is_there(scrape, conn):
    fill(conn)
    tracker.pause_job(conn, "papers", "site is down", by="ann")
    board = json.loads((DOCS / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [variable["query"] for variable in board["templating"]["list"]]
    named = names_in(asked)
    assert len(named) > 10
    assert named <= {name for name, _ in scrape()}


def test_every_metric_is_in_the_documentation_and_no_other(scrape, conn):
    fill(conn)
    tracker.pause_job(conn, "papers", "site is down", by="ann")
    told = {name.removesuffix("_sum").removesuffix("_count") for name, _ in scrape()}
    documented = set(re.findall(r"^\| `(celeriac_\w+)`", (DOCS / "api.md").read_text(), re.MULTILINE))
    assert documented == told
