"""What a model's answer costs: as the endpoint says, else as jobs.yaml declares, else as genai-prices knows."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from genai_prices.types import PriceCalculation

log = structlog.get_logger("handlers")

Reckoned = tuple[float | None, dict[str, Any] | None]
"""US dollars, None when unknown; and what they were reckoned with, None when that was not needed or not known."""


class Price(BaseModel):
    """The prices of a model, in US dollars; for the parameter `price` of handlers that ask one."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    input: float | None = Field(None, ge=0, description="A million tokens that go in.")
    output: float | None = Field(None, ge=0, description="A million tokens that come out.")
    cached_input: float | None = Field(
        None,
        ge=0,
        description="A million of those going in that the endpoint has cached; `input` without it.",
    )
    audio_minute: float | None = Field(None, ge=0, description="A minute of sound.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("needs at least one price, such as {input: 0.15, output: 0.6}")
        return self


PRICED = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cached_input_tokens": "cached_input",
    "audio_seconds": "audio_minute",
}
"""
The units that cost, and the declared price of each; the tokens in `input_tokens` include the cached ones.

Among them are also those of sound, `input_audio_tokens`, for which genai-prices knows prices of their own.
"""


def reckon(
    provider: str,
    model: str,
    usage: Mapping[str, float],
    reported_usd: float | None = None,
    declared: Price | None = None,
) -> Reckoned:
    """
    Reckon what an answer cost: `(usd, price)`, as `HandlerContext.cost` takes them.

    `provider` is a name such as `openai`, or the host of the endpoint. `usage` has units of `PRICED`; others
    cost nothing. What the endpoint reports comes first, then what the stage declares, then genai-prices (from
    the extra `llm`). Else `(None, None)`: unknown, with one warning a process for each provider and model.
    """
    if reported_usd is not None and 0 <= reported_usd < math.inf:
        return float(reported_usd), None
    used = {unit: count for unit, count in usage.items() if unit in PRICED and count > 0}
    used["cached_input_tokens"] = min(used.get("cached_input_tokens", 0), used.get("input_tokens", 0))
    if declared is not None:
        return _reckon_declared(provider, model, used, declared)
    heard = min(usage.get("input_audio_tokens", 0), used.get("input_tokens", 0))
    return _look_up(provider, model, {**used, "input_audio_tokens": heard})


def _reckon_declared(provider: str, model: str, used: Mapping[str, float], declared: Price) -> Reckoned:
    prices = declared.model_dump(exclude_none=True)
    cached = used["cached_input_tokens"] if "cached_input" in prices else 0
    counts = {**used, "input_tokens": used.get("input_tokens", 0) - cached, "cached_input_tokens": cached}
    counted = {PRICED[unit]: count for unit, count in counts.items() if count}
    if missing := sorted(counted.keys() - prices.keys()):
        _warn_unknown(provider, model, f"`price` declares nothing for {', '.join(missing)}")
        return None, None
    total = sum(
        (_exact(count) * _exact(prices[kind]) / (60 if kind == "audio_minute" else 1_000_000))
        for kind, count in counted.items()
    )
    return float(total), {"from": "declared", **prices}


def _exact(number: float) -> Decimal:
    return Decimal(str(number))


def _look_up(provider: str, model: str, used: Mapping[str, float]) -> Reckoned:
    try:
        import genai_prices  # noqa: PLC0415 - from an extra
    except ImportError:
        _warn_unknown(provider, model, "no `price` is declared, and the extra `llm` is not installed")
        return None, None
    names = {"cached_input_tokens": "cache_read_tokens"}
    counted = {names.get(unit, unit): count for unit, count in used.items() if count}
    try:
        found = genai_prices.calc_price(genai_prices.Usage(**counted), model, provider_id=provider)
    except (LookupError, ValueError, TypeError):  # a type error: an older one, which knows fewer units
        _warn_unknown(provider, model, "declare its `price` in the stage's parameters")
        return None, None
    price = _spell_price(found)
    needed = {"input_tokens": "input_mtok", "output_tokens": "output_mtok", "audio_seconds": "audio_hours"}
    if any(needed[unit] not in price for unit in counted.keys() & needed.keys()):
        _warn_unknown(provider, model, "genai-prices does not price all that it counted; declare its `price`")
        return None, None
    return float(found.total_price), {"from": f"genai-prices {genai_prices.__version__}", **price}


def _spell_price(found: PriceCalculation) -> dict[str, Any]:
    """Write the prices that matter to us; one that rises with the length as `[from how many tokens, price]`s."""
    kept = ("input_mtok", "output_mtok", "cache_read_mtok", "input_audio_mtok", "audio_hours")
    prices = {name: getattr(found.model_price, name, None) for name in kept}
    return {
        name: float(price)
        if isinstance(price, Decimal)
        else [[0, float(price.base)], *([tier.start, float(tier.price)] for tier in price.tiers)]
        for name, price in prices.items()
        if price is not None
    }


@cache
def _warn_unknown(provider: str, model: str, why: str) -> None:
    log.warning("the price is unknown", provider=provider, model=model, why=why)
