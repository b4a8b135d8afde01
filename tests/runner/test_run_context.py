from __future__ import annotations

import dataclasses

import pytest

from runner.context import RunContext

FULL = RunContext("dry_run", 3, "fetch", "a", True, True, True, frozenset({3, 1, 2}))


@pytest.mark.parametrize("run", [RunContext(), FULL, RunContext(active_items=frozenset())])
def test_a_run_context_survives_the_way_to_another_process(run):
    assert RunContext.from_json(run.to_json()) == run


def test_every_field_of_a_run_context_survives_the_way():
    assert all(getattr(FULL, field.name) != field.default for field in dataclasses.fields(FULL))


def test_a_run_context_says_what_kind_of_run_it_is():
    assert (RunContext(mode="test").is_test, RunContext().is_test) == (True, False)
    assert (RunContext(mode="dry_run").is_dry_run, RunContext().is_dry_run) == (True, False)


@pytest.mark.parametrize("part", [{"limit": 3}, {"limit": 0}, {"test_stage": "fetch"}, {"test_item": "a"}])
def test_a_run_that_keeps_to_a_part_is_scoped(part):
    assert RunContext(**part).is_scoped


def test_a_run_over_everything_is_not_scoped():
    assert not RunContext(single_pass=True, no_reset=True).is_scoped


def test_a_run_context_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunContext().limit = 5
