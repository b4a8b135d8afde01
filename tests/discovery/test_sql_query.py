from __future__ import annotations

import sqlite3  # to make what SQLAlchemy reads: never two SQLite libraries on one file in one process
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal

import apsw
import pytest
from pydantic import ValidationError
from sqlalchemy.dialects import registry

from discovery.keyset import read_value, write_value
from discovery.sql_databases import read_database
from discovery.sql_query import SqlQuery
from pipeline.errors import PluginError, SourceRejectedError, SourceUnavailableError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "crm.db"


@pytest.fixture
def execute(path):
    """Run statements on the database."""

    def execute(*statements):
        with apsw.Connection(str(path)) as conn:
            for statement in statements:
                conn.execute(statement)
        conn.close()

    execute("CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER, name)")
    return execute


@pytest.fixture
def add(execute):
    """Add rows by id, each with `at`."""
    return lambda ids, at="i": execute(
        f"WITH RECURSIVE n(i) AS (SELECT {ids[0]} UNION ALL SELECT i + 1 FROM n LIMIT {len(ids)}) "  # noqa: S608
        f"INSERT INTO t SELECT i, {at}, 'name ' || i FROM n"
    )


@pytest.fixture
def query(path, memory):
    """Discover with the memory of before; the strategy."""

    def query(sql, key="id", **params):
        memory.forget_batches()
        return memory.discover(SqlQuery, {"database": str(path), "query": sql, "key": key, **params})

    return query


def found(memory):
    return [item.key for batch in memory.batches for item in batch.items]


ONWARD_THERE = {
    "sql": "SELECT id, price FROM t WHERE id > coalesce(:cursor, 0) ORDER BY id",
    "cursor_column": "id",
}
ONWARD = {
    "sql": "SELECT id, name FROM t WHERE id > coalesce(:cursor, 0) ORDER BY id",
    "cursor_column": "id",
}


def test_a_row_is_an_item_with_its_values_by_column(query, add, memory):
    add(range(1, 3))
    query("SELECT id, name, :country AS country FROM t", bindings={"country": "DE"})
    assert [item.data for item in memory.items.values()] == [
        {"id": 1, "name": "name 1", "country": "DE"},
        {"id": 2, "name": "name 2", "country": "DE"},
    ]


def test_what_is_not_json_becomes_text(query, execute, memory):
    query("SELECT x'00ff' AS id, 1.5 AS half, 9e999 AS endless, NULL AS blank", key=["id", "half"])
    assert {key: item.data for key, item in memory.items.items()} == {
        "00ff|1.5": {"id": "00ff", "half": 1.5, "endless": "inf", "blank": None}
    }


def test_a_row_without_a_key_is_counted(query, execute):
    assert query("SELECT NULL AS id UNION ALL SELECT '' UNION ALL SELECT 0").refused == {"no key": 2}


def test_a_version_column_is_the_rows_version(query, add, memory):
    add(range(1, 2))
    query("SELECT id, at FROM t", version="at")
    assert memory.items["1"].version == "1"


def test_without_a_cursor_column_everything_is_read_each_time(query, add, memory):
    add(range(1, 2501))
    for _ in range(2):
        query("SELECT id FROM t")
        assert len(found(memory)) == 2500


def test_with_a_cursor_column_only_what_is_new_is_read_the_next_time(query, add, memory):
    add(range(1, 2501))
    query(**ONWARD)
    assert found(memory) == [f"{n}" for n in range(1, 2501)]
    query(**ONWARD)
    assert found(memory) == []
    add(range(2501, 2504))
    query(**ONWARD)
    assert found(memory) == ["2501", "2502", "2503"]


def test_that_nothing_is_behind_the_cursor_is_no_silence_but_an_empty_table_is(query, add):
    def tell(**how):
        return [look.unchanged for look in query(**how).looks.values()]

    assert tell(**ONWARD) == [False]
    add(range(1, 4))
    assert [tell(**ONWARD) for _ in range(2)] == [[False], [True]]
    assert [tell(sql="SELECT id FROM t WHERE id < 0") for _ in range(2)] == [[False], [False]]


@pytest.mark.parametrize("where", ["id > coalesce(:cursor, 0)", "id < 0"])
def test_a_query_that_gives_nothing_has_looked_at_its_database(query, add, path, where):
    add(range(1, 4))
    how = {"cursor_column": "id"} if ":cursor" in where else {}
    looks = [list(query(f"SELECT id FROM t WHERE {where}", **how).looks) for _ in range(2)]  # noqa: S608
    assert looks[0] == looks[1]
    assert looks[0][0].startswith(str(path))


def test_a_query_with_a_limit_is_run_until_it_gives_nothing_more(query, add, memory):
    add(range(1, 2501))
    query(ONWARD["sql"] + " LIMIT 700", cursor_column="id")
    assert found(memory) == [f"{n}" for n in range(1, 2501)]


