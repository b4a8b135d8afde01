"""
SimHash: a fingerprint of a text of which similar texts have nearly the same.

Every process makes the same one of the same text. No language is favoured: what is written without spaces between
words is taken character by character.

Source: Charikar, Similarity Estimation Techniques from Rounding Algorithms, 2002; Manku, Jain and Das Sarma,
Detecting Near-Duplicates for Web Crawling, 2007.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BITS = 64

MAX_WORDS = 200_000
"""Of a longer text only so many words are weighed, to bound time and memory."""

_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Japanese, Chinese
)
"""The characters of the scripts that put no space between words."""

_WORD = re.compile(f"[{_ALONE}]|[^\\W_{_ALONE}]+")


def list_words(text: str) -> list[str]:
    """
    List the words of a text in one spelling, in order, at most `MAX_WORDS`.

    >>> list_words("Don't PANIC, 東京は!")
    ['don', 't', 'panic', '東', '京', 'は']
    """
    found = _WORD.finditer(unicodedata.normalize("NFKC", text).casefold())
    return [word[0] for word in islice(found, MAX_WORDS)]


def make_fingerprint(words: Sequence[str], shingle: int) -> int:
    """
    Make the 64-bit fingerprint of a text by its runs of so many words, and how often each is there.

    >>> f"{make_fingerprint(['a', 'rose', 'is', 'a', 'rose'], 2):016x}"
    '50ad96b200db2992'
    """
    balance = [0] * BITS
    for run, count in Counter(_list_shingles(words, shingle)).items():
        bits = int.from_bytes(hashlib.blake2b(run.encode(), digest_size=BITS // 8).digest(), "big")
        for place in range(BITS):
            balance[place] += count if bits >> place & 1 else -count
    return sum(1 << place for place, weight in enumerate(balance) if weight > 0)


def _list_shingles(words: Sequence[str], size: int) -> Iterator[str]:
    for start in range(max(1, len(words) - size + 1)):
        yield " ".join(words[start : start + size])
