"""The second machine, as `docker-compose.remote.yml` has it. Needs a Docker engine: `make containers`."""

from __future__ import annotations

import json

import pytest
from conftest import PROJECT, call

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

FAR = f"{PROJECT}-far"

JOB = """
  far:
    discovery: {strategy: manual, items: [a, b, c]}
    schedule: {every: 1d}
    stages:
      - {name: make, handler: shell, queue: remote, remote: true, params: {command: [head, -c, "3000000", /dev/zero]}}
      - {name: measure, handler: transform, params: {fields: {bytes: results.make.stdout_file.bytes}}}
"""

NETWORK = f"""
networks:
  default: {{external: true, name: {PROJECT}_default}}
"""
"""In the test both machines are containers of one engine, and a network between them stands for the real one."""


def compose(demo, *arguments):
    files = ("-f", "docker-compose.remote.yml", "-f", "network.yml")
    return call("docker", "compose", "-p", FAR, *files, *arguments, cwd=demo.folder).stdout


@pytest.fixture
def far(demo, monkeypatch):
    """Make the second machine of the demo's, with nothing but the three lines of its environment."""
    token = json.loads(
        demo.celeriac("access", "token", "far", "--role", "operator", "--may", "remote", "--json")
    )["token"]
    given = {
        "CELERIAC_BROKER_URL": f"redis://:{demo.secret('redis')}@redis:6379/0",
        "CELERIAC_DASHBOARD_URL": "http://dashboard:8765",
        "CELERIAC_TOKEN": token,
        "CELERIAC_ALLOW_HOSTS": "dashboard",
    }
    for name, text in given.items():
        monkeypatch.setitem(call.__globals__["ENVIRONMENT"], name, text)
    (demo.folder / "network.yml").write_text(NETWORK)
    compose(demo, "up", "-d", "--no-build")
    yield given
    compose(demo, "down", "--volumes", "--timeout", "20")


def test_a_second_machine_runs_remote_stages_and_sends_its_files_home(demo, far):
    jobs = demo.folder / "jobs.yaml"
    jobs.write_text(jobs.read_text() + "\n" + JOB)
    done = "SELECT count(*) FROM results WHERE stage = 'measure' AND result ->> '$.bytes' = 3000000"
    demo.wait_until(lambda: demo.count(done) == 3)
    (container,) = compose(demo, "ps", "-q", "remote").split()
    ran = demo.read("SELECT DISTINCT substr(worker, 1, 12) FROM item_stages WHERE stage = 'make'")
    assert ran == [[container[:12]]]
    assert "wrong" not in demo.celeriac("artifacts", "verify", "--json")

    (shown,) = (
        json.loads(line)
        for line in call("docker", "inspect", "--format", "{{json .}}", container).stdout.splitlines()
    )
    mounted = {mount["Name"] for mount in shown["Mounts"] if mount["Type"] == "volume"}
    assert mounted == {f"{FAR}_cache"}  # no volume of the first
    assert shown["HostConfig"]["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in shown["HostConfig"]["SecurityOpt"]
    said = json.dumps(shown) + compose(demo, "logs") + call("docker", "top", container).stdout
    for secret in (far["CELERIAC_TOKEN"], demo.secret("redis")):
        assert secret not in said

    def is_healthy():
        state = call("docker", "inspect", "--format", "{{.State.Health.Status}}", container).stdout
        return state.strip() == "healthy"

    demo.wait_until(is_healthy)
