from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.budget import day_around
from pipeline.jobs_file import JobsFileInvalidError, load_jobs_file

JOBS = """\
version: 1
defaults: {{timezone: Europe/Berlin}}
budget: {everything}
jobs:
  papers:
    discovery: {{strategy: manual, items: [{{key: a}}]}}
    budget: {own}
    stages: [fetch]
"""


@pytest.fixture
def load(tmp_path):
    def load(own="{usd_total: 1}", everything="{usd_total: 1}"):
        path = tmp_path / "jobs.yaml"
        path.write_text(JOBS.format(own=own, everything=everything))
        return load_jobs_file(path, {})

    return load


def test_a_budget_has_the_time_zone_of_the_defaults_unless_it_names_its_own(load):
    jobs = load("{usd_per_day: 5}", "{usd_per_day: 50, timezone: Asia/Kathmandu}")
    assert jobs.get_job("papers").budget.timezone == "Europe/Berlin"
    assert jobs.budget.timezone == "Asia/Kathmandu"
    assert load().budget.timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("{}", "budget: a budget of nothing (allowed: at least one of usd_per_day, usd_per_item, usd_total)"),
        ("{timezone: UTC}", "a budget of nothing"),
        ("{usd_per_day: 0}", "budget.usd_per_day: 0 is too small (allowed: more than 0"),
        ("{usd_per_day: -5}", "budget.usd_per_day: -5 is too small"),
        ("{usd_per_day: .nan}", "no number here (allowed: a finite number)"),
        ("{usd_per_day: $5}", "budget.usd_per_day: '$5' is not a number"),
        ("{usd_per_day: true}", "is not a number"),
        ("{usd_a_day: 5}", "unknown key 'usd_a_day'; did you mean 'usd_per_day'?"),
        (
            "{usd_per_day: 5, timezone: Europe/Berln}",
            "no time zone named 'Europe/Berln'; did you mean 'Europe/Berlin'?",
        ),
        ("5", "is not a mapping"),
    ],
)
def test_a_budget_that_bounds_nothing_is_refused_with_its_line(load, written, says):
    for line, given in ((7, {"own": written}), (3, {"everything": written})):
        with pytest.raises(JobsFileInvalidError) as caught:
            load(**given)
        assert f":{line}: " in str(caught.value)
        assert says in str(caught.value)


@pytest.mark.parametrize(
    ("now", "zone", "begin", "hours"),
    [
        ("2026-03-29T12:00", "Europe/Berlin", "2026-03-28T23:00", 23),
        ("2026-10-25T23:30", "Europe/Berlin", "2026-10-25T23:00", 24),
        ("2026-10-25T22:59", "Europe/Berlin", "2026-10-24T22:00", 25),
        ("2026-11-25T18:20", "Asia/Kathmandu", "2026-11-25T18:15", 24),
        ("2024-04-26T12:00", "Africa/Cairo", "2024-04-25T22:00", 23),
        ("2026-11-01T12:00", "America/Havana", "2026-11-01T04:00", 25),
    ],
)
def test_a_day_is_from_midnight_to_midnight_whatever_the_clocks_do(now, zone, begin, hours):
    found = day_around(datetime.fromisoformat(now).replace(tzinfo=UTC), zone)
    assert found[0] == datetime.fromisoformat(begin).replace(tzinfo=UTC)
    assert (found[1] - found[0]).total_seconds() == hours * 3600


def test_every_midnight_falls_on_a_quarter_of_an_hour():
    from zoneinfo import available_timezones

    for zone in available_timezones():
        for now in ("2026-01-15T12:00", "2026-07-15T12:00"):
            begin, end = day_around(datetime.fromisoformat(now).replace(tzinfo=UTC), zone)
            assert begin.timestamp() % 900 == end.timestamp() % 900 == 0, zone
