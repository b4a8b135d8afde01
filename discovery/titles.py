"""Titles that say the same in nearly the same words."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from math import ceil
from typing import Generic, TypeVar

T = TypeVar("T")

FEWEST_WORDS = 4
"""A title of fewer words, such as `Weekly links`, is like no other."""

MAX_WORDS = 60

_WORD = re.compile(r"\w+")
_PUBLISHER = re.compile(r"\s+[-|\u2013\u2014]\s+[^-|\u2013\u2014]{1,40}$")


def read_words(title: str) -> frozenset[str]:
    """
    Read the words of a title in one spelling, without the publisher that some write behind it.

    >>> sorted(read_words("Café opens in Zürich - The Daily"))
    ['cafe', 'in', 'opens', 'zurich']
    """
    shorter = _PUBLISHER.sub("", title)
    if len(_WORD.findall(shorter)) >= FEWEST_WORDS:
        title = shorter
    plain = unicodedata.normalize("NFKD", title.casefold())
    bare = "".join(character for character in plain if not unicodedata.combining(character))
    return frozenset(_WORD.findall(bare.replace("'", "").replace("\u2019", ""))[:MAX_WORDS])


class Titles(Generic[T]):
    """
    Titles, each of something, among which those like another are found.

    Two are alike when they share at least `likeness` of the words that either has (Jaccard's index); 1 is for
    the same words. It looks only at titles that share one of the words by which any two so alike must meet.
    """

    def __init__(self, likeness: float) -> None:
        self._likeness = likeness
        self._meeting: defaultdict[str, list[tuple[frozenset[str], T]]] = defaultdict(list)

    def add(self, title: str, owner: T) -> None:
        """Add the title of something."""
        words = read_words(title)
        if len(words) >= FEWEST_WORDS:
            for word in self._choose_meeting(words):
                self._meeting[word].append((words, owner))

    def find_alike(self, title: str) -> list[T]:
        """Find whose titles are like this one, in the order in which they were added to each word."""
        words = read_words(title)
        if len(words) < FEWEST_WORDS:
            return []
        return [
            owner
            for word in self._choose_meeting(words)
            for other, owner in self._meeting.get(word, ())
            if len(words & other) >= self._likeness * len(words | other)
        ]

    def _choose_meeting(self, words: frozenset[str]) -> list[str]:
        # Whoever shares so large a part of the words shares one of the first few, in any order that is everyone's;
        # long words come first because they are rare.
        ordered = sorted(words, key=lambda word: (-len(word), word))
        return ordered[: len(ordered) - ceil(self._likeness * len(ordered)) + 1]
