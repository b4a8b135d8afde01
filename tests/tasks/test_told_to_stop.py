"""A worker that is told to stop ends, whatever it had begun to write to its processes, and these know of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]

POOL = """
import os, signal, time
from kombu.asynchronous import Hub, set_event_loop
from tasks.pool import PromptAsynPool
from tasks.stopping import is_stopping, note_stopping

class Request:
    name, request_dict = "a task", {}

    def end(self, result):
        print(result)

released, release = os.pipe()

def wait():
    os.read(released, 1)
    return is_stopping()

hub = Hub()
set_event_loop(hub)
pool = PromptAsynPool(1, threads=False)
pool.register_with_event_loop(hub)
loop = hub.create_loop()

def turn_until(is_so):
    while not is_so():
        next(loop)

def apply(function, *arguments):
    return pool.apply_async(function, arguments, callback=Request().end)

def freeze():
    os.kill(child.pid, signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)

turn_until(lambda: pool._all_inqueues)
(child,) = pool._pool
"""

END = """
pool.close()
pool.flush()  # as Celery does
os.write(release, b"x")
if child._is_alive():
    os.kill(child.pid, signal.SIGCONT)
pool.join()
print("ended")
"""

BIG = '"x" * 1_000_000'  # more than a pipe takes


def run(*begun: str) -> list[str]:
    """Begin something in a pool with one child, in a process of its own, and stop it; what it printed."""
    command = [sys.executable, "-c", "\n".join([POOL, *begun, END])]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
    ).stdout.split()


BUSY = "one = apply(wait); turn_until(lambda: one._accepted)"
WRITTEN_IN_PART = f"freeze(); apply(len, {BIG}); turn_until(lambda: pool._active_writers)"


def test_a_task_that_was_written_in_part_is_written_to_its_end():
    assert run(WRITTEN_IN_PART) == ["1000000", "ended"]


def test_nothing_is_written_behind_the_word_to_stop():
    assert run(BUSY, f"apply(len, {BIG})") == ["False", "ended"]


def test_a_process_hears_that_its_worker_was_told_to_stop():
    assert run(BUSY, "note_stopping()") == ["True", "ended"]


def test_the_pipe_of_a_process_that_has_died_is_left_as_it_is():
    killed = "os.kill(child.pid, signal.SIGKILL)\nwhile child._is_alive(): time.sleep(0.01)"
    assert run(WRITTEN_IN_PART, killed) == ["ended"]
