"""What a handler may return, and what the message says when it returns something else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from handlers.contract import MAX_DEPTH, check_outcome, find_json_fault
from pipeline.errors import HandlerContractError
from pipeline.outcomes import GiveUp, RetryLater, Skip


@pytest.mark.parametrize(
    "outcome", [{}, {"a": [1, 2.5, None, True, "é"]}, Skip("x"), RetryLater(5), GiveUp("x")]
)
def test_the_four_endings_are_given_back_as_they_are(outcome):
    assert check_outcome("Mine", outcome) is outcome


def test_returning_nothing_is_told_what_may_be_returned():
    with pytest.raises(
        HandlerContractError, match=r"^Mine returned None; a handler returns a result \(a dict\), Skip"
    ):
        check_outcome("Mine", None)


def test_returning_a_list_is_told_so():
    with pytest.raises(HandlerContractError, match="Mine returned list; a handler returns"):
        check_outcome("Mine", [{"a": 1}])


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        ({"a": {"b": [1, float("nan")]}}, "result.a.b[1]: nan is not a JSON number"),
        ({"a": float("-inf")}, "result.a: -inf is not a JSON number"),
        ({"rows": [{1: "x"}]}, "result.rows[0]: the key 1 is int, not str"),
        ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, "result.at: datetime is not a JSON type"),
        ({"body": b"x"}, "result.body: bytes is not a JSON type"),
        ({"names": {"a"}}, "result.names: set is not a JSON type"),
        ({"text": "half \ud800"}, "result.text: text with half a surrogate pair"),
        ({"half \ud800": 1}, "result: the key 'half \\ud800' has half a surrogate pair"),
        ({"big": 10**5000}, "result.big: an integer of thousands of digits"),
    ],
)
def test_the_field_that_json_cannot_hold_is_named(result, fault):
    assert find_json_fault(result) == fault


def test_the_first_of_several_faults_is_named():
    assert find_json_fault({"a": [b"", b""], "b": b""}) == "result.a[0]: bytes is not a JSON type"


def test_a_result_that_contains_itself_is_refused():
    result = {"me": []}
    result["me"].append(result)
    assert "nested deeper than 500, or within itself" in find_json_fault(result)


def test_a_place_that_is_deep_is_shown_by_its_beginning():
    result = {}
    result["d"] = result
    assert find_json_fault(result) == "result.d.d.d…: nested deeper than 500, or within itself"
    deep = b""
    for _ in range(19):
        deep = [deep]
    assert find_json_fault({"a": deep}) == "result.a[0][0]…: bytes is not a JSON type"
    assert find_json_fault({"a": deep[0]}) == f"result.a{'[0]' * 18}: bytes is not a JSON type"


@pytest.mark.parametrize(("depth", "refused"), [(MAX_DEPTH - 1, False), (MAX_DEPTH, True), (100_000, True)])
def test_a_result_may_nest_as_deep_as_sqlite_can_read_it(depth, refused):
    nested = {}
    for _ in range(depth):
        nested = {"in": nested}
    assert bool(find_json_fault(nested)) is refused
    while nested:
        nested = nested.pop("in")
