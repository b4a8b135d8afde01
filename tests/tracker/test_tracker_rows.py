from __future__ import annotations

import pytest


@pytest.fixture
def row(conn):
    return conn.execute("SELECT 7 AS number, 'seven' AS word, NULL AS missing").fetchone()


def test_a_row_answers_by_name_and_by_position(row):
    assert (row["number"], row["word"], row["missing"]) == (row[0], row[1], row[2]) == (7, "seven", None)
    assert row[-1] is None


def test_a_row_is_a_mapping_when_asked_to_be_one(row):
    assert row.keys() == ["number", "word", "missing"]
    assert dict(row) == {"number": 7, "word": "seven", "missing": None}
    assert {**row} == dict(row)


def test_a_row_is_a_tuple_when_asked_to_be_one(row):
    number, word, missing = row
    assert (number, word, missing) == tuple(row) == row
    assert len(row) == 3
    assert hash(row) == hash((7, "seven", None))


def test_a_row_says_what_it_holds(row):
    assert repr(row) == "Row({'number': 7, 'word': 'seven', 'missing': None})"


def test_what_a_row_has_not_is_an_error(row):
    with pytest.raises(KeyError):
        row["name"]
    with pytest.raises(IndexError):
        row[3]


def test_rows_of_pairs_make_a_dict(conn):
    assert dict(conn.execute("VALUES ('a', 1), ('b', 2)").fetchall()) == {"a": 1, "b": 2}