def test_a_discovery_that_was_killed_goes_on_at_its_cursor(query, add, memory):
    add(range(1, 5001))
    with memory.killed_after(3):
        query(**ONWARD)
    query(**ONWARD)
    assert found(memory) == [f"{n}" for n in range(3000, 5001)]  # 3000 may have had more rows of its value


def test_rows_of_one_value_that_a_batch_ended_between_are_not_lost(query, add, memory):
    add(range(1, 3001), at="i / 1500")
    sql = "SELECT id, at FROM t WHERE at > coalesce(:cursor, -1) ORDER BY at"
    with memory.killed_after(2):
        query(sql, cursor_column="at")
    query(sql, cursor_column="at")
    assert set(memory.items) == {f"{n}" for n in range(1, 3001)}


def test_a_query_that_takes_its_last_value_again_comes_to_an_end(query, add, memory):
    add(range(1, 5))
    sql = "SELECT id FROM t WHERE id >= coalesce(:cursor, 0) ORDER BY id"
    for _ in range(2):
        query(sql, cursor_column="id")
    assert found(memory) == ["4"] * 1


def test_where_it_begins_can_be_said(query, add, memory):
    add(range(1, 5))
    query("SELECT id FROM t WHERE id > :cursor ORDER BY id", cursor_column="id", cursor_start=2)
    assert found(memory) == ["3", "4"]


def test_another_query_does_not_go_on_at_this_ones_cursor(query, add, memory):
    add(range(1, 5))
    query(**ONWARD)
    query("SELECT id, at FROM t WHERE id > coalesce(:cursor, 0) ORDER BY id", cursor_column="id")
    assert found(memory) == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT id FROM t WHERE id > coalesce(:cursor, 0) ORDER BY id DESC", "goes back from 3 to 2"),
        ("SELECT id, iif(id = 2, NULL, id) AS n FROM t WHERE :cursor IS NULL ORDER BY id", "no order"),
    ],
)
def test_a_query_without_the_order_it_needs_is_stopped_and_told(query, add, memory, sql, said):
    add(range(1, 4))
    strategy = query(sql, cursor_column="n" if " AS n" in sql else "id")
    assert said in strategy.problems[0]
    assert len(memory.items) == 3
    assert memory.cursors == {}


def test_a_cursor_that_was_kept_and_goes_back_is_told(query, add, memory):
    add(range(1, 4))
    sql = "SELECT id FROM t WHERE :cursor IS NULL OR 1 ORDER BY id"
    assert "goes back from 3 to 1" in query(sql, cursor_column="id").problems[0]


def test_what_came_before_a_failure_is_kept(query, add, execute, memory):
    add(range(1, 1501))
    execute("UPDATE t SET name = CAST(x'ff' AS TEXT) WHERE id = 1400")
    with pytest.raises(SourceRejectedError, match="not UTF-8"):
        query(**ONWARD)
    assert len(memory.items) == 1399
    execute("UPDATE t SET name = 'mended' WHERE id = 1400")
    query(**ONWARD)
    assert len(memory.items) == 1500


def test_a_query_that_would_write_is_refused(query, add, memory):
    add(range(1, 3))
    with pytest.raises(SourceRejectedError, match=r"not authorized|no rows"):
        query("WITH x AS (SELECT 1) DELETE FROM t RETURNING id")
    query("SELECT id FROM t")
    assert len(memory.items) == 2


def test_a_column_that_is_not_there_is_told(query, add):
    with pytest.raises(SourceRejectedError, match="no column 'nr'; it has 'id'"):
        query("SELECT id FROM t", key="nr")
    with pytest.raises(SourceRejectedError, match="no column 'at' to go on by"):
        query("SELECT id FROM t WHERE id > :cursor", cursor_column="at")


def test_a_file_that_is_not_there_is_unavailable(memory, tmp_path):
    with pytest.raises(SourceUnavailableError, match=r"absent\.db"):
        memory.discover(
            SqlQuery, {"database": f"sqlite:///{tmp_path}/absent.db", "query": "SELECT 1 AS id", "key": "id"}
        )


