"""
Whole commands, run as from a shell, for tests that run many of them.

`python -m cli.main` takes half a second to import what it needs, and a few milliseconds to do its work. So one
process, `tests.command_server`, imports it all, and is forked for each command, which has everything of its own:
arguments, environment, folder, standard streams, signals, and its end. Tests of how a process starts, and of how it is
stopped, start one themselves.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).parent.parent
PROGRAM = "cli.main"
AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_")
"""How variables begin that an interpreter reads as it starts: a fork comes too late for other values."""

AT_ANY_TIME = ("PYTHONPATH", "PYTHONWARNINGS")
"""Those of them that a fork can still heed, as long as the first path is Celeriac's."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Forked:
    """A command that was forked; it can be waited for and stopped as a `subprocess.Popen` can."""

    def __init__(self, told: int) -> None:
        """Have the pipe on which first its process id is told, and then its exit code."""
        self._told = open(told)  # noqa: SIM115 - closed when it has ended
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Look how it has ended; None while it has not."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; its exit code. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(self._told.read())
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


Process = Forked | subprocess.Popen[bytes]


class Commands:
    """Starts and runs commands. Close it at the end."""

    def __init__(self) -> None:
        """Start the process that is forked."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
        environment["PYTHONPATH"] = str(ROOT)
        environment.pop("PYTHONUNBUFFERED", None)
        self._at_start = _read_at_start(environment)
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.command_server", str(theirs.fileno())],
                # pipes, as a command's own are: what a stream is made for stays so
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd="/",
                pass_fds=[theirs.fileno()],
            )

    def close(self) -> None:
        """End that process."""
        self._connection.close()
        self._server.communicate()

    def can_fork(self, environment: Mapping[str, str]) -> bool:
        """Tell whether a fork can be what a process that starts in this environment is."""
        first, *others = environment.get("PYTHONPATH", "").split(os.pathsep)
        begins_alike = not any(Path(path, "sitecustomize.py").exists() for path in others)
        return begins_alike and first == str(ROOT) and _read_at_start(environment) == self._at_start

    def start(
        self,
        arguments: Iterable[str],
        environment: Mapping[str, str],
        folder: Path,
        streams: Iterable[int],
        *,
        program: str = PROGRAM,
        is_apart: bool = False,
    ) -> Process:
        """
        Start a command, with three files as its standard streams, and with `is_apart` in a session of its own.

        It is a fork, or a process of its own where a fork would be another thing.
        """
        if not self.can_fork(environment):
            stdin, stdout, stderr = streams
            return subprocess.Popen(
                [sys.executable, "-m", program, *arguments],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                cwd=folder,
                start_new_session=is_apart,
            )
        request = {
            "program": program,
            "arguments": [*arguments],
            "environment": {**environment},
            "folder": str(folder),
            "is_apart": is_apart,
        }
        said = json.dumps(request).encode()
        told, tell = os.pipe()
        socket.send_fds(self._connection, [len(said).to_bytes(4)], [*streams, tell])
        os.close(tell)
        try:
            self._connection.sendall(said)
            return Forked(told)
        except (OSError, ValueError) as error:
            raise RuntimeError(f"the command server ended: {self._server.stderr.read().decode()}") from error

    def run(
        self,
        arguments: Iterable[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        program: str = PROGRAM,
        given: str = "",
        seconds: float = PATIENCE_SECONDS,
    ) -> Ended:
        """Run a command to its end. Raises `subprocess.TimeoutExpired`."""
        (stdin, feed), (out, stdout), (err, stderr) = (os.pipe() for _ in range(3))
        streams = [stdin, stdout, stderr]
        process = self.start(arguments, environment, folder, streams, program=program)
        for stream in streams:
            os.close(stream)
        with ThreadPoolExecutor(3) as pool:
            pool.submit(_feed, feed, given)
            printed = [pool.submit(_read, file) for file in (out, err)]
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        return Ended(code, *(text.result() for text in printed))


@cache
def get_commands() -> Commands:
    """Get this process's own, which end with it."""
    commands = Commands()
    atexit.register(commands.close)
    return commands


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(AT_START) and name not in AT_ANY_TIME
    }


def _feed(file: int, text: str) -> None:
    with contextlib.suppress(BrokenPipeError), open(file, "w") as stream:
        stream.write(text)


def _read(file: int) -> str:
    with open(file) as stream:
        return stream.read()
