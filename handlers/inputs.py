"""What a handler takes from the stages that it needs, and how it ends when there is nothing to take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from handlers.base import HandlerContext

TEXT_FROM = "The needed stage whose result is taken; by default the nearest that has a text."


@dataclass(frozen=True, slots=True)
class Input:
    """A text, the field that it stood in, and the result, or the item's data, around it."""

    text: str
    field: str
    around: Mapping[str, Any]


def find_input(
    context: HandlerContext, text_from: str | None = None, fields: Sequence[str] = ("text",)
) -> Input | Skip | GiveUp:
    """
    Find the text to work on: in the result named, else the nearest needed one, else the item's data.

    `fields` are tried in their order. Nothing to be had ends in Skip when no needed stage left a result,
    since those were skipped, and in GiveUp when they left results without a text, since that is a mistake
    in jobs.yaml.
    """
    results = context.results
    if text_from is not None:
        results = {text_from: results[text_from]} if text_from in results else {}
    for around in [*reversed(list(results.values())), *([] if text_from else [context.data])]:
        for field in fields:
            if isinstance(text := around.get(field), str):
                return Input(text, field, around)
    return _end_without(results, text_from, fields)


def _end_without(results: Mapping[str, Any], text_from: str | None, fields: Sequence[str]) -> Skip | GiveUp:
    if not results:
        return Skip(f"no result of {text_from!r} to work on" if text_from else "no result to work on")
    wanted = " or ".join(repr(field) for field in fields)
    return GiveUp(f"no text in {wanted} of the results of: {', '.join(results)}; set `needs` or `text_from`")
