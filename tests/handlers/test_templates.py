"""Templates in parameters: what they may use, and what is told when something is not there."""

from __future__ import annotations

import time

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from handlers import templates
from handlers.audio_transcribe import AudioTranscribe
from handlers.feed_enclosure import FeedEnclosure
from handlers.templates import Template, check_template, describe, render
from handlers.webhook import Webhook
from pipeline.outcomes import GiveUp


class Params(BaseModel):
    greeting: Template = "Hello {{ item.title }}"
    token: SecretStr = SecretStr("s3cret-token")


@pytest.fixture
def context(make_context):
    data = {"title": "Roots", "items": [1, 2], "tags": ["a", "b"], "deep": {"values": 3}}
    return make_context(job="garden", key="k7", data=data, results={"fetch": {"text": "<p>"}})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ item.title }} of {{ job }}, {{ item.key }}", "Roots of garden, k7"),
        ("{{ results.fetch.text }}", "<p>"),
        ("{{ item.items[1] }} {{ item.deep.values }}", "2 3"),
        ("{% for name in results.keys() %}{{ name }}{% endfor %}", "fetch"),
        ("{{ item.author | default('nobody') }}", "nobody"),
        ("{{ results.article is defined }}", "False"),
        ("{{ item.tags | join(', ') }}\n", "a, b\n"),
        ("{{ item.tags.0 }}", "a"),
        ("plain", "plain"),
    ],
)
def test_a_template_sees_the_item_the_results_and_the_job(context, template, text):
    assert render(check_template(template), context) == text


def test_parameters_and_what_the_handler_adds_are_there_too(context):
    assert check_template("{{ params.greeting }} {{ part }}", extra=["part"])
    assert render("{{ params.greeting }} {{ part }}", context, Params(greeting="hi"), part=3) == "hi 3"


def test_a_secret_parameter_stays_hidden(context):
    assert "s3cret" not in render("{{ params.token }}", context, Params())


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ item.titel }}", "'titel' is not there; did you mean 'title'?"),
        ("{{ item['nope'] }}", "'nope' is not there; there is: deep, items, key, tags, title"),
        ("{{ results.fetched.text }}", "'fetched' is not there; did you mean 'fetch'?"),
        ("{{ results.fetch.html }}", "'html' is not there; there is: text"),
        ("{{ item.tags[7] }}", "7"),
        ("{{ params.x }}", "'x' is not there; there is: nothing"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ item.title.__class__ }}", "unsafe"),
        ("{{ item.tags.append(3) }}", "unsafe"),
        ("{{ item.title + 1 }}", "concatenate"),
        ("{{ item.title | truncate(2) }}", "expected length >= 3"),
        ("{{ cycler() }}", "at least one item"),
    ],
)
def test_what_is_not_there_is_named_and_the_stage_gives_up(context, template, told):
    outcome = render(template, context)
    assert isinstance(outcome, GiveUp)
    assert told in outcome.reason


def test_what_a_template_itself_says_is_not_repeated_since_it_may_hold_a_secret(context):
    assert "s3cret" not in render("Bearer s3cret {{ item.nope }}", context).reason


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ titel }}", "knows no 'titel'; it may use item, results, params, job"),
        ("{{ item.title", "not a template: unexpected end"),
        ("{{ item | shout }}", "No filter named 'shout'"),
        ("{% include 'other' %}", "stands alone"),
        ("{{ dict(a=1, a=2) }}", "keyword argument repeated"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deep"),
    ],
)
def test_what_can_be_told_before_it_runs_is_told_then(template, told):
    with pytest.raises(ValueError, match="template") as caught:
        check_template(template)
    assert told in str(caught.value)
    with pytest.raises(ValidationError):
        Params(greeting=template)


def test_a_text_beyond_the_limit_is_given_up_while_it_is_made(context, monkeypatch):
    monkeypatch.setattr(templates, "MAX_CHARS", 1000)
    began = time.process_time()
    outcome = render(
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}", context
    )
    assert outcome == GiveUp("a template makes over 1,000 characters")
    assert time.process_time() - began < 5


def test_the_items_key_is_the_trackers_even_if_its_data_has_one(make_context):
    assert describe(make_context(key="k1", data={"key": "other"}))["item"] == {"key": "k1"}


@pytest.mark.parametrize("handler", [AudioTranscribe, FeedEnclosure, Webhook])
def test_a_constant_that_is_no_web_address_is_refused_when_the_file_is_checked(handler):
    for url in ("example.org/a.mp3", "file:///a.mp3", ""):
        with pytest.raises(ValidationError, match="not an http or https address"):
            handler({"url": url, **({"model": "m"} if handler is AudioTranscribe else {})})
