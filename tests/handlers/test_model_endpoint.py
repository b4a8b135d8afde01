"""What every handler that asks a model keeps to, shown with `llm`."""

from __future__ import annotations

import json

import pytest
from model_answers import FAILURES, Canned, make_chat, make_usage, refuse, throttle
from model_server import KEY

from handlers.llm import Llm
from handlers.model_endpoint import MalformedAnswerError
from handlers.running import run_handler
from net.client import PoliteClient
from net.memory_manners import MemoryManners
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater
from pipeline.variables import fill_from_environment, resolve_variables


@pytest.fixture
def make_llm(endpoint):
    def make(**params):
        usual = {
            "base_url": endpoint.url,
            "api_key": KEY,
            "model": "gpt-4o-mini",
            "prompt": "What is a root?",
        }
        return Llm(usual | params)

    return make


@pytest.fixture
def ask(make_llm, make_context):
    def run(*, context=None, **params):
        return run_handler(make_llm(**params), context or make_context())

    return run


# -- what is paid for -------------------------------------------------------------------------------------


def test_the_same_request_is_paid_for_once_whichever_item_asks(endpoint, make_llm, make_context):
    spent = []
    first = run_handler(make_llm(), make_context(key="a", record_cost=spent.append))
    assert len(spent) == 1
    again = run_handler(make_llm(), make_context(key="b", attempt=2, record_cost=spent.append))
    assert again == first
    assert len(spent) == len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "change", [{"model": "gpt-4o"}, {"temperature": 0.5}, {"max_tokens": 9}, {"system": "Be brief."},
               {"prompt": "What is a leaf?"}, {"extra": {"seed": 7}}]
)  # fmt: skip
def test_another_request_is_another_one(endpoint, ask, change):
    ask()
    ask(**change)
    assert len(endpoint.asked) == 2


def test_another_key_is_no_other_request(endpoint, ask):
    ask()
    assert isinstance(ask(api_key="sk-another"), dict)
    assert len(endpoint.asked) == 1


def test_an_answer_is_remembered_before_anything_else_is_done_with_it(endpoint, make_llm, make_context):
    def fail(_):
        raise MemoryError("the worker dies here")

    with pytest.raises(MemoryError):
        run_handler(make_llm(), make_context(record_cost=fail))
    assert isinstance(run_handler(make_llm(), make_context()), dict)
    assert len(endpoint.asked) == 1


def test_the_cost_is_that_of_the_tokens_by_kind(endpoint, ask, make_context):
    spent = []
    endpoint.canned.append(
        Canned(body=make_chat("A root.", make_usage(1000, 500, cached=400, reasoning=300)))
    )
    ask(context=make_context(record_cost=spent.append), price={"input": 1, "output": 10, "cached_input": 0.5})
    assert spent[0].usd == pytest.approx((600 * 1 + 500 * 10 + 400 * 0.5) / 1e6)
    assert spent[0].model == "gpt-4o-mini"
    assert spent[0].provider == "127.0.0.1"
    assert spent[0].units == {
        "input_tokens": 1000,
        "output_tokens": 500,
        "cached_input_tokens": 400,
        "reasoning_tokens": 300,
    }


def test_a_known_provider_has_known_prices(endpoint, ask, make_context):
    spent = []
    ask(context=make_context(record_cost=spent.append), provider="openai")
    assert spent[0].usd == pytest.approx(float(endpoint.charged))
    assert spent[0].provider == "openai"
    assert spent[0].price["input_mtok"] == 0.15


def test_what_the_endpoint_says_it_cost_is_what_it_cost(endpoint, ask, make_context):
    spent = []
    usage = {**make_usage(1000, 500), "cost": 0.0123}
    endpoint.canned.append(Canned(body=make_chat("A root.", usage)))
    ask(context=make_context(record_cost=spent.append), price={"input": 1, "output": 10})
    assert spent[0].usd == 0.0123
    assert spent[0].price is None


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "many"}, {"prompt_tokens": -1}])
def test_an_answer_that_does_not_say_what_it_used_has_an_unknown_cost(endpoint, ask, make_context, usage):
    spent = []
    endpoint.canned.append(Canned(body=make_chat("A root.", usage)))
    ask(context=make_context(record_cost=spent.append), price={"input": 1, "output": 10})
    assert [(each.usd, each.units) for each in spent] == [(None, {})]


