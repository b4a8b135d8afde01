from __future__ import annotations

from pipeline.stage_graph import find_graph_problems, resolve_needs


def problems(*stages):
    return [(problem.path, problem.message) for problem in find_graph_problems(stages)]


def test_a_stage_needs_the_one_before_unless_it_says_otherwise():
    assert resolve_needs(["a", "b", "c", "d"], [None, None, [], ["a", "b"]]) == [(), ("a",), (), ("a", "b")]


def test_branches_that_meet_again_are_in_order():
    assert problems(("a", ()), ("b", ("a",)), ("c", ("a",)), ("d", ("b", "c"))) == []


def test_a_need_may_stand_further_down():
    assert problems(("a", ("b",)), ("b", ())) == []


def test_an_unknown_need_is_found_at_its_place_with_the_nearest():
    found = problems(("fetch", ()), ("sum", ("fetch", "fecth")))
    assert found == [(("stages", 1, "needs", 1), "no stage named 'fecth'; did you mean 'fetch'?")]


def test_a_repeated_name_is_found_at_the_second_place():
    assert problems(("a", ()), ("a", ("a",))) == [(("stages", 1), "duplicate stage 'a'")]


def test_a_stage_that_needs_itself_goes_in_a_circle():
    assert problems(("a", ("a",))) == [(("stages", 0), "a circle: a needs a")]


def test_each_circle_is_found():
    first, second = problems(("a", ("c",)), ("b", ("a",)), ("c", ("b",)), ("d", ("e",)), ("e", ("d",)))
    assert {first[0], second[0]} == {("stages", 2), ("stages", 4)}
    assert all(message.count(" needs ") in (2, 3) for _, message in (first, second))
