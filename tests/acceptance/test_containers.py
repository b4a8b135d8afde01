"""`docker compose up`, for real, on a clean copy of this tree. Needs a Docker engine: `make containers`."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

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

UNFINISHED = """
SELECT count(*) FROM work_items i
 WHERE job_id = 'demo' AND (opened_at IS NULL OR status <> 'done')
"""
FINISHED_SINCE_RESET = """
SELECT item_id, stage, count(*) FROM events
 WHERE job_id = 'demo' AND kind = 'finish'
   AND event_id > coalesce((SELECT max(event_id) FROM events WHERE kind = 'reset_stage'), 0)
 GROUP BY item_id, stage
"""
WORKERS_SINCE_RESET = "SELECT DISTINCT substr(worker, 1, 12) FROM item_stages WHERE job_id = 'demo'"
STAGES = "SELECT item_id, stage FROM item_stages WHERE job_id = 'demo'"


def call(*command: str, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@dataclass(frozen=True, slots=True)
class Deployment:
    """The containers of one clean copy."""

    folder: Path

    def compose(self, *arguments: str) -> str:
        return call("docker", "compose", "-p", PROJECT, *arguments, cwd=self.folder).stdout

    def up(self) -> None:
        self.compose("up", "-d", "--scale", "worker=3")

    def celeriac(self, *arguments: str) -> str:
        return self.compose("exec", "-T", "worker", "celeriac", *arguments)

    def read(self, sql: str) -> list[list]:
        python = "/opt/celeriac/bin/python"
        return json.loads(self.compose("exec", "-T", "beat", python, "-c", READ_TRACKER, sql))

    def count(self, sql: str) -> int:
        return self.read(sql)[0][0]

    def ids(self, service: str) -> list[str]:
        return self.compose("ps", "-aq", service).split()

    def flower(self, path: str, *, auth: bool = True) -> httpx2.Response:
        user, _, password = self.secret("flower").partition(":")
        url = f"http://{self.compose('port', 'flower', '5555').strip()}{path}"
        return httpx2.get(url, auth=(user, password) if auth else None, timeout=30)

    def secret(self, name: str) -> str:
        return self.compose("exec", "-T", "flower", "cat", f"/run/celeriac/{name}").strip()

    def reset_demo(self) -> None:
        self.celeriac("reset", "demo", "read", "--yes")

    def wait_until_the_demo_is_done(self) -> None:
        wait_until(lambda: self.count("SELECT count(*) FROM work_items WHERE job_id = 'demo'") > 0)
        wait_until(lambda: self.count(UNFINISHED) == 0)

    def wait_for_the_middle(self) -> None:
        """Wait until some hundred stages are done again; a thousand others are not."""
        wait_until(lambda: len(self.read(FINISHED_SINCE_RESET)) > 100)
        assert self.count(UNFINISHED) > 0

    def assert_each_stage_finished_once(self) -> None:
        finished = self.read(FINISHED_SINCE_RESET)
        assert [row for row in finished if row[2] != 1] == []
        assert {(item, stage) for item, stage, _ in finished} == {tuple(row) for row in self.read(STAGES)}


def wait_until(holds, seconds: float = 240) -> None:
    until = time.monotonic() + seconds  # each look takes a good part of a second by itself
    while not holds():
        assert time.monotonic() < until, f"not within {seconds} seconds"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """Three workers on a copy of what Git tracks or would track, without any `.env`."""
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
    deployment.up()
    deployment.wait_until_the_demo_is_done()
    return deployment


def test_every_worker_takes_part_in_the_demo(demo):
    demo.assert_each_stage_finished_once()
    assert {row[0] for row in demo.read(WORKERS_SINCE_RESET)} == {name[:12] for name in demo.ids("worker")}


def test_every_service_becomes_healthy(demo):
    for service in ("redis", "beat", "worker", "flower"):
        for name in demo.ids(service):
            healthy = ("docker", "inspect", "--format", "{{.State.Health.Status}}", name)
            wait_until(lambda asked=healthy: call(*asked).stdout.strip() == "healthy", 60)


def test_status_is_shown_inside_a_worker(demo):
    assert "demo" in demo.celeriac("status")


def test_flower_shows_three_workers_and_tasks_by_job_and_stage(demo):
    wait_until(lambda: len(demo.flower("/api/workers?refresh=1").json()) == 3, 60)
    demo.reset_demo()
    demo.wait_until_the_demo_is_done()

    def shown():
        return {task["name"]: task for task in demo.flower("/api/tasks?limit=20000").json().values()}

    wait_until(lambda: {"demo.read", "demo.outline", "demo.summarise"} <= shown().keys(), 30)
    assert shown()["demo.outline"]["args"].strip("'\"").endswith(".py")


def test_flower_refuses_whoever_has_no_password(demo):
    assert demo.flower("/api/workers", auth=False).status_code == 401
    assert demo.flower("/", auth=False).status_code == 401


def test_only_flower_is_published_and_only_to_this_machine(demo):
    services = [json.loads(line) for line in demo.compose("ps", "--format", "json").splitlines()]
    published = {
        (service["Service"], port["URL"], port["PublishedPort"])
        for service in services
        for port in service["Publishers"] or ()
        if port["PublishedPort"]
    }
    assert published == {("flower", "127.0.0.1", 5555)}


@pytest.mark.parametrize("service", ["worker", "redis"])
def test_a_service_killed_in_the_middle_loses_nothing_and_repeats_nothing(demo, service):
    demo.reset_demo()
    demo.wait_for_the_middle()
    demo.compose("kill", service)
    demo.up()
    demo.wait_until_the_demo_is_done()
    demo.assert_each_stage_finished_once()


def test_stopped_workers_end_what_they_run(demo):
    demo.reset_demo()
    demo.wait_for_the_middle()
    demo.compose("stop", "worker")
    assert demo.count("SELECT count(*) FROM item_stages WHERE status = 'in_progress'") == 0
    demo.up()
    demo.wait_until_the_demo_is_done()
    demo.assert_each_stage_finished_once()


def test_jobs_yaml_is_followed_when_an_editor_replaces_it(demo):
    new = demo.folder / "jobs.yaml.new"
    added = "  licence:\n    discovery: {strategy: local_files, root: /jobs, include: [LICENSE]}\n"
    added += '    schedule: "@hourly"\n    stages: [read_file]\n'
    new.write_text((demo.folder / "jobs.yaml").read_text() + "\n" + added)
    new.replace(demo.folder / "jobs.yaml")
    done = "SELECT count(*) FROM work_items WHERE job_id = 'licence' AND status = 'done'"
    wait_until(lambda: demo.count(done) == 1, 60)


def test_docker_shows_no_password(demo):
    everything = [
        name for service in ("redis", "beat", "worker", "flower", "secrets") for name in demo.ids(service)
    ]
    shown = call("docker", "inspect", *everything).stdout + demo.compose("top") + demo.compose("logs")
    for name in ("redis", "flower"):
        secret = demo.secret(name).removeprefix("celeriac:")
        assert len(secret) == 48
        assert secret not in shown


def in_image(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
    return call("docker", "run", "--rm", *given, "celeriac", "sh", "-euc", script, check=False)


def test_the_image_does_not_run_as_root(deployment):
    assert in_image("id -u").stdout.strip() == "10001"


def test_passwords_given_in_the_environment_go_before_made_up_ones(deployment):
    given = {"CELERIAC_REDIS_PASSWORD": "a.b-c_d~e", "FLOWER_BASIC_AUTH": "me:p@ss, 'w:ord"}
    shown = in_image("make-passwords; cd /run/celeriac; cat redis flower; stat -c %a redis flower", **given)
    assert shown.stdout.splitlines() == [*given.values(), "600", "600"]


def test_passwords_once_made_up_stay_and_are_not_the_same(deployment):
    shown = in_image("cd /run/celeriac; make-passwords; cat redis flower; make-passwords; cat redis flower")
    redis, flower, *again = shown.stdout.splitlines()
    assert again == [redis, flower]
    assert flower != f"celeriac:{redis}"


@pytest.mark.parametrize(
    ("name", "value"),
    [("CELERIAC_REDIS_PASSWORD", "p@ss"), ("FLOWER_BASIC_AUTH", "me"), ("FLOWER_BASIC_AUTH", "me:")],
)
def test_a_password_that_cannot_be_used_is_refused_by_its_name_alone(deployment, name, value):
    refused = in_image("make-passwords", **{name: value})
    assert refused.returncode == 2
    assert name in refused.stderr
    assert "p@ss" not in refused.stderr
