"""Search everything that items and their results say: the newest items first, with the place that fits."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import apsw

from tracker.search_index import list_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.search_words import SearchWords
    from tracker.connection import Connection
    from tracker.rows import Row

BEGIN, END = "\x02", "\x03"
SNIPPET_WORDS = 30
SNIPPET_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a snippet; `is_hit` for what was looked for."""

    text: str
    is_hit: bool


@dataclass(frozen=True, slots=True)
class Found:
    """
    An item that fits. `discovered_at` is in Unix ms.

    `stage` is the one whose result says so, '' for the item's own key and data; of that is the snippet.
    """

    item_id: int
    job: str
    key: str
    status: str
    discovered_at: int
    stage: str = ""
    snippet: tuple[Piece, ...] = ()

    @classmethod
    def from_row(cls, row: Row) -> Found:
        """Make one of its row."""
        item_id, job, key, status, discovered_at = row
        return cls(item_id, job, key, status, discovered_at)


FIND_KEYS = """
SELECT i.item_id, i.job_id, i.key, i.status, i.discovered_at
  FROM item_counts c
 CROSS JOIN work_items i ON i.job_id = c.job_id AND i.key = :key
 LIMIT :limit
"""


def find_key(conn: Connection, key: str, limit: int = 20) -> list[Found]:
    """Find the items of any job that have just this key, at most `limit`."""
    asked = {"key": key, "limit": limit}
    return [Found.from_row(row) for row in conn.execute(FIND_KEYS, asked)]


SEARCH = """
SELECT i.item_id, i.job_id, i.key, i.status, i.discovered_at
  FROM search_documents
 CROSS JOIN work_items i ON i.item_id = search_documents.rowid
 WHERE search_documents MATCH :words AND search_documents.rowid < :before
 ORDER BY search_documents.rowid DESC
 LIMIT :limit
"""

NEWEST = 2**62


def search(conn: Connection, wanted: SearchWords, limit: int, before: int | None = None) -> list[Found]:
    """
    Find at most `limit` items that say what is wanted, the newest first; older than the item `before` if given.

    It ends at its limit, so that a word that is everywhere costs no more than one that is rare.
    """
    asked = {"words": wanted.expression, "before": NEWEST if before is None else before, "limit": limit}
    rows = conn.execute(SEARCH, asked).fetchall()
    return _show(conn, wanted, [Found.from_row(row) for row in rows])


# -- where it says so -------------------------------------------------------------------------------------

# In a database of its own, in memory, with the texts of one page: the index keeps none.
MAKE_PAGE = """
CREATE VIRTUAL TABLE page USING fts5 (text, place UNINDEXED, stage UNINDEXED,
                                      tokenize = "unicode61 remove_diacritics 2")
"""


def _show(conn: Connection, wanted: SearchWords, found: Sequence[Found]) -> list[Found]:
    page = apsw.Connection(":memory:")
    try:
        page.execute(MAKE_PAGE)
        for place, one in enumerate(found):
            for stage, text in list_texts(conn, one.item_id):
                clean = text.replace(BEGIN, " ").replace(END, " ")
                page.execute("INSERT INTO page (text, place, stage) VALUES (?, ?, ?)", (clean, place, stage))
        best: dict[int, tuple[str, str]] = {}
        for place, stage, snippet in page.execute(
            "SELECT place, stage, snippet(page, 0, ?, ?, '…', ?) FROM page WHERE page MATCH ? ORDER BY rank",
            (BEGIN, END, SNIPPET_WORDS, wanted.any_of),
        ):
            best.setdefault(place, (stage, snippet))
    finally:
        page.close()
    shown = [(one, *best.get(place, ("", ""))) for place, one in enumerate(found)]
    return [replace(one, stage=stage, snippet=tuple(_cut(snippet))) for one, stage, snippet in shown]


def _cut(snippet: str) -> list[Piece]:
    r"""
    Cut a snippet where hits begin and end; what is long without a space is shortened.

    >>> _cut("the \x02rate\x03 limit")
    [Piece(text='the ', is_hit=False), Piece(text='rate', is_hit=True), Piece(text=' limit', is_hit=False)]
    """
    pieces = re.split(f"([{BEGIN}{END}])", snippet)
    found, is_hit = [], False
    for piece in pieces:
        if piece in (BEGIN, END):
            is_hit = piece == BEGIN
        elif piece:
            found.append(Piece(_shorten(piece), is_hit))
    return found


def _shorten(text: str) -> str:
    if len(text) <= SNIPPET_CHARACTERS:
        return text
    half = SNIPPET_CHARACTERS // 2
    return f"{text[:half]}…{text[-half:]}"
