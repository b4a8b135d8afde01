"""What a handler is tried on."""

from __future__ import annotations

import pytest

from runner.handler_trial import TrialInput


@pytest.mark.parametrize(
    "given",
    [
        {"key": "k", "data": {"a": 1}, "results": {"fetch": {"text": "t"}}},
        {"data": {"a": 1}},
        {"results": {"fetch": {}}},
    ],
)
def test_key_data_and_results_are_taken_as_such(given):
    whole = {"key": "trial", "data": {}, "results": {}} | given
    assert TrialInput.read(given) == TrialInput(whole["key"], whole["data"], whole["results"])


@pytest.mark.parametrize("given", [{}, {"key": "k"}, {"data": {}, "other": 1}, {"title": "x"}])
def test_any_other_object_is_data(given):
    assert TrialInput.read(given) == TrialInput("trial", given, {})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": []}, "`data` is no JSON object"),
        ({"results": []}, "`results` is no JSON object of objects"),
        ({"results": {"fetch": 1}}, "`results` is no JSON object of objects"),
    ],
)
def test_data_and_results_that_are_no_objects_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        TrialInput.read(given)
