"""The handlers `transform` and `filter`, and the expressions that they share."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from handlers.expressions import check_expression
from handlers.filter import Filter
from handlers.running import run_handler
from handlers.transform import Transform
from pipeline.outcomes import GiveUp, Skip

DATA = {
    "title": "Roots",
    "points": 7,
    "tags": ["a", "b"],
    "people": [{"name": "Rosa", "age": 3}, {"name": "Karl"}],
}


@pytest.fixture
def context(make_context):
    return make_context(
        key="k7", job="garden", data=DATA, results={"fetch": {"text": "<p>"}, "llm": {"n": 0}}
    )


def test_a_field_is_what_an_expression_finds_or_what_a_template_says(context):
    handler = Transform(
        {
            "fields": {
                "names": "item.people[].name",
                "count": "length(item.tags)",
                "text": "results.fetch.text",
                "both": "{key: item.key, job: job}",
                "nothing": "item.author",
                "same": "'fixed'",
            },
            "templates": {"line": "{{ item.title }} ({{ item.points }})"},
        }
    )
    assert run_handler(handler, context) == {
        "names": ["Rosa", "Karl"],
        "count": 2,
        "text": "<p>",
        "both": {"key": "k7", "job": "garden"},
        "nothing": None,
        "same": "fixed",
        "line": "Roots (7)",
    }


def test_a_required_field_that_is_empty_is_named(context):
    handler = Transform({"fields": {"by": "item.author", "on": "item.title"}, "required": ["by", "on"]})
    assert run_handler(handler, context) == GiveUp("required, but empty: by")


def test_a_field_that_cannot_be_made_is_named(context):
    assert run_handler(Transform({"fields": {"n": "length(item.points)"}}), context).reason.startswith(
        "n: the expr"
    )
    assert run_handler(Transform({"templates": {"n": "{{ item.titel }}"}}), context).reason == (
        "n: a template cannot be rendered: 'titel' is not there; did you mean 'title'?"
    )


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, "nothing to make"),
        ({"fields": {"a": "item.b"}, "templates": {"a": "x"}}, "both in `fields` and in `templates`: a"),
        ({"fields": {"a": "item.b"}, "required": ["b"]}, "required, but made nowhere: b"),
        ({"fields": {"a": "item.["}}, "not a JMESPath"),
        ({"fields": {"a": "lenght(item.tags)"}}, "there is no function 'lenght'; did you mean 'length'"),
        ({"fields": {"a": "item.tags[?contains(@)]"}}, r"contains\(\) takes 2, and is given 1"),
        ({"fields": {"a": "merge()"}}, r"merge\(\) takes 1 or more, and is given 0"),
        ({"fields": {"a": "itme.b"}}, "knows no 'itme'; it may begin with item, results, job"),
        ({"templates": {"a": "{{ itme.b }}"}}, "knows no 'itme'"),
    ],
)
def test_a_mistake_is_told_before_it_runs(params, told):
    with pytest.raises(ValidationError, match=told):
        Transform(params)


@pytest.mark.parametrize(
    "expression",
    [
        "item",
        "@",
        "item.people[?age > `1`].name | [0]",
        "sort_by(item.people, &age)[*].name",
        "item.tags[0] == 'a' && !results.fetch.text || job",
        "{a: item.x, b: [results.y, 'z']}",
        "results.*.text",
        "item.people[].{n: name, m: age}",
        "max_by(item.people, &age).name",
        'item."odd name"',
    ],
)
def test_names_looked_up_further_down_are_free(expression):
    assert check_expression(expression) == expression


@pytest.mark.parametrize(
    "expression",
    [
        "name",
        "item.a && name",
        "length(name)",
        "{a: name}",
        "[item, name]",
        "name[].item",
        "!name",
        "name | item",
    ],
)
def test_an_unknown_name_at_the_top_is_told_wherever_it_stands(expression):
    with pytest.raises(ValueError, match="knows no 'name'"):
        check_expression(expression)


@pytest.mark.parametrize(
    ("where", "passes"),
    [
        ("item.points > `6`", True),
        ("item.points > `7`", False),
        ("results.llm.n", True),
        ("item.author", False),
        ("item.tags", True),
        ("item.tags[?@ == 'z']", False),
        ("contains(item.title, 'oo') && length(item.tags) == `2`", True),
        ("item.author > `3`", False),
    ],
)
def test_an_item_passes_when_the_condition_holds(context, where, passes):
    outcome = run_handler(Filter({"where": where}), context)
    assert outcome == ({"n": 0, "passed": True} if passes else Skip("the condition does not hold", rest=True))


def test_the_rest_is_skipped_or_goes_on_as_chosen(context):
    assert run_handler(Filter({"where": "item.author", "rest": False}), context) == Skip(
        "the condition does not hold"
    )


def test_the_nearest_result_is_passed_on_or_not_as_chosen(make_context, context):
    assert run_handler(Filter({"where": "item", "pass_on": False}), context) == {"passed": True}
    assert run_handler(Filter({"where": "item"}), make_context(data=DATA)) == {"passed": True}


@pytest.mark.parametrize(
    ("where", "told"), [("length(item.points) > `1`", "length"), ("item.title > `3`", "'>'")]
)
def test_a_condition_that_cannot_be_applied_is_given_up(context, where, told):
    outcome = run_handler(Filter({"where": where}), context)
    assert isinstance(outcome, GiveUp)
    assert told in outcome.reason
