"""What people type into the search box, as an expression of SQLite's full text search."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_CHARACTERS = 500
MOST_WORDS = 20

SHORTEST_BEGINNING = 3
"""The beginning of a word, `climat*`, has to have so many letters: shorter ones fit half of all words."""

_PIECE = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class SearchWords:
    """
    What is looked for: `all_of` must be there and `none_of` must not, each a word or words in a row.

    They are written as the full text search wants them, in quotes, so that nothing in them means anything else.
    """

    all_of: tuple[str, ...]
    none_of: tuple[str, ...] = ()

    @property
    def expression(self) -> str:
        """The whole, of documents that fit."""
        return " NOT ".join([f"({' AND '.join(self.all_of)})", *self.none_of])

    @property
    def any_of(self) -> str:
        """What a document is shown for: any of the words."""
        return " OR ".join(self.all_of)


def read_search(text: str) -> SearchWords | None:
    """
    Read what was typed: words, `"words in a row"`, beginnings with `*`, and a minus before what must not be there.

    None when no word is in it that could be found. Beyond the first 500 characters and 20 words it is not read.

    >>> read_search('rate "too many" -cat*').expression
    '("rate" AND "too many") NOT "cat"*'
    """
    pieces = _PIECE.finditer(_CONTROL.sub(" ", text[:MOST_CHARACTERS]))
    sides: dict[str, list[str]] = {"": [], "-": []}
    for minus, quoted, bare in (piece.groups("") for piece in pieces):
        if sum(map(len, sides.values())) < MOST_WORDS and any(map(str.isalnum, quoted or bare)):
            sides[minus].append(f'"{quoted}"' if quoted else _quote(bare))
    return SearchWords(tuple(sides[""]), tuple(sides["-"])) if sides[""] else None


def _quote(bare: str) -> str:
    word = bare.rstrip("*").replace('"', " ")
    is_beginning = bare.endswith("*") and sum(map(str.isalnum, word)) >= SHORTEST_BEGINNING
    return f'"{word}"{"*" * is_beginning}'
