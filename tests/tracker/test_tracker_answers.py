"""Answers: remembered at once, by the hash of all that they depend on."""

from __future__ import annotations

import pytest

import tracker
from tracker import answers


def test_what_is_remembered_is_recalled_by_every_connection(conn, db_path):
    answers.remember(conn, "model x, prompt y", {"text": "größer", "tokens": [1, 2]})
    with tracker.open_db(db_path) as other:
        assert answers.recall(other, "model x, prompt y") == {"text": "größer", "tokens": [1, 2]}
        assert answers.recall(other, "model x, prompt z") is None


def test_the_last_answer_to_a_question_counts(conn):
    answers.remember(conn, "q", 1)
    answers.remember(conn, "q", 2)
    assert answers.recall(conn, "q") == 2
    assert conn.execute("SELECT count(*) FROM answers").fetchone() == (1,)


def test_of_the_key_only_a_hash_is_kept(conn):
    answers.remember(conn, "a key with a secret in it", "answer")
    row = conn.execute("SELECT key_hash, value FROM answers").fetchone()
    assert len(row["key_hash"]) == 64
    assert "secret" not in str(dict(row))


def test_any_key_will_do(conn):
    for key in ("", "caf\udce9", "k" * 1_000_000):
        answers.remember(conn, key, len(key))
        assert answers.recall(conn, key) == len(key)


@pytest.mark.parametrize("value", [float("nan"), object(), {1: {2}}])
def test_what_is_no_json_is_refused_and_nothing_is_changed(conn, value):
    answers.remember(conn, "q", 1)
    with pytest.raises((ValueError, TypeError)):
        answers.remember(conn, "q", value)
    assert answers.recall(conn, "q") == 1