@pytest.mark.parametrize("half", ["\\ud83c", "\ud83c"])
def test_an_answer_with_half_an_emoji_has_a_question_mark_for_it(endpoint, ask, make_context, half):
    spent = []
    whole = json.dumps(make_chat("A root HALF.", make_usage(10, 3)))
    endpoint.canned.append(Canned(body=whole.replace("HALF", half).encode(errors="surrogatepass")))
    assert ask(context=make_context(record_cost=spent.append))["text"] == "A root ?."
    assert len(spent) == 1


def test_an_answer_that_is_none_is_paid_for_too(endpoint, ask, make_context):
    spent = []
    endpoint.canned.append(FAILURES[-1])
    with pytest.raises(MalformedAnswerError, match="has no choices"):
        ask(context=make_context(record_cost=spent.append), provider="openai")
    assert spent[0].usd == pytest.approx(float(endpoint.charged))
    assert endpoint.charged > 0


def test_a_refusal_that_was_charged_for_is_paid_for_too(endpoint, ask, make_context):
    spent = []
    body = {"error": {"message": "out of memory"}, "usage": make_usage(100, 3)}
    endpoint.canned.append(Canned(500, body))
    with pytest.raises(SourceUnavailableError, match="out of memory"):
        ask(context=make_context(record_cost=spent.append), provider="openai")
    assert spent[0].usd == pytest.approx(float(endpoint.charged))
    assert endpoint.charged > 0


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "word"),
    [
        (refuse(401, "Incorrect API key provided: sk-te******cdef.", "invalid_api_key"), "OPENAI_API_KEY"),
        (refuse(403, "Country not supported", "unsupported_country"), "unsupported_country"),
        (
            refuse(404, "The model `gpt-9` does not exist", "model_not_found"),
            "model_not_found: The model `gpt-9`",
        ),
        (
            refuse(400, "This model's maximum context length is 8192 tokens.", "context_length_exceeded"),
            "8192",
        ),
        (Canned(404, {"error": "model 'llama9' not found"}), "model 'llama9' not found"),
        (Canned(422, {"detail": "a wrong field"}), "a wrong field"),
        (Canned(400, "what?", content_type="text/plain"), "what?"),
        (Canned(405, "[" * 100_000), "405"),
    ],
)
def test_what_will_be_refused_again_is_given_up_in_the_endpoints_words(endpoint, ask, refusal, word):
    endpoint.canned.append(refusal)
    outcome = ask()
    assert isinstance(outcome, GiveUp)
    assert word in outcome.reason
    assert "sk-te" not in outcome.reason
    assert len(outcome.reason) < 800


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [
        (throttle(7), 7),
        (refuse(429, "Slow down", x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="6m0s"), 360),
        (refuse(429, "Slow down", x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="20ms"), 1),
        (refuse(429, "Slow down"), 60),
        (refuse(503, "Overloaded", retry_after="30"), 30),
        (refuse(429, "You exceeded your current quota", "insufficient_quota"), 3600),
        (refuse(402, "Insufficient Balance"), 3600),
        (refuse(429, "Come back in a year", retry_after="31536000"), 86_400),
    ],
)
def test_what_passes_is_asked_again_when_the_endpoint_says(endpoint, ask, refusal, seconds):
    endpoint.canned.append(refusal)
    outcome = ask()
    assert isinstance(outcome, RetryLater)
    assert outcome.delay_seconds() == pytest.approx(seconds, abs=1)
    assert str(refusal.status) in outcome.reason


def test_running_out_of_money_is_named(endpoint, ask):
    endpoint.canned.append(refuse(429, "You exceeded your current quota", "insufficient_quota"))
    assert "insufficient_quota: You exceeded your current quota" in ask().reason


@pytest.mark.parametrize(
    "refusal", [refuse(500, "Oh"), refuse(502, "Oh"), refuse(409, "Oh"), refuse(408, "Oh")]
)
def test_what_is_broken_there_is_unexpected(endpoint, ask, refusal):
    endpoint.canned.append(refusal)
    with pytest.raises(SourceUnavailableError, match="Oh"):
        ask()


