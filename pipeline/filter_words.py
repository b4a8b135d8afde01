"""The words of the filter language: what each looks at, and what may stand behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pipeline.lifecycle import Status


class ValueKind(Enum):
    """What may stand behind a word; the text says it to whoever wrote something else."""

    NAME = "a name, or its beginning followed by *"
    TEXT = 'a text, in quotes if it has spaces: "two words"'
    CHOICE = "one of a few words"
    WHOLE_NUMBER = "a whole number, with <, <=, > or >= before it if you like"
    AMOUNT = "an amount in US dollars, with <, <=, > or >= before it if you like: >0.10"
    DURATION = "a duration with <, <=, > or >= before it: >2d, <90m"
    VERSION = "a version; with <, <=, > or >= before it, a whole number"


COMPARED = frozenset({ValueKind.WHOLE_NUMBER, ValueKind.AMOUNT, ValueKind.DURATION, ValueKind.VERSION})
"""The kinds that may have an operator before them."""

WITH_PREFIX = frozenset({ValueKind.NAME})
"""The kinds of which the beginning may be given."""


@dataclass(frozen=True, slots=True)
class FilterWord:
    """
    One word of the filter language.

    `of_stages` says that it looks at a stage of an item: a filter with such a word selects stages, any other
    selects items.
    """

    name: str
    kind: ValueKind
    help: str
    example: str
    of_stages: bool = False
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """What may stand behind it, in words."""
        return ", ".join(self.choices) or self.kind.value


FILTER_WORDS = {
    word.name: word
    for word in (
        FilterWord("job", ValueKind.NAME, "its job", "job:hn"),
        FilterWord("key", ValueKind.NAME, "its key", "key:2026-*"),
        FilterWord(
            "status",
            ValueKind.CHOICE,
            "its status: the stage's in a filter that selects stages, else the item's",
            "status:failed,skipped",
            choices=tuple(status.value for status in Status),
        ),
        FilterWord("stage", ValueKind.NAME, "the stage", "stage:article", of_stages=True),
        FilterWord(
            "error",
            ValueKind.TEXT,
            "failed with an error of this type, or with this text in its signature",
            "error:Timeout",
            of_stages=True,
        ),
        FilterWord(
            "signature",
            ValueKind.NAME,
            "failed with this signature, or in the group of failures that has this id",
            "signature:3f2a9c01",
            of_stages=True,
        ),
        FilterWord(
            "host",
            ValueKind.NAME,
            "the host of its url; of failed stages with `error` or `signature`, the host that they failed at",
            "host:example.org",
        ),
        FilterWord("source", ValueKind.NAME, "the source that it was found at", "source:https://a.org/*"),
        FilterWord("age", ValueKind.DURATION, "how long ago it was found", "age:>2d"),
        FilterWord(
            "version",
            ValueKind.VERSION,
            "the version of the handler that made the stage's result, or that failed",
            "version:<3",
            of_stages=True,
        ),
        FilterWord(
            "cost",
            ValueKind.AMOUNT,
            "what it cost: the stage in a filter that selects stages, else the whole item",
            "cost:>0.10",
        ),
        FilterWord("priority", ValueKind.WHOLE_NUMBER, "its priority", "priority:>=5"),
        FilterWord(
            "attempt", ValueKind.WHOLE_NUMBER, "the stage's last attempt", "attempt:>3", of_stages=True
        ),
        FilterWord(
            "backfill",
            ValueKind.CHOICE,
            "whether the stage is done again, and not for the first time",
            "backfill:yes",
            of_stages=True,
            choices=("yes", "no"),
        ),
        FilterWord("worker", ValueKind.NAME, "the worker that claimed it last", "worker:w3", of_stages=True),
        FilterWord("text", ValueKind.TEXT, "a text in its key, data or results", 'text:"rate limit"'),
    )
}
"""Every word, in the order in which people meet them."""
