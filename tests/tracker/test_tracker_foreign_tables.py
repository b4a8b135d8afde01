"""Rows in a user's own SQLite file."""

from __future__ import annotations

import threading

import apsw
import pytest

from pipeline.errors import SourceRejectedError, SourceUnavailableError
from tracker import foreign_tables
from tracker.connection import open_db
from tracker.foreign_tables import upsert_row

ROW = {"id": 1, "name": "celeriac", "weight": 0.8}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.db"


@pytest.fixture
def query(path):
    """Ask the file, or change it, as its owner would."""

    def run(sql):
        conn = apsw.Connection(str(path))
        try:
            return conn.execute(sql).fetchall()
        finally:
            conn.close()

    return run


def test_file_table_and_columns_are_made_and_values_stay_what_they_are(path, query):
    upsert_row(path, "roots", {**ROW, "blob": b"\0", "none": None}, ["id"], make=True)
    upsert_row(path, "roots", {"id": 2, "Name": "07", "later": "x"}, ["id"], make=True)
    assert query("SELECT * FROM roots ORDER BY id") == [
        (1, "celeriac", 0.8, b"\0", None, None),
        (2, "07", None, None, None, "x"),
    ]
    assert query("SELECT pk FROM pragma_table_info('roots') WHERE name = 'id'") == [(1,)]


def test_the_row_of_the_same_key_is_updated_and_its_other_columns_are_left_alone(path, query):
    upsert_row(path, "roots", {**ROW, "note": "mine"}, ["id"], make=True)
    upsert_row(path, "roots", {**ROW, "name": "celery"}, ["id"])
    assert query("SELECT id, name, note FROM roots") == [(1, "celery", "mine")]


def test_an_equal_row_is_left_alone(path, query):
    upsert_row(path, "roots", {**ROW, "none": None}, ["id"], make=True)
    query(
        "CREATE TABLE changes (n); CREATE TRIGGER t AFTER UPDATE ON roots BEGIN INSERT INTO changes VALUES (1); END"
    )
    upsert_row(path, "roots", {**ROW, "none": None}, ["id"])
    assert query("SELECT count(*) FROM changes") == [(0,)]
    upsert_row(path, "roots", {**ROW, "none": 0}, ["id"])
    assert query("SELECT count(*) FROM changes") == [(1,)]


def test_a_key_of_several_columns_and_nothing_else(path, query):
    for _ in range(2):
        upsert_row(path, "pairs", {"a": "x", "b": "y"}, ["a", "b"], make=True)
    assert query("SELECT * FROM pairs") == [("x", "y")]


@pytest.mark.parametrize(
    "name", ['a"; DROP TABLE victim; --', "a b", "select", "ü", "x'y", "[z]", "a`b", "?1", ":n"]
)
def test_a_name_is_only_ever_a_name(path, query, name):
    query("CREATE TABLE victim (x)")
    upsert_row(path, name, {name: 1, "other": 2}, [name], make=True)
    upsert_row(path, name, {name: 1, "other": 3, f"{name} too": 4}, [name], make=True)
    quoted = foreign_tables.quote(name)
    assert query(f"SELECT {quoted}, other FROM {quoted}") == [(1, 3)]  # noqa: S608
    assert query("SELECT count(*) FROM victim") == [(0,)]


def test_a_value_is_only_ever_a_value(path, query):
    evil = "'); DROP TABLE roots; --"
    upsert_row(path, "roots", {"id": evil, "name": evil}, ["id"], make=True)
    assert query("SELECT id, name FROM roots") == [(evil, evil)]


