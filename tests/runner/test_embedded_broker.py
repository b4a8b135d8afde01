"""The embedded broker: found by its note, and not by one that is stale."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.errors import BrokerUnavailableError
from pipeline.settings import Settings
from runner.broker import DEFAULT_URL, PREFIX, embedded_broker, find_broker_url, find_embedded, is_reachable

NOWHERE = "redis+socket:///nowhere/broker.sock"


@pytest.fixture
def note(settings):
    return (settings.data / "broker.json").write_text


def dead_pid():
    """Give the id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_without_a_note_there_is_no_embedded_broker(settings):
    assert find_embedded(settings) is None
    assert find_broker_url(settings) == DEFAULT_URL


def test_a_configured_broker_goes_before_all_others(tmp_path):
    settings = Settings(data=tmp_path, broker_url="redis://:secret@elsewhere:6379/1")
    assert find_broker_url(settings) == "redis://:secret@elsewhere:6379/1"


NO_NOTES = [
    "",
    "{",
    "[]",
    "null",
    "{}",
    "\x00",
    '{"pid": 1}',
    '{"pid": "x", "url": "y"}',
    '{"pid": 1e99, "url": "y"}',
]


@pytest.mark.parametrize("text", [*NO_NOTES, f'{{"pid": {10**30}, "url": "y"}}'])
def test_a_note_that_is_no_note_is_passed_over(settings, note, text):
    note(text)
    assert find_embedded(settings) is None


def test_a_note_of_a_dead_process_is_passed_over(settings, note):
    note(json.dumps({"pid": dead_pid(), "url": NOWHERE}))
    assert find_embedded(settings) is None


def test_a_note_whose_process_number_belongs_to_somebody_else_now_is_passed_over(settings, note):
    note(json.dumps({"pid": os.getpid(), "url": NOWHERE}))
    assert find_embedded(settings) is None


@pytest.mark.parametrize("url", [NOWHERE, "redis://127.0.0.1:1/0", "gopher://x", ""])
def test_a_broker_that_does_not_answer_is_not_reachable(url):
    assert not is_reachable(url)


def test_a_server_that_cannot_be_started_is_said_so(settings, monkeypatch, tmp_path):
    fake = tmp_path / "redis-server"
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(BrokerUnavailableError, match="exit code 3"), embedded_broker(settings):
        pass
    assert find_embedded(settings) is None
    assert not (settings.data / "broker.json").exists()
    assert list(tmp_path.glob(f"{PREFIX}*")) == []


def test_the_directory_of_a_killed_broker_is_removed_by_the_next(tmp_path):
    settings = Settings(data=tmp_path)
    left_over = Path(tempfile.mkdtemp(prefix=PREFIX))
    (left_over / "broker.log").write_text("")
    note = {"pid": 2**22 + 1, "url": f"redis+socket://{left_over}/broker.sock"}
    (tmp_path / "broker.json").write_text(json.dumps(note))
    with embedded_broker(settings, announce=False):
        assert not left_over.exists()
        assert not (tmp_path / "broker.json").exists()


def read_pid(settings):
    return json.loads((settings.data / "broker.json").read_text())["pid"]


def test_a_broker_that_was_killed_is_started_again_where_it_was(settings):
    with embedded_broker(settings) as broker:
        broker.see_to()
        pid = read_pid(settings)
        os.kill(pid, signal.SIGKILL)
        while is_reachable(broker.url):
            pass
        broker.see_to()
        assert is_reachable(broker.url)
        assert find_embedded(settings) == broker.url
        assert read_pid(settings) != pid


def test_a_broker_that_was_killed_is_left_to_its_command_while_that_lives(settings):
    with embedded_broker(settings) as broker:
        os.kill(read_pid(settings), signal.SIGKILL)
        while is_reachable(broker.url):
            pass
        with embedded_broker(settings, announce=False):
            broker.see_to()
            assert find_embedded(settings) == broker.url


def test_a_broker_that_is_too_busy_to_answer_is_not_taken_for_a_killed_one(settings):
    with embedded_broker(settings) as broker:
        os.kill(read_pid(settings), signal.SIGSTOP)
        try:
            with embedded_broker(settings, announce=False):
                pass
        finally:
            os.kill(read_pid(settings), signal.SIGCONT)
        assert find_embedded(settings) == broker.url
