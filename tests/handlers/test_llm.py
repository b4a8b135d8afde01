from __future__ import annotations

import json

import pytest
from model_answers import Canned, make_chat, make_usage
from model_server import KEY

from handlers.json_answers import check_schema, read_json
from handlers.llm import Llm
from handlers.running import run_handler
from pipeline.outcomes import GiveUp

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
}


@pytest.fixture
def ask(endpoint, make_context):
    def run(*, context=None, **params):
        usual = {"base_url": endpoint.url, "api_key": KEY, "model": "gpt-4o-mini", "prompt": "Who?"}
        return run_handler(Llm(usual | params), context or make_context())

    return run


def say(endpoint, *texts, **more):
    endpoint.canned += [Canned(body=make_chat(text, make_usage(100, 10), **more)) for text in texts]


def test_the_prompt_is_made_of_the_item_and_the_results(endpoint, ask, make_context):
    context = make_context(data={"title": "Roots"}, results={"article": {"text": "They keep."}})
    result = ask(
        context=context,
        prompt="{{ item.title }}: {{ results.article.text }}",
        system="You know {{ item.title | lower }}.",
        temperature=0,
        max_tokens=50,
        extra={"seed": 7},
    )
    assert endpoint.asked[0].body == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "You know roots."},
            {"role": "user", "content": "Roots: They keep."},
        ],
        "temperature": 0,
        "max_tokens": 50,
        "seed": 7,
    }
    assert result == {"text": "That were 17 characters.", "json": None, "model": "gpt-4o-mini"}


@pytest.mark.parametrize("field", ["prompt", "system"])
def test_a_template_that_names_what_is_not_there_is_given_up_before_anything_is_asked(endpoint, ask, field):
    outcome = ask(**{field: "{{ item.titel }}"})
    assert isinstance(outcome, GiveUp)
    assert "'titel' is not there" in outcome.reason
    assert endpoint.asked == []


def test_an_unknown_name_in_the_prompt_is_refused_when_the_file_is_checked(ask):
    with pytest.raises(ValueError, match="a template knows no 'titel'"):
        ask(prompt="{{ titel }}")


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (make_chat("A root is a", make_usage(9, 9), "length"), "the model's own limit"),
        (make_chat(None, make_usage(9, 0), "content_filter"), "content_filter"),
        (make_chat(None, make_usage(9, 9), refusal="I will not."), "the model refused: I will not."),
        (make_chat(None, make_usage(9, 9), "tool_calls"), "tool_calls"),
    ],
)
def test_an_answer_that_is_no_whole_one_is_given_up_and_not_paid_for_again(endpoint, ask, said, word):
    endpoint.canned.append(Canned(body=said))
    outcome = ask()
    assert isinstance(outcome, GiveUp)
    assert word in outcome.reason
    assert ask() == outcome
    assert len(endpoint.asked) == 1


def test_an_answer_cut_at_max_tokens_names_them(endpoint, ask):
    say(endpoint, "A root", finish="length")
    assert "max_tokens (7)" in ask(max_tokens=7).reason


def test_what_a_model_thinks_aloud_is_left_out(endpoint, ask):
    say(endpoint, "<think>\nA root? No.\n</think>\n\nA leaf.")
    assert ask()["text"] == "A leaf."


def test_an_answer_in_parts_is_put_together(endpoint, ask):
    parts = [
        {"type": "thinking", "thinking": []},
        {"type": "text", "text": "A "},
        {"type": "text", "text": "leaf."},
    ]
    endpoint.canned.append(Canned(body=make_chat(parts, make_usage(9, 9))))
    assert ask()["text"] == "A leaf."


# -- JSON -------------------------------------------------------------------------------------------------


def test_json_is_asked_for_by_its_schema(endpoint, ask):
    result = ask(json_schema=PERSON)
    assert result["json"] == {"name": "root", "age": 7}
    assert json.loads(result["text"]) == result["json"]
    wanted = {"name": "answer", "schema": PERSON, "strict": False}
    assert endpoint.asked[0].body["response_format"] == {"type": "json_schema", "json_schema": wanted}


