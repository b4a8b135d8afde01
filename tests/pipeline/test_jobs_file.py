from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipeline import catalog
from pipeline.errors import NotFoundError
from pipeline.jobs_file import load_jobs_file
from pipeline.schedule import Schedule

TWO_JOBS = """
    version: 1
    defaults: {retries: 5, timeout: 2m, queue: slow, priority: 7, timezone: Europe/Berlin, rate: 5/s}
    jobs:
      papers:
        discovery: {strategy: "sample_plugins:Source", limit: 3}
        schedule: "0 7 * * *"
        stages:
          - {name: first, handler: "sample_plugins:Step"}
          - {name: second, handler: "sample_plugins:Step", retries: 0, queue: fast, rate: null}
      talks:
        enabled: false
        priority: -1
        discovery: {strategy: "sample_plugins:Source"}
        schedule: {every: 5m}
        stages: [{name: only, handler: "sample_plugins:Step"}]
"""


def test_defaults_hold_for_what_does_not_say_otherwise(load_jobs):
    file = load_jobs(TWO_JOBS)
    first, second = file.get_job("papers").stages
    assert (first.retries, first.timeout, first.queue, str(first.rate)) == (5, 120.0, "slow", "5/s")
    assert (second.retries, second.timeout, second.queue, second.rate) == (0, 120.0, "fast", None)
    assert (file.get_job("papers").priority, file.get_job("talks").priority) == (7, -1)
    assert file.get_job("papers").schedule == Schedule("0 7 * * *", "Europe/Berlin")
    assert file.get_job("talks").schedule == Schedule("every 5m")


@pytest.mark.parametrize(
    ("defaults", "stage", "seconds"),
    [
        ("", "", 45 * 60),
        ("timeout: 2m", "", 120),
        ("timeout: 2m", "timeout: 3m", 180),
        ("", "timeout: 3m", 180),
    ],
)
def test_a_timeout_is_the_stages_else_that_of_defaults_else_the_handlers(load_jobs, defaults, stage, seconds):
    file = load_jobs(f"""
        version: 1
        defaults: {{{defaults}}}
        jobs:
          papers:
            discovery: {{strategy: "sample_plugins:Source"}}
            stages:
              - {{name: slow, handler: "sample_plugins:SlowStep", {stage}}}
    """)
    assert file.get_job("papers").stage("slow").timeout == seconds


def test_a_handler_that_names_no_timeout_has_the_general_one(load_jobs):
    file = load_jobs(TWO_JOBS.replace("timeout: 2m, ", ""))
    assert file.get_job("papers").stage("first").timeout == 600


def test_a_file_knows_its_enabled_jobs_its_queues_and_its_digest(load_jobs, tmp_path):
    file = load_jobs(TWO_JOBS)
    assert [job.name for job in file.enabled_jobs] == ["papers"]
    assert file.queues == ("fast", "slow")
    assert file.digest == hashlib.sha256((tmp_path / "jobs.yaml").read_bytes()).hexdigest()[:16]
    assert file.path == tmp_path / "jobs.yaml"


def test_a_job_that_is_not_there_gets_the_nearest(load_jobs):
    with pytest.raises(NotFoundError, match=r"no job 'paper'; did you mean 'papers'\?"):
        load_jobs(TWO_JOBS).get_job("paper")


def test_a_file_without_jobs_is_in_order(load_jobs):
    assert load_jobs("version: 1\njobs: {}\n").jobs == {}


def test_a_variable_is_checked_by_its_value_and_kept_unresolved(load_jobs):
    text = TWO_JOBS.replace("limit: 3", "limit: '${LIMIT}'")
    assert load_jobs(text, {"LIMIT": "400"}).get_job("papers").discovery.params == {"limit": "${LIMIT}"}


def test_an_unset_variable_makes_only_its_own_job_unavailable(load_jobs):
    file = load_jobs(
        TWO_JOBS.replace("enabled: false", "enabled: true").replace("limit: 3", "token: '${TOKEN}'")
    )
    (problem,) = file.unavailable["papers"]
    assert problem.line == 5
    assert "'TOKEN' is not set" in problem.message
    assert [job.name for job in file.enabled_jobs] == ["talks"]


def test_a_missing_extra_makes_only_its_own_job_unavailable(load_jobs, monkeypatch, tmp_path):
    (tmp_path / "step_without_its_extra.py").write_text("import a_package_that_is_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(catalog.HANDLERS, "lacking", "step_without_its_extra:Step")
    monkeypatch.setitem(catalog.EXTRAS, "lacking", "pdf")
    file = load_jobs(TWO_JOBS.replace('first, handler: "sample_plugins:Step"', "first, handler: lacking"))
    (problem,) = file.unavailable["papers"]
    assert (problem.line, problem.value) == (8, "lacking")
    assert "pip install 'celeriac[pdf]'" in problem.message
    switched_off = TWO_JOBS.replace(
        'first, handler: "sample_plugins:Step"', "first, handler: lacking, enabled: false"
    )
    assert load_jobs(switched_off).unavailable == {}


def test_a_badly_installed_handler_makes_only_its_own_job_unavailable(load_jobs, monkeypatch, tmp_path):
    (tmp_path / "step_on_a_broken_package.py").write_text("raise ImportError('broken')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(catalog.HANDLERS, "broken", "step_on_a_broken_package:Step")
    file = load_jobs(TWO_JOBS.replace('first, handler: "sample_plugins:Step"', "first, handler: broken"))
    assert "ImportError: broken" in file.unavailable["papers"][0].message


def test_our_own_jobs_file_is_in_order():
    file = load_jobs_file(Path(__file__).parents[2] / "jobs.yaml")
    assert set(file.jobs) == {"demo", "hacker-news", "python-news"}
    assert file.get_job("demo").stage_names == ("read", "outline", "summarise")
    assert "demo" not in file.unavailable
