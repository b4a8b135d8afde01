from __future__ import annotations

from itertools import islice
from types import SimpleNamespace

import apsw
import pytest

from pipeline.errors import SourceRejectedError, SourceUnavailableError
from tracker.foreign_files import read_foreign


@pytest.fixture
def path(tmp_path):
    """Make a database such as strangers have."""
    path = tmp_path / "foreign.db"
    with apsw.Connection(str(path)) as conn:
        conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        conn.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"name {n}") for n in range(1, 2501)])
        conn.execute("CREATE VIRTUAL TABLE words USING fts5(word)")
        conn.execute("INSERT INTO words VALUES ('celeriac')")
    conn.close()
    return path


@pytest.fixture
def read(path):
    def read(query, bindings=None, **options):
        with read_foreign(str(path), query, bindings or {}, **options) as (columns, rows):
            return columns, list(rows)

    return read


def test_rows_come_with_the_names_of_their_columns(read):
    assert read("SELECT id, name AS n FROM t WHERE id > :after LIMIT 1;", {"after": 7, "more": 1}) == (
        ["id", "n"],
        [(8, "name 8")],
    )
    assert read("SELECT id FROM t WHERE id < 0") == (["id"], [])
    assert len(read("SELECT * FROM t")[1]) == 2500


def test_a_cte_a_full_text_search_and_a_view_are_read(read):
    assert read("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3) SELECT * FROM n")[1]
    assert read("SELECT word FROM words WHERE words MATCH 'celeriac'")[1] == [("celeriac",)]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "INSERT INTO t VALUES (9999, 'x') RETURNING id",
        "UPDATE t SET name = 'x' RETURNING id",
        "CREATE TABLE u (x)",
        "CREATE TEMP TABLE u AS SELECT * FROM t",
        "ATTACH 'other.db' AS other",
        "PRAGMA user_version = 7",
        "PRAGMA journal_mode",
        "SELECT * FROM pragma_table_info('t')",
        "VACUUM INTO 'copy.db'",
        "BEGIN",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE t",
        "SELECT * FROM absent",
        "SELEC",
        "",
        "-- nothing",
        "SELECT :absent",
        "SELECT zeroblob(1000000000)",
    ],
)
def test_what_does_more_than_read_or_is_no_query_is_refused(read, path, tmp_path, query):
    before = path.read_bytes()
    with pytest.raises(SourceRejectedError, match=r"foreign\.db"):
        read(query)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["foreign.db"]


def test_a_query_that_never_gives_anything_is_ended(read):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(SourceRejectedError, match=r"gave nothing for 0\.1 seconds"):
        read(endless, patience_seconds=0.1)


def test_a_query_that_goes_on_giving_is_not(path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("tracker.foreign_files.time", SimpleNamespace(monotonic=lambda: now[0]))
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    with read_foreign(str(path), endless, {}, patience_seconds=60) as (_, rows):
        for _ in range(5):
            assert len(list(islice(rows, 20_000))) == 20_000
            now[0] += 50


def test_a_file_that_is_not_there_is_unavailable_and_none_is_made(tmp_path):
    with (
        pytest.raises(SourceUnavailableError, match=r"absent\.db"),
        read_foreign(str(tmp_path / "absent.db"), "SELECT 1", {}),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"id,name\n1,x\n" * 1000, b"SQLite format 3\0" + bytes(4000)])
def test_a_file_that_is_no_database_or_a_broken_one_is_rejected(tmp_path, content):
    (tmp_path / "broken.db").write_bytes(content)
    with (
        pytest.raises(SourceRejectedError, match=r"broken\.db"),
        read_foreign(str(tmp_path / "broken.db"), "SELECT * FROM t", {}),
    ):
        pass


def test_text_that_is_not_utf8_is_told(read):
    with pytest.raises(SourceRejectedError, match="not UTF-8"):
        read("SELECT CAST(x'ff' AS TEXT)")


@pytest.mark.parametrize("value", [object(), 2**70, [1]])
def test_a_value_that_cannot_be_bound_is_told(read, value):
    with pytest.raises(SourceRejectedError, match=r"foreign\.db"):
        read("SELECT :value", {"value": value})


def test_a_database_that_is_being_written_is_read_as_it_was(path):
    writer = apsw.Connection(str(path))
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("BEGIN IMMEDIATE; DELETE FROM t")
    with read_foreign(str(path), "SELECT count(*) FROM t", {}) as (_, rows):
        assert list(rows) == [(2500,)]
    writer.execute("ROLLBACK")
    writer.close()
