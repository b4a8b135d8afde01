from __future__ import annotations

import asyncio

import pytest
from model_answers import Canned, make_vector, refuse, throttle
from model_server import KEY

from handlers.embed import Embed
from handlers.model_endpoint import MalformedAnswerError
from handlers.running import run_handler
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater, Skip


@pytest.fixture
def make_embed(endpoint):
    def make(**params):
        usual = {"base_url": endpoint.url, "api_key": KEY, "model": "text-embedding-3-small"}
        return Embed(usual | {"provider": "openai"} | params)

    return make


@pytest.fixture
def embed(make_embed, make_context):
    """Embed texts together; `spent` takes what each costs, by its position."""

    def run(texts, spent=None, **params):
        def keep(position):
            return lambda cost: None if spent is None else spent.append((position, cost))

        contexts = [
            make_context(key=f"k{position}", data={"text": text}, record_cost=keep(position))
            for position, text in enumerate(texts)
        ]
        return asyncio.run(make_embed(**params).run_batch(contexts))

    return run


def sizes(endpoint):
    return [len(asked.body["input"]) for asked in endpoint.asked]


def test_one_text_is_embedded(endpoint, make_embed, make_context):
    context = make_context(data={"title": "Roots"}, results={"article": {"text": "They keep."}})
    result = run_handler(
        make_embed(input="{{ item.title }}: {{ results.article.text }}", dimensions=4), context
    )
    vector = make_vector("Roots: They keep.", 4)
    assert result == {"embedding": vector, "dimensions": 4, "model": "text-embedding-3-small"}
    assert endpoint.asked[0].body == {
        "model": "text-embedding-3-small",
        "input": ["Roots: They keep."],
        "encoding_format": "float",
        "dimensions": 4,
    }


def test_a_thousand_texts_in_batches_of_a_hundred_are_ten_requests(endpoint, embed):
    texts = [f"Text {number}" for number in range(1000)]
    outcomes = [each for start in range(0, 1000, 100) for each in embed(texts[start : start + 100])]
    assert [each["embedding"] for each in outcomes] == [make_vector(text) for text in texts]
    assert sizes(endpoint) == [100] * 10


def test_a_poisoned_text_fails_alone_and_no_other_is_paid_for_twice(endpoint, embed):
    endpoint.poison = "venom"
    texts = [f"Text {number}" for number in range(100)]
    texts[37] = "a drop of venom"
    spent = []
    outcomes = embed(texts, spent)
    assert [position for position, each in enumerate(outcomes) if isinstance(each, GiveUp)] == [37]
    assert "the string is too long" in outcomes[37].reason
    assert outcomes[38]["embedding"] == make_vector("Text 38")
    assert len(endpoint.asked) <= 15
    assert sum(cost.usd for _, cost in spent) == pytest.approx(float(endpoint.charged))
    assert sorted(position for position, _ in spent) == [each for each in range(100) if each != 37]


def test_what_was_embedded_before_is_not_sent_again(endpoint, embed):
    spent = []
    first = embed(["a root", "a leaf"], spent)
    again = embed(["a leaf", "a stalk", "a root"], spent)
    assert (again[0], again[2]) == (first[1], first[0])
    assert endpoint.asked[1].body["input"] == ["a stalk"]
    assert [position for position, _ in spent] == [0, 1, 1]


def test_a_text_that_several_items_have_is_sent_and_paid_for_once(endpoint, embed):
    spent = []
    outcomes = embed(["a root", "a root", "a leaf", "a root"], spent)
    assert outcomes[0] == outcomes[1] == outcomes[3]
    assert endpoint.asked[0].body["input"] == ["a root", "a leaf"]
    assert [position for position, _ in spent] == [0, 2]


def test_the_cost_is_shared_and_adds_up(endpoint, embed):
    spent = []
    embed([f"text {'word ' * number}" for number in range(7)], spent)
    tokens = [cost.units["input_tokens"] for _, cost in spent]
    assert sum(tokens) == sum(range(1, 8))
    assert sorted(tokens) == tokens
    assert sum(cost.usd for _, cost in spent) == pytest.approx(float(endpoint.charged))


def test_what_the_endpoint_says_it_cost_is_shared(endpoint, embed):
    spent = []
    data = [{"index": index, "embedding": [1.0]} for index in (0, 1)]
    endpoint.canned.append(Canned(body={"data": data, "usage": {"prompt_tokens": 8, "cost": 0.08}}))
    embed(["abc", "a"], spent)
    assert [cost.usd for _, cost in spent] == pytest.approx([0.06, 0.02])


def test_items_without_a_text_are_skipped_and_the_rest_goes_on(endpoint, embed):
    outcomes = embed(["a root", " ", "a leaf"])
    assert isinstance(outcomes[1], Skip)
    assert sizes(endpoint) == [2]


def test_a_429_in_the_middle_keeps_what_is_answered_and_delays_the_rest(endpoint, embed):
    endpoint.poison = "venom"
    good = {"data": [{"index": index, "embedding": [1.0]} for index in (0, 1)]}
    endpoint.canned += [refuse(400, "too long"), Canned(body=good), throttle(9)]
    outcomes = embed(["a", "b", "c", "venom"])
    assert [type(each) for each in outcomes] == [dict, dict, RetryLater, RetryLater]
    embed(["a", "b", "c"])
    assert endpoint.asked[-1].body["input"] == ["c"]


def test_a_broken_connection_befalls_all_that_were_sent(endpoint, embed):
    endpoint.canned.append(Canned(reset=True))
    outcomes = embed(["a", "b"])
    assert [type(each) for each in outcomes] == [SourceUnavailableError] * 2


def test_a_wrong_model_or_key_is_not_looked_for_among_the_texts(endpoint, embed):
    assert [type(each) for each in embed(["a", "b", "c"], api_key="sk-wrong")] == [GiveUp] * 3
    wrong = {"error": {"message": "Unknown model", "param": "model", "code": None}}
    endpoint.canned.append(Canned(400, wrong))
    assert [type(each) for each in embed(["a", "b", "c"])] == [GiveUp] * 3
    assert len(endpoint.asked) == 2


def test_a_longer_text_is_cut(endpoint, embed):
    embed(["a root that keeps"], max_chars=6)
    assert endpoint.asked[0].body["input"] == ["a root"]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (None, "given no data"),
        ([{"index": 0, "embedding": [1.0]}], "given 1 data"),
        ([{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}], "an index is missing"),
        ([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": "AACAPw=="}], "is no embedding"),
        ([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [float("nan")]}], "is no embedding"),
        ([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": []}], "is no embedding"),
        ([{"index": 0, "embedding": [1.0]}, None], "is no embedding"),
    ],
)
def test_a_malformed_answer_is_unexpected_charged_for_and_not_remembered(endpoint, embed, data, word):
    spent = []
    endpoint.canned.append(Canned(body={"data": data, "usage": {"prompt_tokens": 11}}))
    outcomes = embed(["a", "b"], spent)
    assert [type(each) for each in outcomes] == [MalformedAnswerError] * 2
    assert word in str(outcomes[0])
    assert sum(cost.usd for _, cost in spent) == pytest.approx(float(endpoint.charged))
    assert endpoint.charged > 0
    assert [type(each) for each in embed(["a", "b"])] == [dict, dict]
