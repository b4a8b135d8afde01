from __future__ import annotations

import asyncio
import os
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
from pydantic import ValidationError

from discovery.stdin_lines import StdinLines
from discovery.stdin_pipe import IncomingLines
from discovery.text_lines import MAX_LINE_BYTES
from pipeline.errors import SourceRejectedError
from tests.waiting import PATIENCE_SECONDS


@contextmanager
def open_pipe():
    """Give both ends of a pipe: what reads, and a descriptor to write to, which is closed at the end."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123
        yield stream, pipe


def write_all(pipe, data):
    with pipe:
        for at in range(0, len(data), 4096):
            pipe.write(data[at : at + 4096])


@pytest.fixture
def pipe_in(memory):
    """Pipe bytes into a discovery; the strategy."""

    def pipe_in(data, **params):
        with open_pipe() as (stream, pipe):
            writer = threading.Thread(target=write_all, args=(pipe, data))
            writer.start()
            try:
                return memory.discover(StdinLines, params, stdin=stream)
            finally:
                writer.join(PATIENCE_SECONDS)

    return pipe_in


def test_each_line_is_an_item_under_the_name_that_is_wanted(pipe_in, memory):
    pipe_in(b"https://a.example/1\n\n  https://a.example/2  \r\nlast without an end", field="url")
    assert {key: item.data for key, item in memory.items.items()} == {
        "https://a.example/1": {"url": "https://a.example/1"},
        "https://a.example/2": {"url": "https://a.example/2"},
        "last without an end": {"url": "last without an end"},
    }


def test_an_object_with_a_key_is_an_item_as_it_is(pipe_in, memory):
    lines = b'{"id": 7, "at": "t1", "n": [1]}\n{"id": 8}\n'
    pipe_in(lines, format="jsonl", key="id", version="at")
    assert [(item.key, item.version, item.data) for item in memory.items.values()] == [
        ("7", "t1", {"id": 7, "at": "t1", "n": [1]}),
        ("8", None, {"id": 8}),
    ]


def test_an_object_without_a_key_parameter_is_what_enqueue_takes(pipe_in, memory):
    strategy = pipe_in(b'{"key": "a", "data": {"n": 1}, "priority": 5}\n{"data": {}}\n', format="jsonl")
    assert [(item.key, item.data, item.priority) for item in memory.items.values()] == [("a", {"n": 1}, 5)]
    assert strategy.refused == {"no key": 1}


def test_what_is_no_object_is_counted_and_named_once_and_the_rest_go_on(pipe_in, memory):
    lines = b'{"id": 1}\nnonsense\n[1]\n' + b'{"a":' * 100_000 + b'\n\xff\n{"id": 2}\n'
    strategy = pipe_in(lines, format="jsonl", key="id")
    assert list(memory.items) == ["1", "2"]
    assert strategy.refused == {"line is no JSON object": 4}
    assert strategy.problems[0] == "line 2: line is no JSON object"


def test_bytes_that_are_not_utf8_and_lines_without_end_cost_nothing_but_themselves(pipe_in, memory):
    strategy = pipe_in(b"caf\xe9\n" + b"x" * (MAX_LINE_BYTES + 5) + b"\nb\n" + b"k" * 2000 + b"\n")
    assert list(memory.items) == ["café", "b"]
    assert strategy.refused == {"line over 2 MiB": 1, "key over 1,024 bytes": 1}
    assert strategy.problems == ["1 lines are not UTF-8, and were read as Windows-1252"]


def test_many_lines_are_handed_over_a_thousand_at_a_time(memory, tmp_path):
    (tmp_path / "many").write_text("".join(f"line {n}\n" for n in range(2500)))
    with (tmp_path / "many").open("rb") as stream:
        memory.discover(StdinLines, {}, stdin=stream)
    assert [len(batch.items) for batch in memory.batches] == [1000, 1000, 500]


def test_a_line_is_handed_over_when_it_comes_though_the_pipe_stays_open(access):
    with open_pipe() as (stream, pipe):
        arrived = threading.Semaphore(0)
        reached = replace(access, stdin=stream, receive=lambda _: arrived.release())
        reader = threading.Thread(target=lambda: asyncio.run(StdinLines({}, reached).discover()))
        reader.start()
        try:
            for line in (b"first\n", b"second\n"):
                pipe.write(line)
                assert arrived.acquire(timeout=PATIENCE_SECONDS)
        finally:
            pipe.close()
            reader.join(PATIENCE_SECONDS)
        assert not reader.is_alive()


def test_nothing_piped_in_gives_nothing(pipe_in, memory):
    assert pipe_in(b"").problems == []
    assert memory.items == {}


def test_where_nobody_pipes_anything_in_the_discovery_says_how(memory):
    with pytest.raises(SourceRejectedError, match=r"nothing is piped in here.*celeriac discover sample"):
        memory.discover(StdinLines, {})


@pytest.mark.parametrize(
    ("params", "about"),
    [
        ({"key": "id"}, "a line is its own key"),
        ({"format": "jsonl", "version": "at"}, "needs a key"),
        ({"format": "csv"}, "format"),
        ({"field": ""}, "field"),
    ],
)
def test_parameters_that_say_nothing_together_are_a_mistake_in_jobs_yaml(params, about):
    with pytest.raises(ValidationError, match=about):
        StdinLines(params)


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_lines_come_as_from_a_file_whatever_the_limit(limit, tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"a\n\nlonger line\nno end")
    with path.open("rb") as file, path.open("rb") as stream:
        incoming = IncomingLines(stream)
        while line := file.readline(limit):
            assert incoming.readline(limit) == line
        assert incoming.readline(limit) == b""
