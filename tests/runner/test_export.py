"""Exports hold what there is, in each format, in little memory; a file is whole or not there."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import threading

import apsw
import feedparser
import pytest
from workshop import job, step

import tracker
from pipeline.errors import ExportError
from pipeline.filters import parse_filter
from runner import export as exporting
from runner.export import Done, Form, Order, export, follow
from tests.waiting import PATIENCE_SECONDS
from tracker.exporting import Wish

RESULTS = {
    "a": {"title": "=1+2", "n": -3, "who": {"name": "Ann", "at": {"x": 1}}, "tags": ["p", "q"]},
    "b": {"title": "plain", "n": 4.5, "url": "https://example.org/b", "summary": "B & <b>\x0b"},
    "c": {"Title": "upper", "big": 2**70, "ok": True},
}


def silent(*_):
    pass


@pytest.fixture
def shop(open_workshop):
    """Let three items have results of two stages."""
    shop = open_workshop(papers=job(step("fetch"), step("store")))
    shop.acts["fetch"] = lambda context: RESULTS[context.key]
    shop.acts["store"] = lambda context: {"stored": context.key}
    for key in RESULTS:
        shop.run(key, data={"from": f"@{key}"})
    return shop


def order(form, output=None, stage="fetch", **more):
    wish = {name: more.pop(name) for name in ("since", "wanted") if name in more}
    return Order(Wish("papers", stage, **wish), form, output, **more)


def read_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_jsonl_has_a_line_for_each_result_with_its_item(shop, capsys):
    assert export(shop.conn, order(Form.JSONL), silent) == Done(3, None)
    lines = read_lines(capsys.readouterr().out)
    assert [line["key"] for line in lines] == ["a", "b", "c"]
    assert lines[0]["result"] == RESULTS["a"]
    assert lines[0]["data"] == {"from": "@a"}
    assert lines[2]["result"]["big"] == 2**70
    assert lines[0]["stored_at"].endswith("+00:00")


def test_all_stages_are_exported_without_a_stage_and_flattened_if_so_asked(shop, capsys):
    export(shop.conn, order(Form.JSONL, stage=None, flatten=True), silent)
    lines = read_lines(capsys.readouterr().out)
    assert [(line["key"], line["stage"]) for line in lines][:2] == [("a", "fetch"), ("a", "store")]
    assert lines[0]["result.who.at.x"] == 1
    assert lines[0]["result.tags"] == ["p", "q"]


def test_csv_has_every_field_and_no_text_that_a_spreadsheet_would_run(shop, tmp_path):
    export(shop.conn, order(Form.CSV, tmp_path / "x.csv"), silent)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert rows[0]["result.title"] == "'=1+2"
    assert rows[0]["data.from"] == "'@a"
    assert rows[0]["result.n"] == "-3"
    assert json.loads(rows[0]["result.who"])["name"] == "Ann"
    assert rows[2]["result.Title"] == "upper"
    assert rows[2]["result.title"] == ""
    export(shop.conn, order(Form.CSV, tmp_path / "raw.csv", guarded=False, flatten=True), silent)
    raw = list(csv.DictReader(io.StringIO((tmp_path / "raw.csv").read_text())))
    assert raw[0]["result.title"] == "=1+2"
    assert raw[0]["result.who.name"] == "Ann"


def test_sqlite_has_a_column_for_each_field_also_where_names_differ_in_case(shop, tmp_path):
    export(shop.conn, order(Form.SQLITE, tmp_path / "x.db", flatten=True), silent)
    with apsw.Connection(str(tmp_path / "x.db")) as made:
        rows = made.execute(
            'SELECT key, "result.title", "result.Title_2", "result.n" FROM results'
        ).fetchall()
        assert rows == [("a", "=1+2", None, -3), ("b", "plain", None, 4.5), ("c", None, "upper", None)]
        assert made.execute("SELECT \"result.big\" FROM results WHERE key = 'c'").fetchone()[0] == str(2**70)
    made.close()


def test_sqlite_has_a_table_of_what_every_result_has_when_there_is_none(shop, tmp_path):
    export(shop.conn, order(Form.SQLITE, tmp_path / "x.db", since=tracker.clock.now_ms() + 1000), silent)
    with apsw.Connection(str(tmp_path / "x.db")) as made:
        columns = made.execute("SELECT group_concat(name) FROM pragma_table_info('results')").fetchone()[0]
    made.close()
    assert columns == "key,stage,stored_at,version,attempt"


def test_parquet_has_typed_columns_and_text_where_types_differ(shop, tmp_path):
    import pyarrow.parquet as pq

    export(shop.conn, order(Form.PARQUET, tmp_path / "x.parquet", flatten=True), silent)
    table = pq.read_table(tmp_path / "x.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types["attempt"] == "int64"
    assert types["result.n"] == "double"
    assert types["result.ok"] == "bool"
    assert types["result.big"] == types["result.tags"] == "string"
    assert table.column("key").to_pylist() == ["a", "b", "c"]
    assert table.column("result.title").to_pylist() == ["=1+2", "plain", None]


def test_a_field_called_like_one_inside_another_has_a_column_of_its_own(shop, tmp_path):
    shop.acts["fetch"] = lambda _: {"who.name": "one", "who": {"name": "other"}}
    shop.run("d")
    export(shop.conn, order(Form.JSONL, tmp_path / "x.jsonl", flatten=True), silent)
    row = read_lines((tmp_path / "x.jsonl").read_text())[-1]
    assert (row["result.who.name"], row["result.who.name_2"]) == ("one", "other")


def test_parquet_keeps_every_digit_of_a_long_integer(shop, tmp_path):
    import pyarrow.parquet as pq

    found = {"d": {"id": 2**60 + 1, "mixed": 2**60 + 1}, "e": {"id": 2, "mixed": 0.5}}
    shop.acts["fetch"] = lambda context: found[context.key]
    shop.run(*found)
    export(shop.conn, order(Form.PARQUET, tmp_path / "x.parquet"), silent)
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.column("result.id").to_pylist()[-2:] == [2**60 + 1, 2]
    assert table.column("result.mixed").to_pylist()[-2:] == [str(2**60 + 1), "0.5"]


def test_parquet_without_its_extra_says_what_to_install_and_writes_nothing(shop, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ExportError, match=r"pip install 'celeriac\[parquet\]'"):
        export(shop.conn, order(Form.PARQUET, tmp_path / "x.parquet"), silent)
    assert [path.name for path in tmp_path.iterdir() if "parquet" in path.name] == []


def test_rss_is_a_feed_of_the_newest_with_the_key_as_guid(shop, tmp_path):
    export(shop.conn, order(Form.RSS, tmp_path / "x.xml", limit=2, title="papers fetch"), silent)
    feed = feedparser.parse((tmp_path / "x.xml").read_bytes())
    assert not feed.bozo
    assert feed.feed.title == "papers fetch"
    assert [entry.id for entry in feed.entries] == ["c", "b"]
    assert feed.entries[1].title == "plain"
    assert feed.entries[1].link == "https://example.org/b"
    assert feed.entries[1].published_parsed is not None
    text = (tmp_path / "x.xml").read_text()
    assert "\x0b" not in text
    assert "B &amp; &lt;b&gt;" in text


def test_only_what_a_filter_selects_and_what_is_new_enough_is_exported(shop, capsys):
    export(shop.conn, order(Form.JSONL, wanted=parse_filter("key:b")), silent)
    assert [line["key"] for line in read_lines(capsys.readouterr().out)] == ["b"]
    export(shop.conn, order(Form.JSONL, stage=None, wanted=parse_filter("stage:store -key:a")), silent)
    found = [(line["key"], line["stage"]) for line in read_lines(capsys.readouterr().out)]
    assert found == [("b", "store"), ("c", "store")]
    export(shop.conn, order(Form.JSONL, since=tracker.clock.now_ms() + 1000), silent)
    assert capsys.readouterr().out == ""


def test_a_limit_ends_it_early(shop, capsys):
    assert export(shop.conn, order(Form.JSONL, limit=2), silent).records == 2
    assert len(read_lines(capsys.readouterr().out)) == 2


@pytest.mark.parametrize("form", [Form.JSONL, Form.CSV, Form.SQLITE, Form.PARQUET])
def test_a_file_that_could_not_be_ended_leaves_the_one_before_and_nothing_half(
    shop, tmp_path, monkeypatch, form
):
    target = tmp_path / "x.out"
    target.write_text("before")

    def break_off(*_):
        yield from list(exporting_stream(*_))[:1]
        raise KeyboardInterrupt

    exporting_stream = exporting.stream_results
    monkeypatch.setattr(exporting, "stream_results", break_off)
    with pytest.raises(KeyboardInterrupt):
        export(shop.conn, order(form, target), silent)
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".x.out")] == []


@pytest.mark.parametrize("form", [Form.JSONL, Form.CSV, Form.RSS])
def test_a_pipe_is_written_to_and_stays(shop, tmp_path, form):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert export(shop.conn, order(form, pipe), silent).records == 3
    reader.join(timeout=PATIENCE_SECONDS)
    assert "plain" in read[0]
    assert [path.name for path in tmp_path.iterdir() if "pipe" in path.name] == ["pipe"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("form", [Form.PARQUET, Form.SQLITE])
def test_no_file_takes_the_place_of_a_pipe(shop, tmp_path, form):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExportError, match="this format needs a file"):
        export(shop.conn, order(form, tmp_path / "pipe"), silent)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("form", list(Form))
def test_a_link_leads_to_the_new_file(shop, tmp_path, form):
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real", tmp_path / "link"
    real.write_text("before")
    link.symlink_to(real)
    export(shop.conn, order(form, link), silent)
    assert link.is_symlink()
    assert b"before" not in real.read_bytes()
    assert list((tmp_path / "there").iterdir()) == [real]


@pytest.mark.parametrize("form", list(Form))
def test_a_file_in_a_folder_that_is_not_there_is_told_of_in_each_format(shop, tmp_path, form):
    with pytest.raises(ExportError, match=r"cannot write .*no/such/file: No such file or directory"):
        export(shop.conn, order(form, tmp_path / "no" / "such" / "file"), silent)


def test_where_nothing_can_be_written_it_is_told(shop, tmp_path):
    with pytest.raises(ExportError, match="name one with -o FILE"):
        export(shop.conn, order(Form.SQLITE), silent)
    with pytest.raises(ExportError, match="--follow adds to jsonl or csv"):
        next(follow(shop.conn, order(Form.RSS, tmp_path / "x.xml"), silent))


def follow_until(shop, asked, done):
    """Follow until what was reported is so."""
    seen, stop = [], threading.Event()
    for report in follow(shop.conn, asked, silent, stop.is_set):
        seen.append(report)
        if done(report):
            stop.set()
    return seen


def test_following_goes_on_as_results_arrive_and_gives_each_once(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "FOLLOW_SECONDS", 0.01)
    target, more = tmp_path / "x.jsonl", iter(["d", "e", "f"])
    monkeypatch.setitem(RESULTS, "d", {"n": 1})
    monkeypatch.setitem(RESULTS, "e", {"n": 2})
    monkeypatch.setitem(RESULTS, "f", {"n": 3})

    def add_another(report):
        if (key := next(more, None)) is not None:
            shop.run(key)
            return False
        return report.records >= 6

    follow_until(shop, order(Form.JSONL, target), add_another)
    lines = read_lines(target.read_text())
    assert sorted(line["key"] for line in lines) == sorted(RESULTS)


def test_following_ends_at_its_limit_however_many_arrive(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "FOLLOW_SECONDS", 0.01)
    for key in "def":
        monkeypatch.setitem(RESULTS, key, {"n": 1})
    target, more = tmp_path / "x.jsonl", iter(["def"])

    def add_others(report):
        for key in next(more, ""):
            shop.run(key)
        return report.records > 4

    seen = follow_until(shop, order(Form.JSONL, target, limit=4), add_others)
    assert [report.records for report in seen] == [3, 4]
    assert len(read_lines(target.read_text())) == 4


def test_following_tells_of_a_result_before_anybody_can_read_it(shop, tmp_path, monkeypatch):
    """Whoever stops it at the last line that they read hears of as many."""
    monkeypatch.setattr(exporting, "FOLLOW_SECONDS", 0.01)
    monkeypatch.setitem(RESULTS, "d", {"n": 1})
    target, more = tmp_path / "x.jsonl", iter(["d"])

    def read_and_add(report):
        assert len(read_lines(target.read_text())) < report.records
        if (key := next(more, None)) is not None:
            shop.run(key)
            return False
        return True

    follow_until(shop, order(Form.JSONL, target), read_and_add)
    assert len(read_lines(target.read_text())) == len(RESULTS)


def test_what_arrives_while_the_rest_is_still_being_read_is_given_once(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "FOLLOW_SECONDS", 0.01)
    monkeypatch.setitem(RESULTS, "d", {"n": 1})
    monkeypatch.setitem(RESULTS, "e", {"n": 2})
    stream, more = exporting.stream_results, iter(["e"])

    def run_first(*asked):
        shop.run("d")
        yield from stream(*asked)

    def add_another(report):
        if (key := next(more, None)) is not None:
            shop.run(key)
        return report.records >= 5

    monkeypatch.setattr(exporting, "stream_results", run_first)
    follow_until(shop, order(Form.JSONL, tmp_path / "x.jsonl"), add_another)
    keys = [line["key"] for line in read_lines((tmp_path / "x.jsonl").read_text())]
    assert sorted(keys) == ["a", "b", "c", "d", "e"]


def test_following_obeys_the_filter_and_tells_of_fields_that_come_too_late_for_a_header(
    shop, tmp_path, monkeypatch
):
    monkeypatch.setattr(exporting, "FOLLOW_SECONDS", 0.01)
    monkeypatch.setitem(RESULTS, "d1", {"title": "d", "late": 1})
    monkeypatch.setitem(RESULTS, "x1", {"title": "x"})
    more = iter([["x1", "d1"]])

    def add_another(report):
        keys = next(more, None)
        if keys is not None:
            shop.run(*keys)
            return False
        return bool(report.left_out)

    wanted = parse_filter("key:a,d1")
    seen = follow_until(shop, order(Form.CSV, tmp_path / "x.csv", wanted=wanted), add_another)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert [row["key"] for row in rows] == ["a", "d1"]
    assert seen[-1].left_out == ("result.late",)


MEASURE = """
import re, sys
from pathlib import Path
import tracker
from runner.export import Form, Order, export
from tracker.exporting import Wish
with tracker.open_readonly(sys.argv[1]) as conn:
    done = export(conn, Order(Wish("many"), Form(sys.argv[2]), Path(sys.argv[3])), lambda *_: None)
# getrusage would tell of the parent, before the exec
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(done.records, peak)
"""


@pytest.mark.parametrize("form", ["jsonl", "csv", "sqlite", "rss"])
def test_memory_does_not_grow_with_what_is_exported(settings, db_path, tmp_path, form):
    peaks = []
    for count in (1_000, 20_000):
        with tracker.open_db(db_path) as conn:
            tracker.upsert_items(
                conn, "many", [{"key": f"{n}", "data": {"t": "x" * 300}} for n in range(count)]
            )
            with tracker.write(conn):
                conn.execute(
                    "INSERT INTO results (item_id, stage, job_id, attempt, result, stored_at)"
                    " SELECT item_id, 's', job_id, 1, data, item_id FROM work_items WHERE true ON CONFLICT DO NOTHING"
                )
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(db_path), form, str(tmp_path / "x.out")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        records, peak = map(int, done.stdout.split())
        assert records == count
        peaks.append(peak)
    assert peaks[1] < peaks[0] * 1.25, "it grew with what was exported"
