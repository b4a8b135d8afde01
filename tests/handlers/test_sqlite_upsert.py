"""The handler `sqlite_upsert`, on real SQLite files."""

from __future__ import annotations

import apsw
import pytest
from pydantic import ValidationError

from handlers.running import run_handler
from handlers.sqlite_upsert import SqliteUpsert
from pipeline.outcomes import GiveUp

PARAMS = {
    "database": "{{ job }}/library.db",
    "table": "articles",
    "key": ["url"],
    "values": {
        "url": "item.url",
        "title": "results.article.title",
        "words": "results.article.words",
        "good": "item.good",
        "tags": "item.tags",
        "absent": "results.skipped.text",
        "kind": "'note'",
    },
}


@pytest.fixture
def files(make_context):
    return make_context().find_folder("files")


@pytest.fixture
def upsert(make_context):
    def run(data=None, results=None, **changes):
        context = make_context(data=data or {"url": "u"}, results=results or {})
        return run_handler(SqliteUpsert(PARAMS | changes), context)

    return run


def read(path):
    conn = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return conn.execute("SELECT * FROM articles").fetchall()
    finally:
        conn.close()


def test_each_column_holds_what_its_path_leads_to(upsert, files):
    data = {"url": "u", "good": True, "tags": ["a", "ü"]}
    for _ in range(2):
        result = upsert(data, {"article": {"title": "T", "words": 7}})
    assert result == {"database": "files/demo/library.db", "table": "articles", "key": {"url": "u"}}
    assert read(files / "demo" / "library.db") == [("u", "T", 7, 1, '["a","ü"]', None, "note")]


@pytest.mark.parametrize(
    "database", ["../tracker.db", "/etc/x.db", "a/../../x.db", "", "file:x.db?mode=memory/../..", ":memory:/"]
)
def test_a_database_elsewhere_is_given_up(upsert, files, database):
    assert isinstance(upsert({"url": "u", "file": database}, database="{{ item.file }}"), GiveUp)
    assert list(files.rglob("*.db")) == []
    with pytest.raises(ValidationError, match=r"leads out of the folder|names no file"):
        upsert(database=database)


def test_a_name_that_means_something_to_sqlite_is_only_a_file(upsert, files):
    upsert(database=":memory:")
    upsert(database="file:x.db?mode=ro")
    assert sorted(path.name for path in files.iterdir()) == [":memory:", "file:x.db?mode=ro"]


def test_a_link_is_given_up(upsert, files, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (files / "demo").symlink_to(tmp_path / "elsewhere")
    assert "is a link" in upsert().reason
    (files / "library.db").symlink_to(tmp_path / "elsewhere" / "x.db")
    assert "is a link" in upsert(database="library.db").reason
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_key_without_a_value_is_given_up(upsert):
    assert "no value for the key url" in upsert({"url": None}).reason


def test_a_table_that_does_not_take_the_row_is_given_up(upsert, files):
    (files / "demo").mkdir()
    conn = apsw.Connection(str(files / "demo" / "library.db"))
    conn.execute("CREATE TABLE articles (url PRIMARY KEY, must NOT NULL)")
    conn.close()
    assert "NOT NULL" in upsert().reason
    assert "no column named" in upsert(make=False).reason


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"key": ["id"]}, "the key id has no value"),
        ({"values": {"url": "itm.url"}}, "knows no 'itm'"),
        ({"database": "{{ itm }}"}, "knows no 'itm'"),
        ({"key": []}, "at least 1"),
    ],
)
def test_a_mistake_in_jobs_yaml_is_found_before_anything_runs(change, fault):
    with pytest.raises(ValidationError, match=fault):
        SqliteUpsert(PARAMS | change)
