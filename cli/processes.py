"""The worker and beat processes that a command starts for itself, sees to, and stops."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.lines import write_line
from runner.deathbed import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STOP_SECONDS = 30.0
"""How long a process may take to end what it runs before it is killed; its leases cover the rest."""

QUIT_SECONDS = 5.0
"""The same for one that is to end at once."""

RESTART_SECONDS = (1.0, 30.0)
"""The shortest and the longest wait before a process that ended by itself is started again."""


ROOT_WARNING = "You're running the worker with superuser privileges"
"""How a warning of Celery's begins that is about pickled messages; none but JSON are accepted here."""


@dataclass(slots=True)
class Child:
    """One process that is kept running."""

    name: str
    arguments: list[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    wait_seconds: float = RESTART_SECONDS[0]
    start_at: float = field(default=0.0)

    def start(self) -> None:
        """Start it, out of the terminal's reach: Ctrl-C is for the command, which then stops its children."""
        self.process = subprocess.Popen(
            [sys.executable, "-W", f"ignore:{ROOT_WARNING}", "-m", *self.arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # ours belongs to the command; Celery says what matters in its log
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads yet, and it only calls prctl
        )

    def see_to(self) -> None:
        """Start it, and again if it has ended, after a wait that doubles."""
        if self.process is not None and self.process.poll() is not None:
            write_line(f"{self.name} ended with {self.process.returncode}; starting it again", err=True)
            self.process, self.start_at = None, time.monotonic() + self.wait_seconds
            self.wait_seconds = min(self.wait_seconds * 2, RESTART_SECONDS[1])
        if self.process is None and time.monotonic() >= self.start_at:
            self.start()

    def ask_to_stop(self, number: int) -> None:
        """Ask it to take on nothing more, and to end what it runs (SIGTERM) or to give it back (SIGQUIT)."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Wait for its end, then kill it and all that it started."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Children:
    """The processes of one command."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children

    def see_to(self) -> None:
        """Start whichever does not run."""
        for child in self._children:
            child.see_to()

    def say_stopping(self) -> None:
        """Tell whoever pressed Ctrl-C what is waited for, and how not to."""
        if any(child.process is not None for child in self._children):
            write_line(
                f"stopping: what runs may come to its end, for at most {STOP_SECONDS:.0f} seconds; the rest waits in "
                "the tracker. Ctrl-C again stops at once, and gives back what runs.",
                err=True,
            )


@contextmanager
def running(children: list[Child]) -> Iterator[Children]:
    """
    Keep processes running while the block runs, then stop them all.

    They start when the block first sees to them, so that a run with nothing to do starts none.
    """
    kept = Children(children)
    try:
        yield kept
    except KeyboardInterrupt:
        kept.say_stopping()
        raise
    finally:
        try:
            _stop(children, signal.SIGTERM, STOP_SECONDS)
        except KeyboardInterrupt:  # a second one: at once, and nobody is left behind
            write_line("stopping at once: what runs is given back", err=True)
            _stop(children, signal.SIGQUIT, QUIT_SECONDS)
            raise


def _stop(children: list[Child], number: int, seconds: float) -> None:
    for child in children:
        child.ask_to_stop(number)
    until = time.monotonic() + seconds
    for child in children:
        child.wait(max(0.1, until - time.monotonic()))


def make_worker(concurrency: int, loglevel: str, environment: Mapping[str, str], number: int = 1) -> Child:
    """Describe a worker with a pool of processes."""
    name = f"worker{number}@%h"
    return Child(
        f"worker {number}",
        [
            *(
                "celery",
                "-A",
                "tasks",
                "--quiet",
                "worker",
                "--pool",
                "prefork",
                "--concurrency",
                str(concurrency),
            ),
            *("--hostname", name, "--loglevel", loglevel, "--without-mingle", "--without-gossip"),
        ],
        environment,
    )


def make_beat(loglevel: str, environment: Mapping[str, str]) -> Child:
    """Describe the one beat."""
    return Child("beat", ["celery", "-A", "tasks", "--quiet", "beat", "--loglevel", loglevel], environment)


def make_dashboard(port: int) -> Child:
    """Describe the dashboard, for this machine alone."""
    return Child("dashboard", ["cli.main", "dashboard", "--port", str(port)], {})
