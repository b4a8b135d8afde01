"""What an answer of a model endpoint used and cost, as it says itself, told to the attempts that asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from handlers.prices import reckon

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from handlers.model_endpoint import EndpointParams

Units = dict[str, float]

_PLACES = {
    "input_tokens": ("prompt_tokens", "input_tokens"),
    "output_tokens": ("completion_tokens", "output_tokens"),
    "cached_input_tokens": (
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "prompt_cache_hit_tokens",
    ),
    "reasoning_tokens": (
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
    ),
    "input_audio_tokens": ("input_token_details.audio_tokens", "prompt_tokens_details.audio_tokens"),
    "audio_seconds": ("seconds",),
}
"""
Where each unit stands in a `usage`; the first place that has it counts.

Reasoning tokens are among those that come out, cached and audio ones among those that go in.
Source: OpenAI's API reference, chat completions, embeddings and transcriptions; api-docs.deepseek.com for its own.
"""


_ALWAYS_TOLD = {"input_tokens", "output_tokens"}
"""The others are told when there are any."""


def read_usage(answer: Mapping[str, Any]) -> tuple[Units, float | None] | None:
    """
    Read what an answer used, by unit, and what it cost by its own account in US dollars; None if it says nothing.

    Source: openrouter.ai/docs, "Usage Accounting", for `cost`; the rest as in `_PLACES`.
    """
    usage = answer.get("usage")
    if not isinstance(usage, Mapping):
        return None
    found = {unit: _find_count(usage, places) for unit, places in _PLACES.items()}
    units = {unit: count for unit, count in found.items() if count or (count == 0 and unit in _ALWAYS_TOLD)}
    cost = _read_count(usage.get("cost"))
    return None if not units and cost is None else (units, cost)


def charge(context: HandlerContext, params: EndpointParams, answer: Mapping[str, Any]) -> None:
    """Tell an attempt what an answer cost. One without a usage has an unknown cost."""
    charge_shares([context], [1], params, answer)


def charge_shares(
    contexts: Sequence[HandlerContext],
    weights: Sequence[int],
    params: EndpointParams,
    answer: Mapping[str, Any],
) -> None:
    """Tell each of the attempts that one answer served its share, by weight; the shares add up to the whole."""
    units, cost = read_usage(answer) or ({}, None)
    model = answer.get("model")
    named = model if isinstance(model, str) and model else params.model
    provider = params.provider or name_provider(params.base_url)
    shares = {unit: share_out(count, weights) for unit, count in units.items()}
    total = sum(weights) or 1
    for position, context in enumerate(contexts):
        own = {unit: counts[position] for unit, counts in shares.items()}
        reported = None if cost is None else cost * weights[position] / total
        usd, price = reckon(provider, named, own, reported, params.price) if own or cost else (cost, None)
        context.cost(usd, provider, model=named, price=price, **own)


def share_out(count: float, weights: Sequence[int]) -> list[float]:
    """
    Part a count by weights, a whole one into whole ones; the parts add up to it.

    >>> share_out(10, [1, 1, 1]), share_out(3, [0, 0])
    ([3, 3, 4], [1, 2])
    """
    weighed = weights if any(weights) else [1] * len(weights)
    ends = [0, *accumulate(weighed)]
    if isinstance(count, int):
        return [count * end // ends[-1] - count * start // ends[-1] for start, end in pairwise(ends)]
    return [count * weight / ends[-1] for weight in weighed]


@cache
def name_provider(base_url: str) -> str:
    """Name who is behind an address, as genai-prices does (`openai`), or else by its host."""
    host = urlsplit(base_url).hostname or ""
    try:
        from genai_prices import data_snapshot  # noqa: PLC0415 - from an extra

        return data_snapshot.get_snapshot().find_provider(None, None, f"https://{host}/").id
    except (ImportError, LookupError):
        return host


def _find_count(usage: Mapping[str, Any], places: Sequence[str]) -> float | None:
    for place in places:
        found: Any = usage
        for step in place.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        if (count := _read_count(found)) is not None:
            return count
    return None


def _read_count(value: Any) -> float | None:
    is_count = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
    return value if is_count else None
