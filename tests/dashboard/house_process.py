"""The dashboard as a process of its own on a real port, for the tests that need one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx2

import dashboard
from tests.ports import find_free_port
from tests.waiting import wait_until

ROOT = Path(dashboard.__file__).parent.parent


@dataclass
class HouseProcess:
    """`celeriac dashboard` over one tracker."""

    process: subprocess.Popen
    port: int
    log: Path

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def wait_until_it_answers(self):
        wait_until(self._answers, self.log.read_text)

    def _answers(self):
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"{self.url}/healthz", trust_env=False).status_code == 200


@contextlib.contextmanager
def serving(settings, *options):
    """Serve the dashboard of a tracker until the block ends; it listens on this machine alone."""
    port, log = find_free_port(), settings.data / "dashboard.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
    environment |= {"CELERIAC_DATA": str(settings.data), "CELERIAC_JOBS": str(settings.jobs)}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "CELERIAC_BROKER_URL": f"redis+socket://{settings.data}/nobody.sock",
    }
    with (
        log.open("ab") as written,
        subprocess.Popen(
            [sys.executable, "-m", "cli.main", "dashboard", "--port", str(port), *options],
            env=environment, cwd=settings.data, stdout=written, stderr=written, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            served = HouseProcess(process, port, log)
            served.wait_until_it_answers()
            yield served
        finally:
            process.kill()
