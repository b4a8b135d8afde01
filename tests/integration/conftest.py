"""A whole house on this machine: a real broker, real worker processes, a real tracker file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.commands import PROGRAM, ROOT, get_commands
from tests.waiting import PATIENCE_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.commands import Process
    from tracker.connection import Connection


class House:
    """One broker and any number of workers around one tracker."""

    def __init__(self, directory: Path, socket_directory: Path) -> None:
        self.directory, self.socket_directory = directory, socket_directory
        self.processes: list[Process] = []
        self.broker: subprocess.Popen[bytes] | None = None
        self._opened, self._opened_file = ExitStack(), None
        self.jobs = directory / "jobs.yaml"
        self.db = directory / "data" / "tracker.db"
        self.environment = {
            **os.environ,
            "CELERIAC_DATA": str(directory / "data"),
            "CELERIAC_JOBS": str(self.jobs),
            "CELERIAC_BROKER_URL": f"redis+socket://{socket_directory}/broker.sock",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(directory)]),
            "PYTHONWARNINGS": "ignore",
        }
        self.environment.pop("CELERIAC_DB", None)
        self.environment.pop("PYTHONUNBUFFERED", None)

    def write_jobs(self, text: str) -> None:
        """Write jobs.yaml as an editor does: a new file in the old one's place."""
        fresh = self.jobs.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.jobs)

    def write_module(self, name: str, text: str) -> None:
        """Write a module with handlers beside jobs.yaml."""
        (self.directory / f"{name}.py").write_text(text)

    def start_broker(self) -> None:
        """Start the broker, or start it again after a stop."""
        from runner.broker import start_server

        self.broker = start_server(self.socket_directory)
        self.wait(self.broker_answers)

    def stop_broker(self, how: int = signal.SIGKILL) -> None:
        """Kill the broker; what it held is gone."""
        assert self.broker is not None
        self.broker.send_signal(how)
        self.broker.wait(PATIENCE_SECONDS)
        (self.socket_directory / "broker.sock").unlink(missing_ok=True)

    def broker_answers(self) -> bool:
        try:
            with self.redis() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def redis(self, **options: Any) -> redis.Redis:
        return redis.Redis.from_url(f"unix://{self.socket_directory}/broker.sock", **options)

    def start(self, *celery: str) -> Process:
        """Start a Celery command of the house, its output in a file."""
        with (
            self.log_of(len(self.processes), celery[0]).open("wb") as log,
            Path(os.devnull).open() as nothing,
        ):
            process = get_commands().start(
                ["-A", "tasks", "--quiet", *celery],
                self.environment,
                self.directory,
                [nothing.fileno(), log.fileno(), log.fileno()],
                program="celery",
                is_apart=True,
            )
        self.processes.append(process)
        return process

    def log_of(self, number: int, name: str) -> Path:
        """Tell where a process of the house writes."""
        return self.directory / f"{name}-{number}.log"

    def start_worker(self, name: str = "w", *options: str) -> Process:
        """Start a prefork worker of two processes, and wait until it takes work."""
        arguments = ["--hostname", f"{name}@%h", "--concurrency", "2", "--loglevel", "INFO"]
        log = self.log_of(len(self.processes), "worker")
        process = self.start("worker", *arguments, "--without-mingle", "--without-gossip", *options)
        self.wait(lambda: " ready." in log.read_text())
        return process

    def start_beat(self) -> Process:
        return self.start("beat", "--loglevel", "INFO")

    def celery(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a Celery command to its end, as from a shell."""
        return self.run("celery", "-A", "tasks", *arguments)

    def celeriac(
        self, *arguments: str, timeout: float = PATIENCE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run one of our commands to its end, as from a shell."""
        return self.run(PROGRAM, *arguments, timeout=timeout)

    def run(
        self, program: str, *arguments: str, timeout: float = PATIENCE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the house to its end."""
        ended = get_commands().run(
            arguments, self.environment, self.directory, program=program, seconds=timeout
        )
        return subprocess.CompletedProcess([program, *arguments], ended.code, ended.out, ended.err)

    def count(self, sql: str) -> int:
        """Ask the tracker for a number; 0 while there is no tracker."""
        from pipeline.errors import TrackerUnusableError

        try:
            return int(self._read().execute(sql).fetchone()[0] or 0)
        except TrackerUnusableError:
            return 0

    def _read(self) -> Connection:
        """Open the tracker's file, and keep it open: who waits for something asks many times a second."""
        from tracker import open_readonly

        file = self.db.stat().st_ino if self.db.exists() else None
        if file is None or file != self._opened_file:
            self._opened.close()
            self._conn, self._opened_file = self._opened.enter_context(open_readonly(self.db)), file
        return self._conn

    def settled(self) -> int:
        return self.count("SELECT sum(done + failed + skipped) FROM stage_counts")

    def unfinished(self) -> int:
        return self.count("SELECT count(*) FROM work_items WHERE status <> 'done'")

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        wait_until(done, lambda: f"waited in vain; logs:\n{self.logs()}", rest=lambda: time.sleep(0.05))

    def logs(self) -> str:
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.directory.glob("*.log"))
        )

    def close(self) -> None:
        self._opened.close()
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self.broker is not None and self.broker.poll() is None:
            self.stop_broker()


@pytest.fixture
def house(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with a broker, and no workers yet."""
    import shutil
    import tempfile

    sockets = Path(tempfile.mkdtemp(prefix="house-"))  # a socket's path has 107 bytes at most
    built = House(tmp_path, sockets)
    built.start_broker()
    try:
        yield built
    finally:
        built.close()
        shutil.rmtree(sockets)


@pytest.fixture
def demo_house(house: House) -> House:
    """A house with the demo job of our own jobs.yaml."""
    house.write_jobs((ROOT / "jobs.yaml").read_text())
    return house
