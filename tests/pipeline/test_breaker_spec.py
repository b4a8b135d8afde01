"""`breaker:` and `on_schedule:` of jobs.yaml."""

from __future__ import annotations

import pytest

from pipeline.breaker import BreakerSpec
from pipeline.on_schedule import OnSchedule
from pipeline.problems import JobsFileInvalidError

JOB = """
version: 1
{top}
jobs:
  notes:
    discovery: {{strategy: manual, items: [a]}}
    {job}
    stages: [fetch]
"""


def write(top="", job=""):
    return JOB.format(top=top, job=job)


def test_a_job_has_no_breaker_unless_it_says_so(load_jobs):
    spec = load_jobs(write()).jobs["notes"]
    assert (spec.breaker, spec.on_schedule) == (None, OnSchedule.HOLD)


def test_a_breaker_of_a_few_words_has_the_other_values_of_its_kind(load_jobs):
    spec = load_jobs(write(job="breaker: {after: 3, of: any}")).jobs["notes"]
    assert spec.breaker == BreakerSpec(after=3, of="any", pause=900, max=43_200, probe=1)


def test_defaults_give_each_job_a_breaker_and_a_job_may_refuse_it(load_jobs):
    top = "defaults: {breaker: {after: 4}, on_schedule: skip}"
    with_it = load_jobs(write(top)).jobs["notes"]
    assert (with_it.breaker.after, with_it.on_schedule) == (4, OnSchedule.SKIP)
    assert load_jobs(write(top, "breaker: null")).jobs["notes"].breaker is None


def test_a_host_may_have_a_breaker_without_a_rate(load_jobs):
    jobs = load_jobs(write("hosts: {example.org: {breaker: {after: 2}}, a.org: {rate: 1/s}}"))
    assert {name: spec.after for name, spec in jobs.host_breakers.items()} == {"example.org": 2}
    assert list(jobs.host_rates) == ["a.org"]


def test_pauses_double_up_to_the_longest():
    spec = BreakerSpec(pause="15m", max="12h")
    hours = [spec.pause_ms(openings) / 3_600_000 for openings in (0, 1, 2, 5, 6, 1000)]
    assert hours == [0.25, 0.5, 1, 8, 12, 12]


@pytest.mark.parametrize(
    ("top", "job", "told"),
    [
        ("", "breaker: {after: 0}", "6: jobs.notes.breaker.after: 0 is too small"),
        ("", "breaker: {aftr: 3}", "did you mean 'after'?"),
        ("", "breaker: {of: sam}", "allowed: 'same' or 'any'"),
        ("", "breaker: {pause: 2h, max: 1h}", "`max` (1 h) is shorter than `pause` (2 h)"),
        ("", "breaker: {probe: 0}", "jobs.notes.breaker.probe"),
        ("", "breaker: {pause: soon}", "is no duration"),
        ("", "on_schedule: hol", "allowed: 'hold', 'skip' or 'queue'"),
        ("hosts: {example.org: {}}", "", "nothing is said of this host"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(load_jobs, top, job, told):
    with pytest.raises(JobsFileInvalidError) as caught:
        load_jobs(write(top, job))
    assert told in str(caught.value)