@pytest.mark.parametrize(
    ("sql", "row", "key", "fault"),
    [
        ("CREATE TABLE t (id)", {"id": 1}, ["id"], "ON CONFLICT clause does not match"),
        ("CREATE TABLE t (id PRIMARY KEY, name)", ROW, ["id"], "no column named weight"),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, name, weight TEXT CHECK (0))", ROW, ["id"], "CHECK"),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, name, weight, must NOT NULL)", ROW, ["id"], "NOT NULL"),
        (
            "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT",
            {"id": "no number"},
            ["id"],
            "datatype mismatch|cannot store",
        ),
        ("CREATE VIEW t AS SELECT 1 AS id", {"id": 1}, ["id"], "cannot"),
        ("CREATE TABLE other (id)", ROW, ["id"], "no such table"),
        ("CREATE TABLE t (id PRIMARY KEY)", {"id": 2**70}, ["id"], "int"),
        ("CREATE TABLE t (id PRIMARY KEY)", {"id": 1}, ["nope"], "not among the columns"),
        ("CREATE TABLE t (id PRIMARY KEY)", {"id": 1}, [], "not among the columns"),
        ("CREATE TABLE t (id PRIMARY KEY)", {"id": 1, "": 2}, ["id"], "is no name"),
        ("CREATE TABLE t (id PRIMARY KEY)", {"id": 1, "a\0b": 2}, ["id"], "is no name"),
        (
            "CREATE TABLE t (id PRIMARY KEY); CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT load_extension('x'); END",
            {"id": 1},
            ["id"],
            "load_extension",
        ),
    ],
)
def test_a_row_that_the_table_does_not_take_is_refused_and_changes_nothing(path, query, sql, row, key, fault):
    query(sql)
    before = query("SELECT * FROM sqlite_schema")
    with pytest.raises(SourceRejectedError, match=fault):
        upsert_row(path, "t", row, key)
    assert query("SELECT * FROM sqlite_schema") == before


def test_what_was_made_goes_with_the_row_that_was_refused(path, query):
    query("CREATE TABLE t (id INTEGER PRIMARY KEY, must NOT NULL)")
    with pytest.raises(SourceRejectedError, match="NOT NULL"):
        upsert_row(path, "t", ROW, ["id"], make=True)
    assert query("SELECT name FROM pragma_table_info('t')") == [("id",), ("must",)]


def test_sqlites_own_tables_are_not_written(path):
    with pytest.raises(SourceRejectedError, match="reserved"):
        upsert_row(path, "sqlite_mine", ROW, ["id"], make=True)
    with pytest.raises(SourceRejectedError, match="may not be modified"):
        upsert_row(path, "sqlite_schema", {"name": "x", "type": "table"}, ["name"], make=False)


def test_a_tracker_is_refused_by_whatever_name(path):
    with open_db(path) as conn:
        items = conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    with pytest.raises(SourceRejectedError, match="is a tracker of Celeriac"):
        upsert_row(path, "mine", ROW, ["id"], make=True)
    with open_db(path) as conn:
        assert conn.execute("SELECT count(*) FROM sqlite_schema").fetchone() == items


def test_a_second_name_of_a_file_is_refused(path, tmp_path):
    upsert_row(path, "t", ROW, ["id"], make=True)
    (tmp_path / "other.db").hardlink_to(path)
    with pytest.raises(SourceRejectedError, match="hard links"):
        upsert_row(tmp_path / "other.db", "t", ROW, ["id"])


def test_no_link_is_followed(path, tmp_path):
    upsert_row(path, "t", ROW, ["id"], make=True)
    (tmp_path / "link.db").symlink_to(path)
    (tmp_path / "folder").symlink_to(tmp_path)
    for led in (tmp_path / "link.db", tmp_path / "folder" / "mine.db"):
        with pytest.raises((SourceUnavailableError, SourceRejectedError)):
            upsert_row(led, "t", {**ROW, "name": "changed"}, ["id"])


def test_what_is_not_there_is_not_made_unless_asked(path):
    with pytest.raises(SourceRejectedError, match="there is no"):
        upsert_row(path, "t", ROW, ["id"])
    assert not path.exists()


def test_what_is_no_database_is_refused(path):
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(SourceRejectedError, match="not a database"):
        upsert_row(path, "t", ROW, ["id"], make=True)


def test_a_busy_file_is_for_later(path, query, monkeypatch):
    monkeypatch.setattr(foreign_tables, "BUSY_TIMEOUT_MS", 50)
    upsert_row(path, "t", ROW, ["id"], make=True)
    owner = apsw.Connection(str(path))
    owner.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(SourceUnavailableError, match="locked"):
            upsert_row(path, "t", ROW, ["id"])
    finally:
        owner.close()


def test_many_writers_lose_nothing(path, query):
    def work(first):
        for n in range(first, first + 25):
            upsert_row(path, "t", {"id": n, "n": n}, ["id"], make=True)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 100, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert query("SELECT count(*), sum(n) FROM t") == [(100, 4950)]
