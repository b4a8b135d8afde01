"""The house of the chaos run: a broker, workers, beat and a dashboard, each a real process, restarted when it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import redis

from runner.broker import find_server
from tests.chaos.clock import Clock, compile_library
from tests.chaos.disk import Disk
from tests.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
RESTART_SECONDS = 1.0

RESEND_AFTER = """
from tracker import dispatch, moves

moves.RESEND_AFTER_MS = dispatch.RESEND_AFTER_MS = dispatch.RESEND_AT_MOST_MS = {milliseconds}
"""
"""As `sitecustomize` it is imported first in every process."""

FIND_LONGEST_RUNNING = """
SELECT worker
  FROM item_stages
 WHERE status = 'in_progress' AND started_at BETWEEN :now - 30000 AND :now - 2000
 ORDER BY started_at
"""


class Service:
    """One long-running process of the house, with all its children a process group."""

    def __init__(
        self, house: House, name: str, *arguments: str, tree: Path = ROOT, version: str = "1"
    ) -> None:
        self.name, self._house, self._arguments = name, house, arguments
        self._tree, self._version = tree, version
        self.clock = Clock(house.folder / f"{name}.clock")
        self.process: subprocess.Popen[bytes] | None = None
        self.wanted = False
        self.starts = 0

    def start(self) -> None:
        """Start it, its output appended to its log; nothing starts in a house that is closed."""
        if self._house.ended.is_set():
            return
        self.wanted, self.starts = True, self.starts + 1
        with (self._house.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *self._arguments],
                env=self._house.environment(self.clock, self._tree, self._version),
                cwd=self._house.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._house.groups.add(self.process.pid)

    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def children(self) -> list[int]:
        """List the processes of its pool."""
        assert self.process is not None
        try:
            told = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        except OSError:
            return []
        return [int(word) for word in told.split()]

    def send(self, number: int, to: int | None = None) -> None:
        """Send a signal to one process of its, or to all."""
        assert self.process is not None
        try:
            os.killpg(self.process.pid, number) if to is None else os.kill(to, number)
        except ProcessLookupError:
            return

    def stop(self, patience_seconds: float = 150) -> None:
        """Stop it as `docker stop` does: kindly, and after a while by force. It is not restarted."""
        self.wanted = False
        if self.process is None:
            return
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM, self.process.pid)
        try:
            self.process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self.process.wait()


class House:
    """A broker and the services around one tracker, on a small disk of its own where that can be had."""

    def __init__(self, folder: Path, *, workers: int, processes: int) -> None:
        self.folder, self.processes = folder, processes
        self.groups: set[int] = set()
        self.disk = Disk(folder / "data")
        self.db = self.disk.path / "tracker.db"
        self.jobs = folder / "jobs.yaml"
        self._sockets = Path(tempfile.mkdtemp(prefix="chaos-"))  # a socket's path has 107 bytes at most
        self._library = compile_library(folder)
        self.broker: subprocess.Popen[bytes] | None = None
        pool = ("--concurrency", str(processes))
        self.workers = [
            Service(self, f"worker-{number}", "worker", *pool, "--hostname", f"w{number}@chaos")
            for number in range(workers)
        ]
        self.beat = Service(self, "beat", "beat")
        self.dashboard = Service(self, "dashboard", "dashboard", "--port", str(find_free_port()))
        self.visitors: list[Service] = []
        self.ended = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    @property
    def steps_clocks(self) -> bool:
        return self._library is not None

    @property
    def services(self) -> Sequence[Service]:
        return (*self.workers, self.beat, self.dashboard)

    def environment(
        self, clock: Clock | None = None, tree: Path = ROOT, version: str = "1"
    ) -> dict[str, str]:
        """Make the environment of a process of the house, of the code in `tree`."""
        made = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
        made |= {
            "CELERIAC_DATA": str(self.disk.path),
            "CELERIAC_JOBS": str(self.jobs),
            "CELERIAC_BROKER_URL": f"redis+socket://{self._sockets}/broker.sock",
            "PYTHONPATH": os.pathsep.join(dict.fromkeys((str(tree), str(ROOT), str(self.folder)))),
            "PYTHONWARNINGS": "ignore",
            "CHAOS_LEDGER": str(self.folder / "ledger.jsonl"),
            "CHAOS_VERSION": version,
        }
        if clock is not None and self._library is not None:
            made |= {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(clock.path)}
        return made

    def open(self) -> None:
        """Start everything."""
        self.start_broker()
        for service in self.services:
            service.start()
        self._supervisor.start()

    def _supervise(self) -> None:
        """Restart what has ended by itself, as `restart: unless-stopped` does."""
        while not self.ended.wait(RESTART_SECONDS):
            for service in self.services:
                if service.wanted and not service.is_up():
                    service.start()

    def resend_after(self, seconds: float) -> None:
        """Let a message that nobody claims count as lost after so many seconds; before the house is opened."""
        (self.folder / "sitecustomize.py").write_text(RESEND_AFTER.format(milliseconds=round(seconds * 1000)))

    def write_jobs(self, text: str) -> None:
        """Write jobs.yaml as an editor does: a new file in the old one's place."""
        fresh = self.jobs.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.jobs)

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run one of our commands to its end, as from a shell."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            env=self.environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def run_stranger(self, script: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program that is none of ours, and opens the tracker's file all the same."""
        with (self.folder / "strangers.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", script, str(self.db), *arguments], stdout=log, stderr=log
            )

    def find_longest_running(self) -> int | None:
        """Find the process that has run a stage for longest, if one has for some seconds."""
        with suppress(apsw.Error), closing(apsw.Connection(str(self.db), apsw.SQLITE_OPEN_READONLY)) as conn:
            for (worker,) in conn.execute(FIND_LONGEST_RUNNING, {"now": time.time_ns() // 1_000_000}):
                process = int(worker.rpartition(":")[2])
                with suppress(OSError):  # it has died meanwhile
                    if Path(f"/proc/{process}/cwd").samefile(self.folder):
                        return process
        return None

    # -- the broker ---------------------------------------------------------------------------------------

    def start_broker(self) -> None:
        """Start the broker, as compose does, but with nothing of it on disk."""
        if self.ended.is_set():
            return
        path = self._sockets / "broker.sock"
        path.unlink(missing_ok=True)
        with (self.folder / "broker.out").open("ab") as log:
            self.broker = subprocess.Popen(
                [
                    *(find_server(), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"),
                    *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
                    *("--dir", str(self._sockets), "--daemonize", "no"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + 30
        while not self.broker_answers():
            assert time.monotonic() < until, "the broker does not start"
            time.sleep(0.05)

    def kill_broker(self) -> None:
        """Kill the broker; what it held is gone."""
        assert self.broker is not None
        self.broker.kill()
        self.broker.wait()

    def broker_answers(self) -> bool:
        try:
            with self.redis() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def redis(self) -> redis.Redis:
        path = self._sockets / "broker.sock"
        return redis.Redis.from_url(f"unix://{path}", socket_timeout=5, socket_connect_timeout=2)

    # -- the end ------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End every process that was started, by force, and let go of the disk."""
        self.ended.set()
        for service in (*self.services, *self.visitors):
            service.wanted = False
        for group in self.groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.broker is not None and self.broker.poll() is None:
            self.broker.kill()
            self.broker.wait()
        for service in (*self.services, *self.visitors):
            if service.process is not None:
                service.process.wait()
        shutil.rmtree(self._sockets)
