"""What the container tests break: `docker compose up` on a clean copy of this tree."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PROJECT = "celeriac-acceptance"
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("CELERIAC_", "FLOWER_", "COMPOSE_"))
}

READ_TRACKER = """
import json, sys
from tracker import open_readonly
with open_readonly() as conn:
    print(json.dumps([list(row) for row in conn.execute(sys.argv[1])]))
"""

FOUND = "SELECT count(*) FROM work_items WHERE job_id = 'demo'"
UNFINISHED = "SELECT count(*) FROM work_items WHERE job_id = 'demo' AND status <> 'done'"
STAGES = "SELECT item_id, stage FROM item_stages WHERE job_id = 'demo'"
FINISHED_SINCE_RESET = """
SELECT item_id, stage, count(*) FROM events
 WHERE job_id = 'demo' AND kind = 'finish'
   AND event_id > coalesce((SELECT max(event_id) FROM events WHERE kind = 'reset_stage'), 0)
 GROUP BY item_id, stage
"""


def call(*command: str, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@dataclass(frozen=True, slots=True)
class Deployment:
    """The containers of one clean copy, with three workers."""

    folder: Path
    services: tuple[str, ...] = ("redis", "beat", "worker", "dashboard", "flower")

    def compose(self, *arguments: str) -> str:
        return call("docker", "compose", "-p", PROJECT, *arguments, cwd=self.folder).stdout

    def up(self) -> None:
        self.compose("up", "-d", "--scale", "worker=3")

    def ids(self, *services: str) -> list[str]:
        return self.compose("ps", "-aq", *services).split()

    def inspect(self, *ids: str, template: str = "{{json .}}") -> list[str]:
        return call("docker", "inspect", "--format", template, *ids).stdout.splitlines()

    def celeriac(self, *arguments: str) -> str:
        return self.compose("exec", "-T", "worker", "celeriac", *arguments)

    def read(self, sql: str) -> list[list]:
        """Ask the tracker, from beat's container, which the tests leave alone."""
        python = "/opt/celeriac/bin/python"
        return json.loads(self.compose("exec", "-T", "beat", python, "-c", READ_TRACKER, sql))

    def count(self, sql: str) -> int:
        return self.read(sql)[0][0]

    def secret(self, name: str) -> str:
        return self.compose("exec", "-T", "flower", "cat", f"/run/celeriac/{name}").strip()

    def flower(self, path: str, *, auth: bool = True) -> httpx2.Response:
        user, _, password = self.secret("flower").partition(":")
        url = f"http://{self.compose('port', 'flower', '5555').strip()}{path}"
        return httpx2.get(url, auth=(user, password) if auth else None, timeout=30, trust_env=False)

    def browser(self) -> httpx2.Client:
        """Open a browser on the dashboard, as it is published on this machine."""
        url = f"http://{self.compose('port', 'dashboard', '8765').strip()}"
        return httpx2.Client(
            base_url=url, timeout=30, trust_env=False, headers={"Sec-Fetch-Site": "same-origin"}
        )

    @contextmanager
    def logged_in(self) -> Iterator[httpx2.Client]:
        """Be logged in with what `secrets` made up."""
        name, _, password = self.secret("dashboard").partition(":")
        with self.browser() as browser:
            answer = browser.post("/login", data={"name": name, "password": password})
            assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
            yield browser

    def in_image(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        return call("docker", "run", "--rm", *given, "celeriac", "sh", "-euc", script, check=False)

    def reset_demo(self) -> None:
        self.celeriac("reset", "demo", "read", "--yes")

    def wait_until(self, holds, seconds: float = 240) -> None:
        until = time.monotonic() + seconds  # each look takes a good part of a second by itself
        while not holds():
            assert time.monotonic() < until, f"not within {seconds} seconds"

    def wait_until_all_are_healthy(self) -> None:
        ids = self.ids(*self.services)
        self.wait_until(lambda: set(self.inspect(*ids, template="{{.State.Health.Status}}")) == {"healthy"})

    def has_a_tracker(self) -> bool:
        asked = ("exec", "-T", "beat", "celeriac", "status")
        return call("docker", "compose", "-p", PROJECT, *asked, check=False, cwd=self.folder).returncode == 0

    def wait_until_the_demo_is_done(self) -> None:
        self.wait_until(lambda: self.count(FOUND) > 0)
        self.wait_until(lambda: self.count(UNFINISHED) == 0)

    def wait_for_the_middle(self) -> None:
        self.wait_until(lambda: len(self.read(FINISHED_SINCE_RESET)) > 100)
        assert self.count(UNFINISHED) > 0

    def assert_each_stage_finished_once(self) -> None:
        finished = self.read(FINISHED_SINCE_RESET)
        assert [row for row in finished if row[2] != 1] == []
        assert {(item, stage) for item, stage, _ in finished} == {tuple(row) for row in self.read(STAGES)}


@pytest.fixture(scope="session")
def deployment(tmp_path_factory):
    """Containers that start from a copy of what Git tracks or would track, without any `.env`."""
    folder = tmp_path_factory.mktemp("clone")
    folder.chmod(0o755)  # the containers' user reads jobs.yaml there
    files = call("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    present = [name for name in files.splitlines() if (ROOT / name).exists()]
    call("cp", "--parents", *present, str(folder), cwd=ROOT)
    deployment = Deployment(folder)
    try:
        deployment.compose("build", "--quiet")
        deployment.up()
        yield deployment
    finally:
        deployment.compose("down", "--volumes", "--timeout", "20")


@pytest.fixture
def demo(deployment):
    """The same, all up, with the demo done."""
    deployment.up()
    deployment.wait_until(deployment.has_a_tracker)
    deployment.wait_until_the_demo_is_done()
    return deployment
