"""Who waits for a turn to write has it soon, whatever the others do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

from tests.waiting import wait_until
from tracker.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

TAKE_TURN_AFTER_TURN = """
import mmap, sys, time
from pathlib import Path
from tracker.turns import Turns

turns, count = Turns(Path(sys.argv[1])), 0
with open(sys.argv[1] + ".count", "r+b") as file, mmap.mmap(file.fileno(), 8) as told:
    while True:
        with turns.take():
            count += 1
            told[:] = count.to_bytes(8, "little")
            until = time.monotonic() + float(sys.argv[2])
            while time.monotonic() < until:
                pass
"""

TAKE_ONE_TURN = """
import sys
from pathlib import Path
from tracker.turns import Turns

print("asks", flush=True)
with Turns(Path(sys.argv[1])).take():
    print("has it", flush=True)
    sys.stdin.read()
"""

SHORT_SECONDS, LONG_SECONDS = 0.0002, 0.02

FEW = {SHORT_SECONDS: 30, LONG_SECONDS: 2}
"""How many such turns may come before that of who waits; a lock alone lets through hundreds of the short ones."""

LOCKS = Path("/proc/locks")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "tracker.db.count").write_bytes(bytes(8))
    return tmp_path / "tracker.db"


@contextmanager
def running(script: str, path: Path, seconds: float = SHORT_SECONDS) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, str(path), str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_count(path: Path) -> int:
    return int.from_bytes(path.with_name("tracker.db.count").read_bytes(), "little")


def wait_for_turns(path: Path, more: int) -> None:
    wanted = read_count(path) + more
    wait_until(lambda: read_count(path) >= wanted, rest=lambda: time.sleep(0.001))


@pytest.mark.parametrize("seconds", FEW)
def test_who_waits_has_its_turn_soon_while_another_takes_turn_after_turn(path, seconds):
    turns, missed = Turns(path), []
    with running(TAKE_TURN_AFTER_TURN, path, seconds):
        for _ in range(21):
            wait_for_turns(path, 2)
            before = read_count(path)
            with turns.take():
                missed.append(read_count(path) - before)
    turns.close()
    assert median(missed) < FEW[seconds]


@pytest.mark.parametrize("word", [signal.SIGSTOP, signal.SIGKILL])
def test_who_is_stopped_or_killed_while_it_waits_keeps_nobody_from_writing(path, word):
    turns = Turns(path)
    with ExitStack() as until_stopped, running(TAKE_ONE_TURN, path) as waiting:
        until_stopped.enter_context(turns.take())
        assert waiting.stdout.readline() == "asks\n"
        wait_until_it_waits(path)
        waiting.send_signal(word)
        os.waitid(os.P_PID, waiting.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        until_stopped.close()
        with running(TAKE_TURN_AFTER_TURN, path):
            wait_for_turns(path, 100)
    turns.close()


def wait_until_it_waits(path: Path) -> None:
    file = path.with_name("tracker.db.lock").stat().st_ino
    wait_until(lambda: any(f":{file} " in line and "->" in line for line in LOCKS.read_text().splitlines()))


def test_a_killed_holders_turn_is_free(path):
    turns = Turns(path)
    with running(TAKE_ONE_TURN, path) as holding:
        assert [holding.stdout.readline() for _ in range(2)] == ["asks\n", "has it\n"]
        holding.kill()
        with turns.take():
            pass
    turns.close()
    turns.close()
