"""
Split a text into sentences, weigh its words, choose the sentences that say most.

Frequency counts only: no model, no network, the same text gives the same choice. Time grows with the length
of the text, not with its square. The stop words are English; other languages work, with duller keywords.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STOP_WORDS = frozenset(
    """
    a about above after again against all also although always am among an and another any are around as at
    away back be became because become been before being below between both but by call called can cannot
    could did do does doing done down due during each either else etc even ever every few first following
    for from further get gets give given gives go got had has have having he hence her here hers him his how
    however i if in instead into is it its itself just last least less let like made make makes many may
    maybe me might more most much must my need neither never new next no none nor not note nothing now of
    off often on once one only onto or other others our out over own part per perhaps please put quite
    rather re really s said same say says see seem seen set several shall she should simply since so some
    something still such t take than that the their them then there therefore these they thing things this
    those though three through thus to together too two under unless until up upon us use used uses using
    usually very via was way we well were what when where whether which while who whole whom whose why will
    with within without would yes yet you your false true self
    """.split()  # noqa: SIM905 - a list of words is read as words
)

LONGEST_KEYWORD = 40
"""Longer runs of letters are identifiers, hashes, or languages written without spaces."""

LONGEST_SENTENCE = 300
"""In characters. What is longer is likelier a list, a table or code, and worth less in proportion."""

_PARAGRAPH_END = re.compile(r"\n[ \t\r\f\v]*\n")
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[\"'(\[“‘]?[A-Z0-9À-Þ])|(?<=[.!?][\"')\]”’]) |(?<=[。！？])")  # noqa: RUF001
_WORD = re.compile(r"\w+(?:['’]\w+)?")  # noqa: RUF001 - the apostrophe that typographers use


def count_words(text: str) -> int:
    """Count the words of a text; `don't` is one."""
    return sum(1 for _ in _WORD.finditer(text))


def split_sentences(text: str) -> list[str]:
    r"""
    Split a text into sentences, in order, with every run of white space made one space.

    >>> split_sentences("It works. Version 2.0\nis out! (Try it.)\n\nA heading\n\nDone")
    ['It works.', 'Version 2.0 is out!', '(Try it.)', 'A heading', 'Done']
    """
    paragraphs = (" ".join(part.split()) for part in _PARAGRAPH_END.split(text))
    pieces = (piece.strip() for paragraph in paragraphs for piece in _SENTENCE_END.split(paragraph))
    return [piece for piece in pieces if piece]


def list_terms(text: str) -> list[str]:
    """List the words of a text that carry meaning, in lower case, in order, as often as they occur."""
    words = (word.casefold() for word in _WORD.findall(text))
    return [word for word in words if 2 < len(word) <= LONGEST_KEYWORD and _carries_meaning(word)]


def _carries_meaning(word: str) -> bool:
    return word not in STOP_WORDS and not word[0].isdigit() and word.strip("_") != ""


def choose_keywords(counts: Mapping[str, int], most: int) -> list[str]:
    """Choose the words that occur most often; among equals, the first in the alphabet."""
    return sorted(counts, key=lambda word: (-counts[word], word))[:most]


def choose_sentences(sentences: Sequence[str], most: int) -> list[str]:
    """
    Choose the sentences that say most, in the order of the text, at most `most`, none of them twice.

    A sentence is worth what its frequent words are worth, against its length; what the sentences chosen
    before it have said counts less; and the start of a text counts more.
    """
    terms = [frozenset(list_terms(sentence)) for sentence in sentences]
    places = [_weigh_place(index, sentence) for index, sentence in enumerate(sentences)]
    counts = Counter(word for words in terms for word in words)
    weights = {word: math.log1p(count) for word, count in counts.items()}
    chosen: list[int] = []
    while len(chosen) < most and (others := _list_others(sentences, chosen)):
        best = max(others, key=lambda index: (places[index] * _weigh_words(terms[index], weights), -index))
        chosen.append(best)
        weights |= {word: weights[word] / 4 for word in terms[best]}
    return [sentences[index] for index in sorted(chosen)]


def _list_others(sentences: Sequence[str], chosen: Sequence[int]) -> list[int]:
    said = {sentences[index] for index in chosen}
    return [index for index, sentence in enumerate(sentences) if sentence not in said]


def _weigh_words(words: frozenset[str], weights: Mapping[str, float]) -> float:
    # A sentence of two words would win by being short, so that eight are the least that length is counted as.
    return math.fsum(weights[word] for word in words) / math.sqrt(max(len(words), 8))


def _weigh_place(index: int, sentence: str) -> float:
    return (1 + 1 / (1 + index)) / max(1.0, len(sentence) / LONGEST_SENTENCE)


def cut_text(text: str, most_chars: int) -> str:
    """
    Cut a text after a word so that it has at most `most_chars` characters, an ellipsis included.

    >>> cut_text("one two three", 9), cut_text("short", 9)
    ('one two…', 'short')
    """
    if len(text) <= most_chars:
        return text
    kept = text[: most_chars - 1]
    whole_words = kept.rpartition(" ")[0] if text[most_chars - 1] != " " else kept
    return (whole_words or kept).rstrip(" ,;:") + "…"
