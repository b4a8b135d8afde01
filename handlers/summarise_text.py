"""The handler `summarise_text`: the sentences of a text that say most, chosen without a model."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic import Field

from handlers.base import Handler, HandlerParams
from handlers.inputs import TEXT_FROM, Input, find_input
from handlers.sentences import (
    choose_keywords,
    choose_sentences,
    count_words,
    cut_text,
    list_terms,
    split_sentences,
)
from pipeline.outcomes import Skip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

WEIGHED_CHARS = 200_000
"""Only the start of a longer text is weighed, to bound the time; its words are counted to the end."""

WEIGHED_SENTENCES = 5_000
"""So many sentences of a text are compared, for the same reason."""

_NO_PROSE = (" ", "\t", ">>>", "==", "--", "+-")
"""How a paragraph of code, or a table, begins in a docstring."""


class SummariseText(Handler):
    """
    Summarise a text by its own sentences, and name its keywords.

    Input: a needed result with `text`, or an outline from `python_outline`, whose docstrings are the text;
    else the item's data. Result: `{"title", "summary", "keywords": [most frequent first], "words"}`, and
    for an outline `"counts": {"classes", "functions", "methods", "imports", "lines", "code_lines"}`;
    `title` is None when nothing has one. An outline without docstrings is summarised by the names it
    defines. Endings: Skip for a text without words, or without any input. Idempotent: it only computes; the
    same text gives the same result.
    Example: {name: summary, handler: summarise_text, params: {sentences: 5, keywords: 12}}
    """

    class Params(HandlerParams):
        """The parameters of `summarise_text`."""

        text_from: str | None = Field(None, description=TEXT_FROM)
        sentences: int = Field(3, ge=1, le=50, description="How many sentences to choose.")
        max_chars: int = Field(600, ge=20, le=100_000, description="A longer summary is cut after a word.")
        keywords: int = Field(8, ge=0, le=100, description="How many keywords to name.")

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Gather the text, and choose from it."""
        found = find_input(context, self.params.text_from, ("text", "module"))
        if not isinstance(found, Input):
            return found
        if found.field == "module":
            return self._summarise_outline(found.around)
        if not (words := count_words(found.text)):
            return Skip("the text has no words")
        title = found.around.get("title") or context.data.get("title")
        return {"title": title, **self._choose(found.text), "words": words}

    def _summarise_outline(self, outline: Mapping[str, Any]) -> Outcome:
        text = "\n\n".join(_list_docstrings(outline))
        words, names = count_words(text), " ".join(_list_names(outline))
        chosen = self._choose(text, names)
        if not words:
            chosen["summary"] = cut_text(
                f"Defines {names}." if names else "Defines nothing.", self.params.max_chars
            )
        return {"title": outline["module"], **chosen, "words": words, "counts": _count(outline)}

    def _choose(self, text: str, names: str = "") -> dict[str, object]:
        weighed = text[:WEIGHED_CHARS]
        sentences = choose_sentences(split_sentences(weighed)[:WEIGHED_SENTENCES], self.params.sentences)
        terms = Counter(list_terms(f"{weighed} {names}"))
        summary = cut_text(" ".join(sentences), self.params.max_chars)
        return {"summary": summary, "keywords": choose_keywords(terms, self.params.keywords)}


def _list_docstrings(outline: Mapping[str, Any]) -> Iterator[str]:
    """List the module's docstring without its examples, and the first paragraph of each other."""
    paragraphs = (outline["docstring"] or "").split("\n\n")
    yield "\n\n".join(part for part in paragraphs if not part.startswith(_NO_PROSE))
    for entry in _list_entries(outline):
        yield (entry["docstring"] or "").partition("\n\n")[0]


def _list_entries(outline: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one_class in outline["classes"]:
        yield one_class
        yield from one_class["methods"]
    yield from outline["functions"]


def _list_names(outline: Mapping[str, Any]) -> list[str]:
    return [entry["name"] for entry in [*outline["classes"], *outline["functions"]]]


def _count(outline: Mapping[str, Any]) -> dict[str, int]:
    listed = {name: len(outline[name]) for name in ("classes", "functions", "imports")}
    methods = sum(len(one_class["methods"]) for one_class in outline["classes"])
    return {**listed, "methods": methods, "lines": outline["lines"], "code_lines": outline["code_lines"]}
