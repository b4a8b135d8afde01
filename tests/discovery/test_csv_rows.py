from __future__ import annotations

import gzip
import os

import pytest
from pydantic import ValidationError
from werkzeug import Response

from discovery import delimited
from discovery.csv_rows import CsvRows
from discovery.delimited import MAX_FIELD_CHARACTERS
from discovery.text_lines import MAX_LINE_BYTES
from pipeline.errors import SourceRejectedError, SourceUnavailableError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rows.csv"


@pytest.fixture
def read(file, memory):
    """Write the file if it is given, and discover it with the memory of before; the strategy."""

    def read(content=None, key="id", **params):
        if content is not None:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        memory.forget_batches()
        return memory.discover(CsvRows, {"path": str(file), "key": key, **params})

    return read


@pytest.fixture
def rows(read, memory):
    """Give the data of all rows that a content has for a first discovery."""

    def rows(content, **params):
        read(content, **params)
        return [item.data for item in memory.items.values()]

    return rows


# -- what stands in a file --------------------------------------------------------------------------------


def test_each_row_is_an_item_with_its_fields_by_column(rows, memory):
    assert rows('id,title\n1,"a ""b"",\nc"\n2,\n') == [
        {"id": "1", "title": 'a "b",\nc'},
        {"id": "2", "title": ""},
    ]
    assert list(memory.items) == ["1", "2"]


def test_several_columns_make_a_key_that_no_others_make(rows, memory):
    rows("a,b\nx|y,z\nx,y|z\n,\n,z\n", key=["a", "b"])
    assert list(memory.items) == [r"x\|y|z", r"x|y\|z", "|z"]


def test_a_row_without_a_key_is_counted(read, memory):
    assert read("id,n\n,1\n  ,2\n3,3\n").refused == {"no key": 2}
    assert list(memory.items) == ["3"]


def test_a_version_column_is_the_rows_version(read, memory):
    read("id,changed\na,2026\nb,\n", version="changed")
    assert [item.version for item in memory.items.values()] == ["2026", None]


@pytest.mark.parametrize(
    ("content", "params"),
    [
        ("id;title\n1;a, b\n2;c\n", {}),
        ("id\ttitle\n1\ta, b\n2\tc\n", {}),
        ("id|title\r\n1|a, b\r\n2|c\r\n", {}),
        ("id\ttitle\n1\ta, b\n2\tc\n", {"format": "tsv"}),
        ("id:title\n1:a, b\n2:c\n", {"delimiter": ":"}),
        ('id,title\n\n1,"a, b"\n\n\n2,c', {}),
        ('made by X\n---\nid,title\n1,"a, b"\n2,c\n', {"skip_lines": 2}),
        ('1,"a, b"\n2,c\n', {"columns": ["id", "title"]}),
        ('id,title\r1,"a, b"\r2,c\r', {}),
        ("id,title,,\n1,a\\, b,,\n2,c,,\n".replace("a\\, b", '"a, b"'), {"columns": None}),
        ('{"id": 1, "title": "a, b"}\n\n {"id": 2, "title": "c"}', {"format": "jsonl"}),
    ],
)
def test_a_file_is_read_as_people_write_them(rows, memory, content, params):
    found = rows(content, **params)
    assert [(key, item["title"]) for key, item in zip(memory.items, found, strict=True)] == [
        ("1", "a, b"),
        ("2", "c"),
    ]


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "utf-8"]
)
def test_an_encoding_is_found_out(rows, encoding):
    text = "id,name\n1,größer\n2,naïve\n" if encoding == "cp1252" else "id,name\n1,größer\n2,naïve 漢\n"
    found = rows(text.encode(encoding))
    assert [row["name"][:5] for row in found] == ["größe", "naïve"]
    assert list(found[0]) == ["id", "name"]


