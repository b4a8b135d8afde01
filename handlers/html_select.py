"""The handler `html_select`: fields of a page, by CSS selectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from handlers import html_child
from handlers.base import Handler, HandlerParams
from handlers.confining import ask_confined, explain_end
from handlers.inputs import TEXT_FROM, Input, find_input
from net.html import FieldSelector
from pipeline.confined import ChildEnd
from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from typing import Self

    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

MEMORY_BYTES = 1024 * 1024 * 1024
"""A page of ten million characters takes less."""


class Selected(BaseModel):
    """What is found by a selector, and what is taken of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    select: FieldSelector = Field(
        "", description="A CSS selector, or selector@attribute; without one, what it stands within."
    )
    all: bool = Field(False, description="Take all that is found, as a list, up to 10,000; else the first.")
    html: bool = Field(False, description="Take its HTML, itself included, instead of its text.")
    required: bool = Field(False, description="Give up when nothing is found, or it is empty.")
    fields: dict[str, FieldSelector | Selected] | None = Field(
        None, description="Take an object, whose fields are looked up within what is found."
    )

    @model_validator(mode="after")
    def _must_take_one_thing(self) -> Self:
        if self.fields and (self.html or "@" in self.select):
            raise ValueError("`fields` takes an object: it goes with neither `html` nor an @attribute")
        if self.html and "@" in self.select:
            raise ValueError("an @attribute has no `html`")
        return self

    def describe(self) -> dict[str, Any]:
        """Describe it in JSON, each field within it in full."""
        fields = None if self.fields is None else _describe(self.fields)
        return {**self.model_dump(exclude={"fields"}), "fields": fields}


def _describe(fields: dict[str, str | Selected]) -> dict[str, Any]:
    full = {
        name: Selected(select=wanted) if isinstance(wanted, str) else wanted
        for name, wanted in fields.items()
    }
    return {name: wanted.describe() for name, wanted in full.items()}


class HtmlSelect(Handler):
    """
    Select fields of a page by CSS: texts, attributes, HTML, lists, and objects of further fields.

    In texts, runs of white space are one space. Addresses (`href`, `src` and the like) are made absolute.

    Input: a needed result with `text` (and `url`), such as that of `fetch`, else the item's data. Result: the fields
    that are named in `fields`; what is not found is None, or an empty list. Endings: Skip when nothing at all is found,
    or without any input; GiveUp when a required field is empty, the page is nested beyond sense or larger than
    10,000,000 characters, or looking takes longer than `max_seconds`, or the needed results have no text.
    Idempotent: it only computes; the same page gives the same result.
    Example: {handler: html_select, params: {fields: {title: h1, links: {select: "a@href", all: true}}}}

    Source: Selectors 4, w3.org/TR/selectors-4.
    """

    TIMEOUT = "2m"

    class Params(HandlerParams):
        """The parameters of `html_select`."""

        fields: dict[str, FieldSelector | Selected] = Field(
            min_length=1,
            description="By the name of each field: a CSS selector or selector@attribute, or more about it.",
        )
        text_from: str | None = Field(None, description=TEXT_FROM)
        max_chars: int = Field(100_000, ge=1, le=10_000_000, description="A longer text is cut.")
        max_seconds: float = Field(
            60, gt=0, le=3600, description="How long looking may take, within the stage's timeout."
        )

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Have the fields looked up in the page."""
        page = find_input(context, self.params.text_from)
        if not isinstance(page, Input):
            return page
        answer = self._look(context, page)
        if isinstance(answer, ChildEnd):
            return GiveUp(f"looking {explain_end(answer, self.params.max_seconds)}")
        if "problem" in answer:
            return GiveUp(answer["problem"])
        if answer["lacking"]:
            return GiveUp(f"required, but not found: {', '.join(answer['lacking'][:20])}")
        found: dict[str, object] = answer["found"]
        return (
            found
            if any(map(_says_something, found.values()))
            else Skip("none of the selectors found anything")
        )

    def _look(self, context: HandlerContext, page: Input) -> dict[str, Any] | ChildEnd:
        url = page.around.get("url") or context.data.get("url")
        question = {
            "url": url if isinstance(url, str) else "",
            "fields": _describe(self.params.fields),
            "max_chars": self.params.max_chars,
        }
        body, seconds = page.text.encode(errors="replace"), self.params.max_seconds
        return ask_confined(
            context, html_child.__name__, question, body, memory_bytes=MEMORY_BYTES, max_seconds=seconds
        )


def _says_something(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_says_something, value.values()))
    return value not in (None, "", [])
