from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipeline.errors import NotFoundError
from pipeline.jobspec import DiscoverySpec, JobSpec, StageSpec
from pipeline.problems import InvalidValueError
from pipeline.rate import Rate
from pipeline.schedule import Schedule


def job(*stages, **fields):
    return JobSpec.model_validate(
        {"name": "j", "discovery": {"strategy": "manual"}, "stages": stages, **fields}
    )


def test_a_bare_word_is_a_handler_and_the_name_too():
    (stage,) = job("fetch").stages
    assert (stage.name, stage.handler) == ("fetch", "fetch")


def test_a_name_and_a_handler_stand_for_each_other():
    first, second = job({"name": "fetch"}, {"handler": "read_file"}).stages
    assert (first.handler, second.name) == ("fetch", "read_file")


def test_a_handler_of_ones_own_needs_a_name():
    for stage in ("package.module:Step", {"handler": "package.module:Step"}):
        with pytest.raises(ValidationError, match="name"):
            job(stage)


def test_a_stage_has_the_documented_defaults():
    (stage,) = job("fetch").stages
    given = stage.model_dump(exclude={"name", "handler"})
    assert given == {
        "needs": (), "params": {}, "retries": 3, "backoff": 30.0, "timeout": 600.0, "concurrency": None,
        "rate": None, "batch": None, "keep": 3, "queue": "celery", "enabled": True, "remote": False,
    }  # fmt: skip


def test_durations_rates_and_schedules_are_read():
    spec = job({"name": "fetch", "timeout": "2m", "backoff": 5, "rate": "30/m"}, schedule={"every": "15m"})
    assert (spec.stages[0].timeout, spec.stages[0].backoff) == (120.0, 5.0)
    assert spec.stages[0].rate == Rate(30, 60.0)
    assert spec.schedule == Schedule("every 15m")


def test_a_job_knows_what_needs_what():
    spec = job(
        "a", "b", {"name": "c", "needs": "a"}, {"name": "d", "needs": ["b", "c"]}, {"name": "e", "needs": []}
    )
    assert spec.stage_names == ("a", "b", "c", "d", "e")
    assert [stage.needs for stage in spec.stages] == [(), ("a",), ("a",), ("b", "c"), ()]
    assert spec.children("a") == ("b", "c")
    assert spec.children("e") == ()
    assert spec.roots == ("a", "e")
    assert spec.stage("d").needs == ("b", "c")


def test_an_item_begins_with_the_stages_that_need_none_that_is_switched_on():
    off = {"name": "a", "enabled": False}
    assert job(off, "b", "c", {"name": "d", "needs": ["a", "b"]}).roots == ("b",)


def test_needs_are_filled_in_for_stages_made_in_python_too():
    stages = (StageSpec(name="a", handler="x"), StageSpec(name="b", handler="x"))
    spec = JobSpec(name="j", discovery=DiscoverySpec(strategy="manual", params={"items": []}), stages=stages)
    assert spec.stage("b").needs == ("a",)
    assert spec.discovery.params == {"items": []}
    assert spec == JobSpec.model_validate(spec.model_dump())


def test_a_stage_that_is_not_there_gets_the_nearest():
    with pytest.raises(NotFoundError, match=r"no stage of job 'j' named 'fecth'; did you mean 'fetch'\?"):
        job("fetch").stage("fecth")
    with pytest.raises(NotFoundError):
        job("fetch").children("fecth")


def test_the_parameters_of_a_strategy_stand_beside_its_name():
    spec = job("fetch", discovery={"strategy": "rss_feeds", "feeds": ["x"], "params": 1})
    assert spec.discovery.strategy == "rss_feeds"
    assert spec.discovery.params == {"feeds": ["x"], "params": 1}


def test_a_spec_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        job("fetch").priority = 3


def test_a_circle_cannot_be_made_in_python_either():
    with pytest.raises(ValidationError, match=r"a circle: (a needs b needs a|b needs a needs b)"):
        job({"name": "a", "needs": "b"}, "b")


@pytest.mark.parametrize(
    ("text", "per_second", "shown"),
    [
        ("10/s", 10, "10/s"),
        ("30/m", 0.5, "30/m"),
        ("36/hour", 0.01, "36/h"),
        (" 1 / 3s ", 1 / 3, "1/3s"),
        ("1/d", 1 / 86_400, "1/d"),
    ],
)
def test_a_rate_reads_as_written(text, per_second, shown):
    rate = Rate.parse(text)
    assert rate.per_second == pytest.approx(per_second)
    assert str(rate) == shown
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    "text", ["", "10", "0/s", "-1/s", "1/0s", "1/parsec", "1.5/s", "1/99d", 10, None, "1/s/s"]
)
def test_what_is_no_rate_is_refused_with_what_is_allowed(text):
    with pytest.raises(InvalidValueError) as caught:
        Rate.parse(text)
    assert "10/s" in caught.value.allowed


def test_a_remote_stage_works_on_one_item_at_a_time():
    with pytest.raises(ValidationError, match="a remote stage works on one item at a time"):
        job({"name": "fetch", "remote": True, "queue": "far", "batch": 5})