@pytest.mark.parametrize("written", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_what_is_declared_may_lack_its_mark(rows, written):
    assert rows("id,a\n1,größe\n".encode(written), encoding=written[:6]) == [{"id": "1", "a": "größe"}]


@pytest.mark.parametrize("encoding", ["shift_jis", "utf-16", "utf-7", "iso2022_jp", "cp500"])
def test_an_encoding_can_be_given(rows, encoding):
    assert rows("id,name\n1,a\n".encode(encoding), encoding=encoding) == [{"id": "1", "name": "a"}]


def test_a_line_in_another_encoding_is_read_all_the_same_and_told(read, memory):
    strategy = read(b"id,name\n1,gr\xc3\xbcn\n2,gr\xfcn\n3,gr\xc3\xbcn\n")
    assert [item.data["name"] for item in memory.items.values()] == ["grün"] * 3
    assert "1 lines are not in utf-8, and were read as Windows-1252" in strategy.problems[0]


def test_what_does_not_fit_a_declared_encoding_gets_marks(read, memory):
    assert "with marks" in read(b"id,name\n1,gr\xfcn\n", encoding="utf-8").problems[0]
    assert memory.items["1"].data == {"id": "1", "name": "gr\ufffdn"}


def test_a_column_without_a_name_or_with_one_twice_gets_one(rows):
    assert rows("id,,n,n\n1,2,3,4\n") == [{"id": "1", "column_2": "2", "n": "3", "n_2": "4"}]


def test_a_header_that_repeats_one_name_without_end_is_soon_read(rows):
    (row,) = rows("id" + ",n" * 10_000 + "\n1" + ",2" * 10_000)
    assert [*row][-1] == "n_10000"


def test_a_nul_byte_is_kept_in_data_and_refused_in_a_key(read, memory):
    assert read(b"id,n\n1,a\0b\n2\0,c\n").refused == {"key is not text": 1}
    assert memory.items["1"].data == {"id": "1", "n": "a\0b"}


# -- what is wrong with a row -----------------------------------------------------------------------------


def test_rows_with_too_few_or_too_many_fields_are_counted_and_the_first_is_told(read, memory):
    strategy = read("id,a,b\n1,2,3\n4,5\n6,7,8,9\n10,11,12,,\n13\n")
    assert strategy.refused == {"row with too few fields": 2, "row with too many fields": 1}
    assert list(memory.items) == ["1", "10"]
    assert [problem.partition(", line ")[2] for problem in strategy.problems] == [
        "3: row with too few fields",
        "4: row with too many fields",
    ]


def test_a_quote_that_never_closes_costs_its_own_row_only(read, memory):
    strategy = read('id,a\n1,x\n2,"y\n3,z\n4,z\n')
    assert list(memory.items) == ["1", "3", "4"]
    assert strategy.refused == {"quote that never closes": 1}
    assert "line 3" in strategy.problems[0]


def test_a_quote_that_never_closes_before_a_megabyte_of_rows_costs_its_own_row_only(read, memory):
    many = "".join(f"{n},{'z' * 90}\n" for n in range(20_000))
    strategy = read(f'id,a\nfirst,"y\n{many}')
    assert (len(memory.items), strategy.refused) == (20_000, {"quote that never closes": 1})


def test_a_stray_quote_that_swallows_rows_until_the_next_one_costs_its_own_row_only(read, memory):
    strategy = read('id,a,b\n1,"x,y\n2,x,y\n3,"x",y\n4,x,y\n')
    assert list(memory.items) == ["2", "3", "4"]
    assert sum(strategy.refused.values()) == 1


def test_a_quote_in_every_row_costs_no_row_that_has_none(read, memory):
    strategy = read("id,a\n" + "".join(f'{n},"x\n' for n in range(20_000)) + "last,x\n")
    assert (list(memory.items), sum(strategy.refused.values())) == (["last"], 20_000)


def test_what_is_read_again_for_stray_quotes_has_an_end(read, memory, monkeypatch):
    monkeypatch.setattr(delimited, "MAX_REREAD_BYTES", 1000)
    strategy = read("id,a\n" + "".join(f'{n},"x\n' for n in range(20_000)))
    assert 10_000 < sum(strategy.refused.values()) < 11_000


def test_a_quote_within_a_field_is_taken_as_it_was_meant(rows):
    assert rows('id,a\n1,12" TFT\n2,"12" TFT\n')[0] == {"id": "1", "a": '12" TFT'}


def test_a_field_over_the_cap_is_left_out(read, memory):
    strategy = read(f"id,a\n1,{'x' * (MAX_FIELD_CHARACTERS + 1)}\n2,x\n")
    assert (list(memory.items), strategy.refused) == (["2"], {"field over 1,048,576 characters": 1})


def test_a_line_over_the_cap_is_left_out(read, memory):
    strategy = read(f"id,a\n1,{'x' * (3 * MAX_LINE_BYTES)}\n2,x\n")
    assert (list(memory.items), strategy.refused) == (["2"], {"line over 2 MiB": 1})


def test_a_line_that_is_no_json_object_is_counted(read, memory):
    deep = '{"a":' * 200_000
    strategy = read(
        f'{{"id": "a"}}\n[1]\n{{"id": \nnull\n{deep}\n{{"id": ["b"]}}\n{{"id": "c", "n": NaN}}\n',
        format="jsonl",
    )
    assert list(memory.items) == ["a"]
    assert strategy.refused == {
        "line is no JSON object": 4,
        "no key": 1,
        "data is not a JSON object": 1,
    }


# -- gzip -------------------------------------------------------------------------------------------------


def test_a_gzip_file_that_is_cut_short_before_its_rows_is_refused(read):
    packed = gzip.compress(b"made by X\n" + bytes(range(256)) * 9, 0)[:60]
    for params in ({"skip_lines": 3}, {"skip_lines": 3, "format": "jsonl"}):
        with pytest.raises(SourceRejectedError, match="damaged gzip file: it is cut short"):
            read(packed, **params)


def test_a_packed_file_is_unpacked_whatever_its_name(rows):
    assert rows(gzip.compress(b"id,a\n1,x\n") + gzip.compress(b"2,y\n") + bytes(512)) == [
        {"id": "1", "a": "x"},
        {"id": "2", "a": "y"},
    ]


def test_of_a_packed_file_that_is_cut_short_all_that_came_is_read(read, memory):
    packed = gzip.compress(
        b"id,a\n" + b"".join(b"%d,%s\n" % (n, os.urandom(40).hex().encode()) for n in range(3000))
    )
    strategy = read(packed[: len(packed) // 2])
    assert 1300 < len(memory.items) < 1600
    assert "damaged gzip file: it is cut short" in strategy.problems[-1]
    read(packed)
    assert len(memory.items) == 3000


def test_a_bomb_is_left_before_it_is_all_unpacked(read, memory):
    strategy = read(gzip.compress(b"id,a\n1,x\n" + bytes(400 * 1024 * 1024), 9))
    assert list(memory.items) == ["1"]
    assert "does not end within 256 MiB" in strategy.problems[0]


# -- a file as a source -----------------------------------------------------------------------------------


def test_a_column_that_is_not_there_is_told_with_those_that_are(read):
    with pytest.raises(SourceRejectedError, match="has no column 'nr'; it has 'id', 'a'"):
        read("id,a\n1,x\n", key="nr")


def test_an_empty_file_has_no_items(read, memory):
    assert read(b"").problems == []
    assert memory.items == {}


def test_a_missing_file_is_unavailable_and_a_folder_is_no_file(read, file, memory):
    with pytest.raises(SourceUnavailableError, match="No such file"):
        read()
    with pytest.raises(SourceRejectedError, match="is no file"):
        memory.discover(CsvRows, {"path": str(file.parent), "key": "id"})


def test_a_pipe_does_not_hold_the_discovery_up(file, read):
    os.mkfifo(file)
    with pytest.raises(SourceRejectedError, match="is no file"):
        read()


def test_a_relative_path_stays_below_the_folder_where_it_runs(read, file, memory, monkeypatch):
    file.write_text("id\n1\n")
    inside = file.parent / "inside"
    inside.mkdir()
    (inside / "rows.csv").write_text("id\n2\n")
    (inside / "out.csv").symlink_to(file)
    monkeypatch.chdir(inside)
    memory.discover(CsvRows, {"path": "rows.csv", "key": "id"})
    assert list(memory.items) == ["2"]
    with pytest.raises(SourceRejectedError, match="leads out of the folder"):
        memory.discover(CsvRows, {"path": "out.csv", "key": "id"})


@pytest.mark.parametrize(
    "params",
    [
        {"encoding": "utf-9"},
        {"encoding": "rot13"},
        {"encoding": "idna"},
        {"delimiter": '"'},
        {"delimiter": ",,"},
        {"columns": []},
        {"key": []},
    ],
)
def test_parameters_that_can_never_work_are_a_mistake_in_jobs_yaml(params):
    with pytest.raises(ValidationError, match=next(iter(params))):
        CsvRows({"path": "a.csv", "key": "id", **params})


# -- memory -----------------------------------------------------------------------------------------------

MANY = "id,a\n" + "".join(f'{n},"größe\n{n}"\n' for n in range(5000))


@pytest.mark.parametrize(
    "content",
    [MANY.encode(), gzip.compress(MANY.encode()), MANY.encode("utf-16"), MANY.encode("utf-8-sig")],
    ids=["plain", "gzip", "utf-16", "bom"],
)
def test_a_discovery_that_was_killed_goes_on_at_its_cursor(read, file, memory, content):
    file.write_bytes(content)
    with memory.killed_after(2):
        memory.discover(CsvRows, {"path": str(file), "key": "id"})
    assert len(memory.items) == 2000
    read()
    found = [item.key for batch in memory.batches for item in batch.items]
    assert found == [str(n) for n in range(2000, 5000)]
    assert memory.items["4999"].data == {"id": "4999", "a": "größe\n4999"}


def test_a_file_that_was_read_is_not_read_again(read, file, memory):
    read("id\n1\n")
    strategy = read()
    assert memory.batches == []
    assert strategy.looks[str(file)].unchanged


def test_a_file_can_be_read_again_each_time(read, memory):
    read("id\n1\n", reread=True)
    read(reread=True)
    assert [item.key for batch in memory.batches for item in batch.items] == ["1"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_of_a_file_that_has_grown_only_what_is_new_is_read(read, memory, pack):
    before = "".join(f"{n},x\n" for n in range(3000))
    read(pack(b"id,a\n" + before.encode()))
    read(pack(b"id,a\n" + before.encode()) + pack(b"new,x\n"))
    assert [item.key for batch in memory.batches for item in batch.items] == ["new"]
    read(pack(b"id,a\n" + before.encode()) + pack(b"new,x\n") + pack(b"newer,x\n"))
    assert [item.key for batch in memory.batches for item in batch.items] == ["newer"]


def test_a_last_row_that_had_no_end_is_read_again_when_it_has_grown(read, memory):
    read("id,a\n1,x\n2,ab")
    read("id,a\n1,x\n2,abc\n3,d\n")
    assert {item.key: item.data["a"] for item in memory.batches[0].items} == {"2": "abc", "3": "d"}


@pytest.mark.parametrize(
    "changed",
    ["id,a\n1,y\n2,x\n3,x\n", "id,a\n1,x\n2,y\n3,x\n", "id,a\n1,x\n", "id,a\n1,x\n2,y\n"],
    ids=["its beginning", "its last row", "shorter", "as long"],
)
def test_a_file_that_was_written_anew_is_read_from_its_beginning(read, file, memory, changed):
    read("id,a\n1,x\n2,x\n")
    read(changed)
    os.utime(file, ns=(1, 1))
    read()
    assert [item.key for batch in memory.batches for item in batch.items] == [
        line[0] for line in changed.splitlines()[1:]
    ]


def test_a_file_that_is_to_be_read_otherwise_is_read_from_its_beginning(read, memory):
    read("id,a\n1,x\n2,x\n")
    read(key="a")
    assert set(memory.items) == {"1", "2", "x"}


def test_a_cursor_of_another_kind_is_no_cursor(read, file, memory):
    for cursor in (7, {"offset": 3}, [], "x"):
        memory.cursors[str(file)] = cursor
        read("id\n1\n")
        assert len(memory.batches) == 2


# -- an address -------------------------------------------------------------------------------------------


@pytest.fixture
def served(httpserver, memory):
    """Serve a content with an ETag, and discover it; the strategy."""

    def answer(content, headers, request):
        if headers.get("ETag") and request.headers.get("If-None-Match") == headers["ETag"]:
            return Response(b"", 304, headers)
        return Response(content, 200, headers)

    def served(content, headers, **params):
        httpserver.clear()
        httpserver.expect_request("/rows.csv.gz").respond_with_handler(
            lambda request: answer(content, headers, request)
        )
        memory.forget_batches()
        url = httpserver.url_for("/rows.csv.gz?token=secret")
        return memory.discover(CsvRows, {"path": url, "key": "id", **params})

    return served


def test_an_address_that_its_server_calls_unchanged_is_not_read_again(served, memory):
    packed = gzip.compress(b"id\n1\n2\n")
    served(packed, {"ETag": '"a"'})
    assert list(memory.items) == ["1", "2"]
    strategy = served(packed, {"ETag": '"a"'})
    (name,) = strategy.looks
    assert (memory.batches, strategy.looks[name].unchanged, strategy.looks[name].requests) == ([], True, 1)
    assert "secret" not in name


def test_an_address_that_leads_to_another_file_is_read_again(served, memory, httpserver):
    served(b"id\n1\n", {"ETag": '"a"'})
    httpserver.clear()
    moved = Response("", 302, {"Location": "/other.csv"})
    httpserver.expect_request("/rows.csv.gz").respond_with_response(moved)
    httpserver.expect_request("/other.csv", headers={"If-None-Match": '"a"'}).respond_with_data("", 304)
    httpserver.expect_request("/other.csv").respond_with_data(b"id\n2\n", headers={"ETag": '"a"'})
    url = httpserver.url_for("/rows.csv.gz?token=secret")
    memory.discover(CsvRows, {"path": url, "key": "id"})
    assert list(memory.items) == ["1", "2"]
    memory.forget_batches()
    memory.discover(CsvRows, {"path": url, "key": "id"})
    assert memory.batches == []


def test_an_address_without_validators_is_known_by_its_content(served, memory):
    served(b"id\n1\n", {})
    served(b"id\n1\n", {})
    assert memory.batches == []
    served(b"id\n2\n", {})
    assert list(memory.items) == ["1", "2"]


def test_of_an_address_that_has_grown_only_what_is_new_is_read(served, memory):
    served(b"id\n1\n", {"ETag": '"a"'})
    served(b"id\n1\n2\n", {"ETag": '"b"'})
    assert [item.key for batch in memory.batches for item in batch.items] == ["2"]


def test_an_address_is_refused_above_its_cap(served):
    with pytest.raises(SourceRejectedError, match="over 1,048,576 bytes"):
        served(b"id\n" + b"1\n" * 1_000_000, {}, max_mib=1)


def test_a_secret_header_is_sent_and_not_shown(httpserver, memory):
    httpserver.expect_request("/a.csv", headers={"Authorization": "Bearer abc"}).respond_with_data("id\n1\n")
    params = {"path": httpserver.url_for("/a.csv"), "key": "id", "headers": {"Authorization": "Bearer abc"}}
    strategy = memory.discover(CsvRows, params)
    assert list(memory.items) == ["1"]
    assert "abc" not in repr(strategy.params)
