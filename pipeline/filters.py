"""
The filter language: one way to say which items or stages are meant, wherever that is asked.

`job:hn stage:article status:failed,skipped error:Timeout age:>2d -host:x.org text:"rate limit"`: terms, all of
which must hold; behind a word one value or several alternatives; a minus before a term turns it round.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.catalog import find_nearest
from pipeline.errors import InvalidFilterError
from pipeline.filter_values import BARE, Value, ValueRefusedError, make_value, show_value
from pipeline.filter_words import FILTER_WORDS, FilterWord


@dataclass(frozen=True, slots=True)
class Term:
    """One term: a word, the values of which one must fit, or with `negated` none."""

    word: str
    values: tuple[Value, ...]
    negated: bool = False

    def __str__(self) -> str:
        word = FILTER_WORDS[self.word]
        values = ",".join(show_value(word, value) for value in self.values)
        return f"{'-' * self.negated}{self.word}:{values}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Terms, all of which must hold; without any it is everything. `str` writes it as it would be typed."""

    terms: tuple[Term, ...] = ()

    @property
    def selects_stages(self) -> bool:
        """Whether it selects stages of items, and not whole items: a word of it looks at a stage."""
        return any(FILTER_WORDS[term.word].of_stages for term in self.terms)

    def list_terms(self, word: str) -> list[Term]:
        """List the terms with this word that are not turned round."""
        return [term for term in self.terms if term.word == word and not term.negated]

    def narrow(self, word: str, *texts: str) -> Filter:
        """Add a term with these values, each meant letter by letter. Raises `ValueRefusedError`."""
        return Filter((*self.terms, make_term(word, *texts)))

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))


EVERYTHING = Filter()
"""The filter without terms."""


def make_term(word: str, *texts: str) -> Term:
    """Make a term whose values are meant letter by letter. Raises `ValueRefusedError`, KeyError."""
    known = FILTER_WORDS[word]
    return Term(word, tuple(make_value(known, text, quoted=True) for text in texts))


def parse_filter(text: str) -> Filter:
    """
    Read a filter.

    Raises `InvalidFilterError`, which shows the place and says what is allowed there; an empty text is refused
    too, because it would mean everything.

    >>> str(parse_filter('job:hn  status:failed,skipped -text:"two words"'))
    'job:hn status:failed,skipped -text:"two words"'
    """
    if not text.strip():
        raise InvalidFilterError(text, 0, "the filter is empty", _WORDS_ALLOWED)
    reader = _Reader(text)
    terms = []
    while reader.skip_spaces():
        terms.append(reader.read_term())
    return Filter(tuple(terms))


_WORDS_ALLOWED = ", ".join(f"{name}:" for name in FILTER_WORDS)

_SPACES = re.compile(r"\s*")
_WORD = re.compile(r"(-?)([A-Za-z_]+):")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"(\*?)', re.DOTALL)
_UP_TO_SPACE = re.compile(r"\S*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class _Reader:
    """Reads a filter's text from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def skip_spaces(self) -> bool:
        """Go on to the next term; False at the end."""
        self.at += len(_match(_SPACES, self.text, self.at)[0])
        return self.at < len(self.text)

    def read_term(self) -> Term:
        """Read one term."""
        found = _WORD.match(self.text, self.at)
        if found is None:
            raise self._refuse_bare()
        word = FILTER_WORDS.get(found[2])
        if word is None:
            nearest = find_nearest(found[2].lower(), list(FILTER_WORDS))
            raise InvalidFilterError(
                self.text, found.start(2), f"no word {found[2]!r}", _WORDS_ALLOWED, nearest
            )
        self.at = found.end()
        values = [self._read_value(word)]
        while self.text.startswith(",", self.at):
            self.at += 1
            values.append(self._read_value(word))
        if self.at < len(self.text) and not self.text[self.at].isspace():
            raise InvalidFilterError(self.text, self.at, "a space or a comma belongs here", word.allowed)
        return Term(word.name, tuple(values), negated=bool(found[1]))

    def _read_value(self, word: FilterWord) -> Value:
        begin = self.at
        quoted = _QUOTED.match(self.text, begin)
        if quoted is None and self.text.startswith('"', begin):
            raise InvalidFilterError(self.text, begin, "this quote is not closed", 'a closing "')
        try:
            if quoted is not None:
                self.at = quoted.end()
                text = _ESCAPED.sub(r"\1", quoted[1])
                return make_value(word, text, quoted=True, starred=bool(quoted[2]))
            bare = BARE.match(self.text, begin)
            self.at = bare.end() if bare else begin
            return make_value(word, bare[0] if bare else "")
        except ValueRefusedError as error:
            raise InvalidFilterError(self.text, begin, str(error), word.allowed, error.nearest) from None

    def _refuse_bare(self) -> InvalidFilterError:
        bare = _match(_UP_TO_SPACE, self.text, self.at)[0]
        nearest = f"text:{bare}" if BARE.fullmatch(bare) and ":" not in bare else None
        return InvalidFilterError(
            self.text, self.at, f"{bare!r} does not begin with a word and a colon", _WORDS_ALLOWED, nearest
        )


def _match(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    found = pattern.match(text, at)
    assert found is not None  # noqa: S101  these patterns match the empty text too
    return found
