"""A house for measuring in: an empty tracker, a jobs.yaml, a broker of its own, and workers for a while."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
PATHS = [str(HERE.parent), str(HERE)]


@contextmanager
def empty_house(jobs_yaml: str) -> Iterator[Path]:
    """Set this process and those it starts up with a data folder and a broker of their own; the folder."""
    with tempfile.TemporaryDirectory(prefix="celeriac-bench-") as name:
        folder = Path(name)
        (folder / "jobs.yaml").write_text(jobs_yaml)
        with open_house(folder):
            yield folder


def list_variables(folder: Path) -> dict[str, str]:
    """List the variables by which a process finds the tracker and the jobs.yaml of a folder, and this code."""
    return {
        "CELERIAC_DATA": str(folder),
        "CELERIAC_DB": str(folder / "tracker.db"),
        "CELERIAC_JOBS": str(folder / "jobs.yaml"),
        "PYTHONPATH": os.pathsep.join(PATHS),
    }


@contextmanager
def open_house(folder: Path) -> Iterator[None]:
    """Set this process and those it starts up with the tracker and the jobs.yaml of a folder, and a broker."""
    os.environ.update(list_variables(folder))
    sys.path[:0] = PATHS
    from pipeline.settings import load_settings  # noqa: PLC0415 - after the environment is set
    from runner.broker import embedded_broker  # noqa: PLC0415

    with embedded_broker(load_settings()) as broker:
        os.environ["CELERIAC_BROKER_URL"] = broker.url
        yield


@contextmanager
def worker(app: str, concurrency: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a prefork worker while the block runs."""
    arguments = ["-A", app, "--quiet", "worker", "--concurrency", str(concurrency), "--loglevel", "ERROR"]
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", *arguments, "--without-mingle", "--without-gossip", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def whole_house(folder: Path, concurrency: int, port: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Run `celeriac up` in a folder, with a broker of its own, while the block runs."""
    environment = {**os.environ, **list_variables(folder)}
    environment.pop("CELERIAC_BROKER_URL", None)
    options = ["--concurrency", str(concurrency), "--port", str(port), "--loglevel", "error"]
    house = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "up", *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield house
    finally:
        house.terminate()
        house.wait(timeout=60)


def find_free_port() -> int:
    """Find a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def answers(port: int) -> bool:
    """Tell whether a dashboard answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return True
    except OSError:
        return False


def wait_until(done: Callable[[], bool], limit_seconds: float = 300) -> None:
    """Wait for something, looking often."""
    until = time.monotonic() + limit_seconds
    while not done():
        if time.monotonic() > until:
            raise TimeoutError("the workload did not end")
        time.sleep(0.02)
