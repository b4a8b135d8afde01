from __future__ import annotations

import pytest
from pydantic import ValidationError

from discovery.base import FoundItem
from discovery.manual import Manual


def test_items_are_found_as_written_in_both_forms(discover):
    items = ["b", {"key": "a", "data": {"n": 1}, "priority": 5}, "c"]
    assert discover(Manual({"items": items})) == [FoundItem("b"), FoundItem("a", {"n": 1}, 5), FoundItem("c")]


def test_an_item_written_twice_is_found_once_and_counted(discover):
    strategy = Manual({"items": ["a", "a"]})
    assert discover(strategy) == [FoundItem("a")]
    assert strategy.refused == {"key repeated": 1}


@pytest.mark.parametrize("item", [7, None, {"data": {}}, {"key": 7}, {"key": "a", "datum": {}}, ["a"]])
def test_what_is_no_item_is_a_mistake_in_jobs_yaml(item):
    with pytest.raises(ValidationError, match=r"items\.1"):
        Manual({"items": ["fine", item]})
