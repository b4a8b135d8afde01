from __future__ import annotations

import pytest
from model_answers import Canned, make_chat, make_usage
from model_server import KEY

from handlers.classify import Classify
from handlers.running import run_handler
from pipeline.outcomes import GiveUp


@pytest.fixture
def classify(endpoint, make_context):
    def run(*said, **params):
        endpoint.canned += [Canned(body=make_chat(text, make_usage(9, 9))) for text in said]
        usual = {"base_url": endpoint.url, "api_key": KEY, "model": "gpt-4o-mini"}
        labels = {"labels": {"news": "Tells what is new", "advert": "", "other": "Anything else"}}
        return run_handler(Classify(usual | labels | params), make_context(data={"text": "Buy roots!"}))

    return run


def test_one_label_is_chosen_of_those_declared(endpoint, classify):
    result = classify('{"label": "advert"}')
    assert result == {"label": "advert", "labels": ["advert"], "model": "gpt-4o-mini"}
    body = endpoint.asked[0].body
    assert "- news: Tells what is new\n- advert\n- other: Anything else\n" in body["messages"][0]["content"]
    label = {"type": "string", "enum": ["news", "advert", "other"]}
    assert body["response_format"]["json_schema"]["schema"]["properties"] == {"label": label}


def test_several_are_given_in_the_order_in_which_they_are_declared(classify):
    result = classify('{"labels": ["other", "news", "other"]}', several=True)
    assert (result["label"], result["labels"]) == ("news", ["news", "other"])


def test_none_may_fit_where_several_may(classify):
    result = classify('{"labels": []}', several=True)
    assert (result["label"], result["labels"]) == (None, [])


def test_a_label_that_is_none_is_sent_back_and_given_up_the_second_time(endpoint, classify):
    assert classify('{"label": "spam"}', '{"label": "news"}')["label"] == "news"
    assert "'spam' is not one of" in endpoint.asked[1].body["messages"][-1]["content"]
    outcome = classify('{"label": "spam"}', '{"label": "junk"}', instructions="Again.")
    assert isinstance(outcome, GiveUp)
    assert "spam" in outcome.reason
    assert "junk" in outcome.reason


def test_labels_may_be_a_plain_list(classify):
    assert classify('{"label": "b"}', labels=["a", "b"])["label"] == "b"


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        (["a"], "at least 2"),
        (["a", "a"], "stands there twice"),
        (["a", ""], "at least 1"),
        ([{"a": "A"}, {"b": "B"}], "written in a mapping"),
        ("a", "dict"),
    ],
)
def test_labels_that_cannot_be_are_refused_when_the_file_is_checked(classify, labels, word):
    with pytest.raises(ValueError, match=word):
        classify(labels=labels)
