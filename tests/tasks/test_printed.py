"""What handlers print is logged line by line."""

from __future__ import annotations

import logging
import threading

import pytest

from tasks import printed
from tasks.printed import PrintedLines


@pytest.fixture
def logged(caplog):
    """Log what is printed to a file of ours; the file, and the lines."""
    caplog.set_level(logging.INFO, "printed")
    return PrintedLines(logging.getLogger("printed"), "INFO"), caplog


def test_one_print_is_one_line_whatever_it_prints(logged):
    file, told = logged
    print("a", 1, "b", file=file)
    print("c", "d", sep="\n", file=file)
    print(file=file)
    assert told.messages == ["a 1 b", "c", "d"]


def test_a_line_that_has_begun_waits_for_its_end_or_for_a_flush(logged):
    file, told = logged
    print("loading", end="…", file=file)
    assert told.messages == []
    print("done", file=file)
    print("on", end="", flush=True, file=file)
    file.flush()
    assert told.messages == ["loading…done", "on"]


def test_each_thread_has_lines_of_its_own(logged):
    file, told = logged
    print("here", end=" ", file=file)
    thread = threading.Thread(target=print, args=["there"], kwargs={"file": file})
    thread.start()
    thread.join()
    print("still", file=file)
    assert told.messages == ["there", "here still"]


def test_a_line_without_end_is_logged_before_it_fills_the_memory(logged, monkeypatch):
    monkeypatch.setattr(printed, "LONGEST", 10)
    file, told = logged
    for _ in range(4):
        file.write("=" * 4)
    assert told.messages == ["=" * 12]