@pytest.mark.parametrize(
    ("answer_format", "response_format"), [("json_object", {"type": "json_object"}), ("text", None)]
)
def test_an_endpoint_that_knows_no_schemas_is_told_in_the_prompt(
    endpoint, ask, answer_format, response_format
):
    say(endpoint, '```json\n{"name": "Ada", "age": 36}\n```')
    assert ask(json_schema=PERSON, answer_format=answer_format)["json"] == {"name": "Ada", "age": 36}
    body = endpoint.asked[0].body
    assert body.get("response_format") == response_format
    assert json.dumps(PERSON) in body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ('{"name": "Ada"}', "$: 'age' is a required property"),
        ('{"name": "Ada", "age": -1}', "$.age: -1 is less than the minimum of 0"),
        ("Ada is 36.", "it is not JSON"),
        ('{"name": "Ada", "age": NaN}', "NaN is not a JSON number"),
        ('{"name": "\\ud800", "age": 1}', "result.name: text with half a surrogate pair"),
        ("[" * 100_000, "it is not JSON"),
    ],
)
def test_an_answer_that_does_not_fit_is_sent_back_once_with_what_is_wrong(
    endpoint, ask, make_context, bad, fault
):
    spent = []
    say(endpoint, bad, '{"name": "Ada", "age": 36}')
    result = ask(context=make_context(record_cost=spent.append), json_schema=PERSON, provider="openai")
    assert result["json"] == {"name": "Ada", "age": 36}
    *_, sent_back, repair = endpoint.asked[1].body["messages"]
    assert sent_back == {"role": "assistant", "content": bad}
    assert fault in repair["content"]
    assert sum(each.usd for each in spent) == pytest.approx(float(endpoint.charged))
    assert len(spent) == 2


def test_two_answers_that_do_not_fit_are_given_up_with_both_and_cost_nothing_again(
    endpoint, ask, make_context
):
    spent = []
    say(endpoint, '{"name": "Ada"}', '{"name": "Ada", "age": "old"}')
    outcome = ask(context=make_context(record_cost=spent.append), json_schema=PERSON)
    assert isinstance(outcome, GiveUp)
    assert "$.age: 'old' is not of type 'integer'" in outcome.reason
    assert 'answered: {"name": "Ada"}\nanswered: {"name": "Ada", "age": "old"}' in outcome.reason
    assert len(spent) == 2
    assert ask(json_schema=PERSON) == outcome
    assert len(endpoint.asked) == 2


def test_after_a_broken_repair_only_the_repair_is_asked_for_again(endpoint, ask):
    say(endpoint, '{"name": "Ada"}')
    endpoint.canned.append(Canned(reset=True))
    with pytest.raises(Exception, match="did not answer"):
        ask(json_schema=PERSON)
    say(endpoint, '{"name": "Ada", "age": 36}')
    assert ask(json_schema=PERSON)["json"]["age"] == 36
    assert len(endpoint.asked) == 3


def test_an_answer_too_deep_for_its_schema_does_not_fit(endpoint, ask):
    deep = '{"next": ' * 450 + "{}" + "}" * 450
    say(endpoint, deep, "{}")
    assert ask(json_schema={"properties": {"next": {"$ref": "#"}}})["json"] == {}
    assert "nested too deep" in endpoint.asked[1].body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"type": "strng"}, "no JSON Schema"),
        ({"properties": {"a": {"$ref": "https://example.org/schema"}}}, "cannot refer to"),
        ({"anyOf": [{"$ref": "other.json#/a"}]}, "cannot refer to"),
        ({"properties": {"a": {"$ref": "#/$defs/nope"}}, "$defs": {"a": {}}}, "refers to what is not in it"),
        ({"items": {"$ref": "#/anyOf/2"}, "anyOf": [{}, {}]}, "refers to what is not in it"),
        ({"items": {"$ref": "#nope"}, "$defs": {"a": {"$anchor": "a"}}}, "refers to what is not in it"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_when_the_file_is_checked(ask, schema, word):
    with pytest.raises(ValueError, match=word):
        ask(json_schema=schema)


@pytest.mark.parametrize("reference", ["#", "#/$defs/a~1b", "#/$defs/a%20b", "#/anyOf/1", "#named"])
def test_a_schema_may_refer_to_its_own_parts(reference):
    parts = {"a/b": {}, "a b": {}, "c": {"$anchor": "named"}}
    schema = {"items": {"$ref": reference}, "$defs": parts, "anyOf": [{}, {}]}
    assert check_schema(schema) is schema
    assert read_json("[1]", schema) == ([1], "")
