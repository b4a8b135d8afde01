"""What an answer cost: reported, else declared, else looked up, else unknown."""

from __future__ import annotations

import sys

import pytest
import structlog
from pydantic import ValidationError

from handlers import prices
from handlers.prices import Price, reckon

USAGE = {"input_tokens": 1_000_000, "cached_input_tokens": 400_000, "output_tokens": 100_000}
DECLARED = Price(input=0.15, output=0.6, cached_input=0.05)


@pytest.fixture(autouse=True)
def _warn_anew():
    prices._warn_unknown.cache_clear()


def test_what_the_endpoint_reports_goes_before_all_else():
    assert reckon("openai", "gpt-4o-mini", USAGE, 0.25, DECLARED) == (0.25, None)
    assert reckon("openai", "gpt-4o-mini", USAGE, 0.0) == (0.0, None)


def test_a_declared_price_goes_before_what_genai_prices_knows():
    usd, price = reckon("openai", "gpt-4o-mini", USAGE, None, DECLARED)
    assert usd == 0.17  # 0.6 * 0.15 + 0.4 * 0.05 + 0.1 * 0.6
    assert price == {"from": "declared", "input": 0.15, "output": 0.6, "cached_input": 0.05}


def test_cached_tokens_cost_like_the_others_when_nothing_else_is_declared():
    assert reckon("x", "m", USAGE, None, Price(input=1, output=0))[0] == 1.0


def test_sound_is_priced_by_the_minute():
    assert reckon("x", "m", {"audio_seconds": 90}, None, Price(audio_minute=0.006))[0] == 0.009


@pytest.mark.parametrize("provider", ["openai", "api.openai.com"])
def test_genai_prices_is_asked_by_name_or_by_host(provider):
    usd, price = reckon(provider, "gpt-4o-mini", {"input_tokens": 1_000_000, "output_tokens": 1_000_000})
    assert usd == 0.15 + 0.6
    assert price["from"].startswith("genai-prices ")
    assert (price["input_mtok"], price["output_mtok"]) == (0.15, 0.6)


def test_a_price_that_rises_with_the_length_is_kept_with_its_steps():
    _, price = reckon("google", "gemini-2.5-pro", {"input_tokens": 10, "output_tokens": 1})
    assert price["input_mtok"] == [[0, 1.25], [200_000, 2.5]]


@pytest.mark.parametrize(
    ("provider", "model", "usage", "declared"),
    [
        (
            "127.0.0.1:8080",
            "gpt-4o-mini",
            USAGE,
            None,
        ),  # somebody else's endpoint, whatever it calls its model
        ("openai", "no-such-model", USAGE, None),
        ("openai", "whisper-1", {"input_tokens": 5}, None),  # priced by the minute, and no minutes told
        ("openai", "gpt-4o-mini", USAGE, Price(input=0.15)),
    ],
)
def test_what_nobody_knows_the_price_of_is_unknown_and_said_once(provider, model, usage, declared):
    with structlog.testing.capture_logs() as logs:
        assert reckon(provider, model, usage, None, declared) == (None, None)
        assert reckon(provider, model, usage, None, declared) == (None, None)
    assert [(line["log_level"], line["event"], line["model"]) for line in logs] == [
        ("warning", "the price is unknown", model)
    ]


def test_without_the_extra_the_price_is_unknown_and_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with structlog.testing.capture_logs() as logs:
        assert reckon("openai", "gpt-4o-mini", USAGE) == (None, None)
    assert "`llm` is not installed" in logs[0]["why"]


@pytest.mark.parametrize("reported", [float("nan"), float("inf"), -1.0])
def test_a_report_that_is_no_amount_is_passed_over(reported):
    assert reckon("x", "m", {"output_tokens": 5}, reported, Price(output=1))[0] == 0.000005


@pytest.mark.parametrize("given", [{}, {"input": -1}, {"input": float("inf")}, {"inputs": 1}])
def test_a_price_that_says_nothing_sensible_is_refused(given):
    with pytest.raises(ValidationError):
        Price(**given)
