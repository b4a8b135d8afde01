"""Embed many texts: each once, together where it goes, and alone where one of them is refused."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from handlers.model_costs import charge_shares
from handlers.model_endpoint import EndpointParams, MalformedAnswerError, name_request, post
from handlers.model_refusals import Refused
from pipeline.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from handlers.base import HandlerContext

EMBEDDINGS_PATH = "embeddings"


Outcomes = dict[int, Outcome | Exception]
"""By the position of the item in its batch."""


class EmbeddingParams(EndpointParams):
    """Which model embeds, and into how many numbers."""

    OURS = frozenset({"model", "input", "dimensions", "encoding_format"})

    dimensions: int | None = Field(
        None, ge=1, le=100_000, description="How many numbers, for models that let one choose."
    )


@dataclass(frozen=True, slots=True)
class Text:
    """The text of one item of a batch."""

    position: int
    text: str
    context: HandlerContext


async def embed_texts(params: EmbeddingParams, texts: Sequence[Text]) -> Outcomes:
    """
    Embed all the texts that were not embedded before, each of them once; an outcome for each item.

    What the endpoint refuses because of its input is halved until the bad text is found, which then gives up
    alone. What befalls a whole request, such as a 429 or a broken connection, befalls its texts, and leaves
    those that were answered before as they are.
    """
    outcomes: Outcomes = {}
    new: dict[str, list[Text]] = {}
    for text in texts:
        known = text.context.recall(_name(params, text.text))
        if known is not None:
            outcomes[text.position] = known
        else:
            new.setdefault(text.text, []).append(text)
    async with AsyncExitStack() as stack:
        if texts:
            await stack.enter_async_context(texts[0].context.http.keep_connections())
        outcomes |= await _embed(params, list(new.values()))
    return outcomes


async def _embed(params: EmbeddingParams, groups: Sequence[Sequence[Text]]) -> Outcomes:
    """Embed the text that each group has in common."""
    if not groups:
        return {}
    try:
        refused = await _request(params, groups)
    except Exception as error:  # noqa: BLE001 - it befalls these texts, and not those that were answered already
        return {text.position: error for group in groups for text in group}
    if isinstance(refused, Refused):
        if refused.blames_input and len(groups) > 1:
            middle = len(groups) // 2
            return {**await _embed(params, groups[:middle]), **await _embed(params, groups[middle:])}
        return {text.position: refused.outcome for group in groups for text in group}
    return refused


async def _request(params: EmbeddingParams, groups: Sequence[Sequence[Text]]) -> Outcomes | Refused:
    askers = [group[0] for group in groups]
    contexts, weights = [each.context for each in askers], [len(each.text) for each in askers]
    request = _write_request(params, [each.text for each in askers])
    reply = await post(contexts[0], params, EMBEDDINGS_PATH, request)
    if isinstance(reply, Refused):
        return reply
    try:
        results = _read_embeddings(reply, len(askers), params.model)
    except MalformedAnswerError:
        charge_shares(contexts, weights, params, reply)
        raise
    for asker, result in zip(askers, results, strict=True):
        asker.context.remember(_name(params, asker.text), result)
    charge_shares(contexts, weights, params, reply)
    return {text.position: result for group, result in zip(groups, results, strict=True) for text in group}


def _write_request(params: EmbeddingParams, texts: list[str]) -> dict[str, Any]:
    chosen = {} if params.dimensions is None else {"dimensions": params.dimensions}
    return {**params.extra, "model": params.model, "input": texts, "encoding_format": "float", **chosen}


def _name(params: EmbeddingParams, text: str) -> str:
    """Name a text as embedded with these parameters, whichever others it was sent with."""
    return name_request(params, EMBEDDINGS_PATH, _write_request(params, [text]))


def _read_embeddings(reply: Mapping[str, Any], count: int, model: str) -> list[dict[str, object]]:
    """Read the results in the order of the texts; each embedding names the index of its own."""
    data = reply.get("data")
    if not isinstance(data, list) or len(data) != count:
        given = len(data) if isinstance(data, list) else "no"
        raise MalformedAnswerError(f"asked for {count} embeddings, and was given {given} data")
    placed: dict[int, list[float]] = {}
    for position, entry in enumerate(data):
        index = entry.get("index", position) if isinstance(entry, dict) else None
        vector: Any = entry.get("embedding") if isinstance(entry, dict) else None
        if not isinstance(index, int) or not _is_vector(vector):
            raise MalformedAnswerError(f"data[{position}] is no embedding: {str(entry)[:100]}")
        placed[index] = vector
    if placed.keys() != set(range(count)):
        raise MalformedAnswerError("the embeddings are of other texts: an index is missing")
    named = str(reply.get("model") or model)
    return [
        {"embedding": placed[index], "dimensions": len(placed[index]), "model": named}
        for index in range(count)
    ]


def _is_vector(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
            for number in value
        )
    )