def test_a_broken_connection_is_unexpected(endpoint, ask):
    endpoint.canned.append(Canned(reset=True))
    with pytest.raises(SourceUnavailableError, match="did not answer"):
        ask()


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ('{"choices": [{"index": 0, "mess', "no JSON object"),
        ("<html><body>Welcome</body></html>", "<html><body>Welcome"),
        ("[]", "no JSON object"),
        ("{}", "no choices"),
        ('{"choices": "none"}', "no choices"),
        ('{"choices": [{"message": null}]}', "no choices"),
        ('{"choices": [{"message": {"content": " "}}]}', "empty"),
        ('{"choices": [{"message": {"content": "<think>Hm.</think>"}, "finish_reason": "stop"}]}', "empty"),
    ],
)
def test_a_malformed_answer_is_unexpected_and_not_remembered(endpoint, ask, body, word):
    endpoint.canned.append(Canned(200, body))
    with pytest.raises(MalformedAnswerError, match=word):
        ask()
    assert isinstance(ask(), dict)


def test_an_address_that_leads_nowhere_is_given_up(endpoint, ask):
    assert "Unknown request URL: POST /v1/extra" in ask(base_url=f"{endpoint.url}/extra").reason


# -- the address and the key ------------------------------------------------------------------------------


def test_a_local_endpoint_needs_no_key(endpoint, ask):
    endpoint.needs_key = False
    assert isinstance(ask(api_key=""), dict)
    assert "authorization" not in endpoint.asked[0].headers


def test_a_private_address_must_be_allowed(endpoint, ask, make_context):
    outcome = ask(context=make_context(http=PoliteClient(contact="ops@example.org")))
    assert isinstance(outcome, GiveUp)
    assert "CELERIAC_ALLOW_HOSTS" in outcome.reason
    assert endpoint.asked == []


def test_address_and_key_come_from_the_environment():
    filled = fill_from_environment(Llm, {"model": "m"})
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://localhost:11434/v1"}
    resolved = resolve_variables(filled, environment)
    assert resolved == {"model": "m", "api_key": KEY, "base_url": "http://localhost:11434/v1"}
    bare = Llm(resolve_variables(filled | {"prompt": "?"}, {})).params
    assert (bare.base_url, bare.api_key.get_secret_value()) == ("https://api.openai.com/v1", "")


def test_the_key_of_the_environment_goes_to_no_other_address():
    filled = fill_from_environment(Llm, {"model": "m", "base_url": "https://models.example.org/v1"})
    assert "api_key" not in filled


def test_a_key_is_stripped_of_the_line_break_of_its_file(ask):
    assert isinstance(ask(api_key=f"{KEY}\n"), dict)


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"api_key": "sk-a\nsk-b"}, "no API key"),
        ({"api_key": "ключ"}, "no API key"),
        ({"base_url": "localhost:11434"}, "https://api.example.org/v1"),
        ({"base_url": "file:///etc/passwd"}, "https://api.example.org/v1"),
        ({"base_url": "http://["}, "https://api.example.org/v1"),
        ({"model": ""}, "at least 1 character"),
        ({"extra": {"messages": []}}, "cannot set messages"),
        ({"price": {}}, "at least one price"),
    ],
)
def test_a_wrong_parameter_is_refused_when_the_file_is_checked(make_llm, params, word):
    with pytest.raises(ValueError, match=word) as caught:
        make_llm(**params)
    assert "sk-a" not in str(caught.value)


def test_the_query_of_an_address_stays_behind_the_path(endpoint, ask):
    ask(base_url=f"{endpoint.url}?api-version=7")
    assert endpoint.asked[0].path == "/v1/chat/completions?api-version=7"


# -- its pace ---------------------------------------------------------------------------------------------


def test_an_endpoint_is_not_kept_at_the_pace_of_a_website(endpoint, make_llm, make_context):
    patient = PoliteClient(
        contact=None, allow_hosts=["127.0.0.1"], manners=MemoryManners(), patience_seconds=0.1
    )
    outcomes = [
        run_handler(make_llm(prompt=f"What is {number}?"), make_context(http=patient)) for number in range(12)
    ]
    assert [type(outcome) for outcome in outcomes] == [
        dict
    ] * 12  # at two a second the second would not have waited
    assert {asked.path for asked in endpoint.asked} == {"/v1/chat/completions"}  # no robots.txt


def test_an_endpoint_that_says_to_slow_down_is_left_alone_by_all(endpoint, make_llm, make_context):
    manners = MemoryManners(clock=lambda: 1000.0)
    polite = PoliteClient(contact=None, allow_hosts=["127.0.0.1"], manners=manners, patience_seconds=0.1)
    endpoint.canned.append(throttle(30))
    for number in range(3):
        outcome = run_handler(make_llm(prompt=f"What is {number}?"), make_context(http=polite))
        assert isinstance(outcome, RetryLater)
        assert outcome.delay_seconds() == 30
    assert len(endpoint.asked) == 1
