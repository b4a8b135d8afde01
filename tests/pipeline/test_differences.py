"""What differs between two results, place by place."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.differences import compare, compare_results
from pipeline.text_differences import LEFT_OUT, compare_texts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text("ab c\n", max_size=12),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from(["a", "b", "c d"]), inner),
    max_leaves=12,
)


def spell(value):
    return json.dumps(value, sort_keys=True)


def places(before, after):
    return [(one.path, one.kind) for one in compare(before, after)]


@given(before=JSON, after=JSON)
def test_there_is_a_difference_exactly_where_values_are_not_written_alike(before, after):
    assert compare(before, before) == []
    assert bool(compare(before, after)) == (spell(before) != spell(after))


@given(before=JSON, after=JSON)
@example(before=[None, None, 0.0], after=[False, None, 0])
@example(before=["a", "b", 1], after=["b", 2, "a"])
def test_what_is_removed_one_way_is_added_the_other(before, after):
    there, back = (Counter(one.kind for one in compare(*pair)) for pair in ((before, after), (after, before)))
    assert there["removed"] == back["added"]
    assert there["moved"] == back["moved"]


def test_in_what_order_keys_are_named_is_no_difference():
    assert compare({"a": 1, "b": 2}, {"b": 2, "a": 1}) == []


def test_a_number_has_its_delta_and_its_percent():
    (found,) = compare({"n": 8}, {"n": 6.0})
    assert (found.delta, found.percent) == (-2.0, -25.0)
    (found,) = compare({"n": 0}, {"n": 3})
    assert (found.delta, found.percent) == (3, None)
    (found,) = compare({"n": -10}, {"n": -5})
    assert found.percent == 50.0


def test_true_and_null_are_no_numbers():
    assert [one.delta for one in compare([1, 0], [True, None])] == [None] * 4


def test_objects_are_compared_by_key_at_any_depth():
    before = {"a": {"b": [{"c": 1}]}, "gone": 1, "two words": 1}
    after = {"a": {"b": [{"c": 2}]}, "new": 1, "two words": 2}
    assert places(before, after) == [
        ("a.b[0].c", "changed"),
        ("gone", "removed"),
        ('"two words"', "changed"),
        ("new", "added"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("abc", "abxc", [("[2]", "added")]),
        ("abc", "ac", [("[1]", "removed")]),
        ("abcd", "dabc", [("[0]", "moved")]),
        ("aab", "aba", [("[2]", "moved")]),
        ("ab", "xy", [("[0]", "removed"), ("[0]", "added"), ("[1]", "removed"), ("[1]", "added")]),
    ],
)
def test_of_a_list_as_much_as_can_be_stays(before, after, found):
    assert places(list(before), list(after)) == found


def test_what_moved_says_from_where():
    (found,) = compare(list("abcd"), list("dabc"))
    assert (found.path, found.moved_from, found.after) == ("[0]", "[3]", "d")


def test_objects_at_the_same_place_of_a_list_are_compared_within():
    before = [{"name": "x", "n": 1}, {"name": "y", "n": 1}]
    after = [{"name": "new"}, {"name": "x", "n": 1}, {"name": "y", "n": 2}]
    assert places(before, after) == [("[0]", "added"), ("[2].n", "changed")]


def test_a_long_list_is_compared_as_a_set():
    before = list(range(30_000))
    assert places(before, [*before[::-1], -1]) == [("[30000]", "added")]


def test_one_line_is_compared_by_words_with_a_few_around():
    text = "minus zero one two three four five six seven eight nine ten eleven twelve thirteen"
    unit, pieces = compare_texts(text, text.replace("six", "6"))
    assert unit == "words"
    assert [(piece.kind, piece.text.strip()) for piece in pieces] == [
        ("same", LEFT_OUT),
        ("same", "two three four five"),
        ("gone", "six"),
        ("new", "6"),
        ("same", "seven eight nine ten"),
        ("same", LEFT_OUT),
    ]


def test_several_lines_are_compared_by_lines():
    unit, pieces = compare_texts("a\nb\nc\n", "a\nB\nc\n")
    assert unit == "lines"
    assert [(piece.kind, piece.text) for piece in pieces] == [
        ("same", "a\n"),
        ("gone", "b\n"),
        ("new", "B\n"),
        ("same", "c\n"),
    ]


@given(before=st.text("ab \n", max_size=40), after=st.text("ab \n", max_size=40))
def test_the_pieces_of_a_text_give_both_texts_back(before, after):
    _, pieces = compare_texts(before, after)
    if any(piece.text == LEFT_OUT for piece in pieces):
        return
    assert "".join(piece.text for piece in pieces if piece.kind != "new") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "gone") == after


def test_two_long_texts_with_nothing_in_common_are_shown_as_replaced_whole():
    before, after = ("".join(f"{name}{n}\n" for n in range(50_000)) for name in "ab")
    _, pieces = compare_texts(before, after)
    assert [(piece.kind, piece.text) for piece in pieces] == [("gone", before), ("new", after)]


def test_a_result_that_is_not_there_is_a_difference_as_a_whole():
    assert [one.kind for one in compare_results(None, {"a": 1})] == ["added"]
    assert [one.kind for one in compare_results({}, None)] == ["removed"]
    assert compare_results(None, None) == []
