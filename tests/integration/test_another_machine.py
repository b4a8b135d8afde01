"""
A second machine: workers that have the code, a way to the broker and to the dashboard, and a token; and nothing else.

Where a network namespace may be made they run in one, in which the house's folder is empty, and the cable is taken
down. Elsewhere what they send goes a way that swallows it. With REAL_PARTITION=1 (`make remote`) the leases are
the real ones, and the network is away for a minute.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elsewhere import FarHost, Relay, another_network

import tracker
from runner.access import make_token
from tests.chaos.promises import AT_REST, list_broken
from tests.ports import find_free_port
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import House

ITEMS = 40

JOBS = """
version: 1
jobs:
  far:
    discovery: {strategy: manual, items: [%s]}
    schedule: {every: 1d}
    stages:
      - {name: near, handler: python, params: {function: "steps:near"}}
      - {name: away, handler: python, params: {function: "steps:away"}, queue: far, remote: true, retries: 5}
      - {name: home, handler: python, params: {function: "steps:home"}}
"""

STEPS = """
import os, time

def near(context):
    return {"page": context.artifact("page.html", context.key.encode() * 50_000)}

def away(context):
    page = context.open_artifact(context.results["near"]["page"])
    text = page.read_text()
    assert text == context.key * 50_000, "not what was kept"
    with open(os.environ["RAN"], "a") as ran:
        ran.write(f"{context.key} {context.attempt}\\n")
    time.sleep(0.2)
    return {"upper": context.artifact("upper.html", text.upper().encode()), "attempt": context.attempt}

def home(context):
    text = context.open_artifact(context.results["away"]["upper"]).read_text()
    return {"right": text == context.key.upper() * 50_000}
"""

QUICK = """
import os

from runner import leases
from runner.far_dashboard import FarDashboard
from tracker import claims, dispatch, moves

claims.claim.__kwdefaults__["lease_seconds"] = 6.0
claims.renew_lease.__defaults__ = (6.0,)
leases.RENEW_EVERY_SECONDS = 2.0
moves.RESEND_AFTER_MS = dispatch.RESEND_AFTER_MS = 10_000
if "PATIENCE" in os.environ:
    patience, *others = FarDashboard.__init__.__defaults__
    FarDashboard.__init__.__defaults__ = (float(os.environ["PATIENCE"]), *others)
"""
"""Short leases, and patience as told: as `sitecustomize` it is imported first in every process."""

REAL = bool(os.environ.get("REAL_PARTITION"))


@pytest.fixture
def home(house: House) -> House:
    """A house whose remote stages nobody runs yet, with its dashboard."""
    house.write_module("steps", STEPS)
    if not REAL:
        house.write_module("sitecustomize", QUICK)
    house.write_jobs(JOBS % ", ".join(f"k{number:02}" for number in range(ITEMS)))
    return house


@pytest.fixture
def far(home: House) -> Iterator[FarHost]:
    """Another machine beside it, with a token, and the network between the two."""
    with tracker.open_db(home.db) as conn:
        _, token = make_token(conn, "far", "operator", "test", scopes={"remote"})
    folder = Path(tempfile.mkdtemp(prefix="far-"))
    with another_network(home.directory) as network:
        port = start_dashboard(home, network.host)
        broker = Relay(network.listen(), f"{home.socket_directory}/broker.sock")
        dashboard = Relay(network.listen(), port)
        network.relays += [broker, dashboard]
        for name in ("steps.py", "sitecustomize.py"):
            if (home.directory / name).exists():
                shutil.copy(home.directory / name, folder)
        yield FarHost(
            home,
            network,
            folder,
            CELERIAC_BROKER_URL=f"redis://{network.host}:{broker.port}/0",
            CELERIAC_DASHBOARD_URL=f"http://{network.host}:{dashboard.port}",
            CELERIAC_TOKEN=token,
            RAN=str(folder / "ran"),
        )
        home.close()
    shutil.rmtree(folder)


def start_dashboard(house: House, host_name: str) -> int:
    port = find_free_port()
    command = [sys.executable, "-m", "cli.main", "dashboard", "--port", str(port), "--host-name", host_name]
    with (house.directory / "dashboard.log").open("wb") as log:
        house.processes.append(
            subprocess.Popen(
                command,
                env=house.environment,
                cwd=house.directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        )
    return port


def begin(home: House) -> None:
    home.start_worker("near")
    home.start_beat()
    home.wait(lambda: count(home, "away", "done") >= 4)


def count(home: House, stage: str, status: str) -> int:
    return home.count(f"SELECT sum({status}) FROM stage_counts WHERE stage = '{stage}'")  # noqa: S608 - ours


def finish(home: House) -> None:
    """Wait for the end, stop all, and look at the file alone: nothing lost, nothing twice."""
    home.wait(lambda: count(home, "home", "done") == ITEMS)
    home.wait(lambda: home.count("SELECT sum(in_progress + queued) FROM stage_counts") == 0)
    for process in home.processes:
        if process.poll() is None:
            process.terminate()
    for process in home.processes:
        process.wait(PATIENCE_SECONDS)
    with tracker.open_readonly(home.db) as conn:
        assert list_broken(conn, AT_REST) == []
        results = [
            json.loads(row[0]) for row in conn.execute("SELECT result FROM results WHERE stage = 'home'")
        ]
    assert results == [{"right": True}] * ITEMS
    assert home.count("SELECT count(*) FROM events WHERE kind = 'finish' AND stage = 'away'") == ITEMS


def ran(far: FarHost) -> list[str]:
    return Path(far.environment["RAN"]).read_text().splitlines()


@pytest.mark.timeout(600)
def test_another_machine_runs_remote_stages_and_is_killed_and_nothing_is_lost_or_twice(
    home: House, far: FarHost
) -> None:
    killed = far.start_worker("first", "--concurrency", "2")
    begin(home)
    os.killpg(killed.pid, signal.SIGKILL)
    far.start_worker("second", "--concurrency", "2")
    finish(home)
    assert home.count("SELECT sum(attempt) FROM item_stages WHERE stage = 'away'") >= ITEMS
    assert not (Path(far.environment["CELERIAC_DATA"]) / "tracker.db").exists()


@pytest.mark.timeout(600)
def test_a_network_that_drops_everything_for_a_while_loses_nothing_and_repeats_nothing(
    home: House, far: FarHost
) -> None:
    far.start_worker("far", "--concurrency", "2")
    begin(home)
    far.network.cut()
    until = time.monotonic() + (60 if REAL else 15)
    # what ran there is given up when its lease has run out, and waits to be done again
    home.wait(lambda: home.count("SELECT count(*) FROM events WHERE kind = 'expire'") >= 1)
    time.sleep(max(0.0, until - time.monotonic()))  # for so long nothing comes through: that is what is tried
    assert count(home, "away", "done") < ITEMS
    far.network.mend()
    finish(home)
    assert len(ran(far)) > ITEMS  # some were done twice, and recorded once


@pytest.mark.timeout(600)
def test_a_worker_that_is_told_to_stop_does_not_go_on_asking_a_dashboard_that_is_gone(
    home: House, far: FarHost
) -> None:
    far.environment["PATIENCE"] = "3600"
    worker = far.start_worker("far", "--concurrency", "2")
    begin(home)
    dashboard = home.processes[0]
    dashboard.terminate()
    dashboard.wait(PATIENCE_SECONDS)
    home.wait(lambda: count(home, "away", "in_progress") == 2)  # they ask for what they need, in vain
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    home.wait(lambda: count(home, "away", "in_progress") == 0)  # and have said that they come again