@pytest.mark.parametrize(
    ("params", "about"),
    [
        ({"query": "DELETE FROM t"}, "not a SELECT"),
        ({"query": "SELECT 1 AS id", "cursor_column": "id"}, "belong together"),
        ({"query": "SELECT :cursor AS id"}, "belong together"),
        ({"database": "sqlite+pysqlite:///a.db"}, "given by its path"),
        ({"database": "postgres://h/a"}, "no database 'postgres'; did you mean 'postgresql'?"),
        ({"query": "SELECT 1 AS id; DELETE FROM t"}, "more than one statement"),
        ({"query": "SELECT ';' AS id; /* it's */ SELECT 2"}, "more than one statement"),
        ({"key": []}, "key"),
    ],
)
def test_a_query_that_can_never_work_is_a_mistake_in_jobs_yaml(params, about):
    with pytest.raises(ValidationError, match=about):
        SqlQuery({"database": "a.db", "query": "SELECT 1 AS id", "key": "id", **params})


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM t;",
        "SELECT id FROM t; -- that's all; really\n/* ; */;",
        "SELECT id, ';' AS a, 'it''s; x' AS b FROM t -- ; SELECT",
        'SELECT id AS "id", name AS [a;b], 5 / 2 - 1 /* ; \' */ FROM t',
    ],
)
def test_a_semicolon_that_ends_nothing_makes_no_second_statement(query, add, memory, sql):
    add(range(1, 3))
    query(sql)
    assert found(memory) == ["1", "2"]


def test_a_cast_is_no_parameter():
    SqlQuery({"database": "a.db", "query": "-- why\nSELECT x::cursor AS id FROM t", "key": "id"})


def test_a_password_is_in_no_name_and_no_message(memory):
    params = {"database": "nosuch://me:secret@host/x?token=secret", "query": "SELECT 1 AS id", "key": "id"}
    with pytest.raises(SourceRejectedError) as caught:
        memory.discover(SqlQuery, params)
    strategy = SqlQuery(params)
    assert "secret" not in f"{caught.value} {strategy._name_source()} {strategy.params!r}"


@pytest.mark.parametrize(
    "value",
    [7, 1.5, "a", datetime(2026, 1, 2, 3), date(2026, 1, 2), Decimal("1.50"), b"\0\xff"],  # noqa: DTZ001
)
def test_a_cursor_comes_back_as_what_it_was(value):
    assert read_value(write_value(value)) == value


@pytest.mark.parametrize("written", [None, [], {}, {"date": "x"}, {"decimal": "x"}, {"what": "1"}, True])
def test_a_cursor_of_another_kind_is_none(written):
    assert read_value(written) is None


# -- other databases, by SQLAlchemy ------------------------------------------------------------------------


@pytest.fixture
def address(tmp_path):
    """Make a database that SQLAlchemy opens with a library of its own."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, price NUMERIC)")
        conn.executemany("INSERT INTO t VALUES (?, ?)", [(n, n / 2) for n in range(1, 2501)])
        conn.commit()
    return f"sqlite+pysqlite:///{path}"


def read(address, query, bindings=None):
    with read_database(address, query, bindings or {}, patience_seconds=5) as (columns, rows):
        return columns, list(rows)


def test_rows_of_another_database_come_with_the_names_of_their_columns(address):
    columns, rows = read(address, "SELECT id, price FROM t WHERE id > :cursor", {"cursor": 2, "more": 1})
    assert columns == ["id", "price"]
    assert (rows[0], len(rows)) == ((3, 1.5), 2498)


def test_nothing_stays_written_in_another_database(address):
    read(address, "DELETE FROM t RETURNING id")
    assert len(read(address, "SELECT id FROM t")[1]) == 2500


def test_what_is_wrong_with_another_database_or_its_query_is_told(address):
    with pytest.raises(SourceUnavailableError, match="no such table"):
        read(address, "SELECT * FROM absent")
    with pytest.raises(SourceRejectedError, match="bind parameter"):
        read(address, "SELECT :absent")
    with pytest.raises(SourceRejectedError, match="no SQLAlchemy URL"):
        read("postgresql", "SELECT 1")
    with pytest.raises(PluginError, match="needs a driver: pip install"):
        read("postgresql+pg8000://h/x", "SELECT 1")


@pytest.fixture
def other(address):
    """Give the database under the name of a kind that Celeriac does not read by itself."""
    registry.register("other.pysqlite", "sqlalchemy.dialects.sqlite.pysqlite", "SQLiteDialect_pysqlite")
    return address.replace("sqlite+", "other+")


def test_another_database_is_read_on_from_where_the_last_discovery_stopped(other, address, query, memory):
    query(**ONWARD_THERE, database=other)
    assert len(found(memory)) == 2500
    with closing(sqlite3.connect(other.partition("///")[2])) as conn, conn:
        conn.execute("INSERT INTO t VALUES (2501, 1)")
    query(**ONWARD_THERE, database=other)
    assert found(memory) == ["2501"]


def test_what_came_before_a_failure_of_another_database_is_kept(other, query, memory):
    with closing(sqlite3.connect(other.partition("///")[2])) as conn, conn:
        conn.execute("UPDATE t SET price = CAST(x'ff' AS TEXT) WHERE id = 2400")
    with pytest.raises(SourceUnavailableError, match="UTF-8"):
        query(**ONWARD_THERE, database=other)
    assert 1000 <= len(memory.items) < 2400
    assert memory.cursors
