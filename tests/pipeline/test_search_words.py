from __future__ import annotations

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.search_words import read_search


@pytest.fixture(scope="module")
def index():
    conn = apsw.Connection(":memory:")
    conn.execute("CREATE VIRTUAL TABLE said USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')")
    for text in ("the rate limit of the café", "a limit to the rate", "cataract", "don't"):
        conn.execute("INSERT INTO said VALUES (?)", (text,))
    return conn


def find(index, typed):
    wanted = read_search(typed)
    if wanted is None:
        return None
    rows = index.execute("SELECT rowid FROM said WHERE said MATCH ? ORDER BY rowid", (wanted.expression,))
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("rate limit", [1, 2]),
        ('"rate limit"', [1]),
        ("RATE cafe", [1]),
        ("rate -cafe", [2]),
        ("cat*", [3]),
        ("ca*", []),
        ("don't", [4]),
        ('"rate limit', [1]),
        ("nothing-like-it", []),
        ("NEAR(rate limit)", []),
        ("", None),
        ('* - ( ""', None),
        ("-rate", None),
    ],
)
def test_what_is_typed_finds(index, typed, found):
    assert find(index, typed) == found


@given(st.text(max_size=60) | st.text(alphabet='ab "*-():^{}+\0\n\\', max_size=40))
def test_whatever_is_typed_is_no_mistake(index, typed):
    find(index, typed.encode("utf-8", "replace").decode())
