"""What people are told of a house that runs: who claimed what, which queue nobody serves, what was lost."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from conftest import House

GATED = """
version: 1
jobs:
  gated:
    discovery: {strategy: manual, items: [gate, a]}
    stages:
      - {name: one, handler: python, params: {function: "gates:pass_the_gate"}}
      - {name: two, handler: python, params: {function: "gates:pass_the_gate"}, queue: slow}
"""

GATE = """
import time
from pathlib import Path

def pass_the_gate(context):
    context.progress(1, 4, "at the gate")
    while context.key == "gate" and not Path("open").exists():
        time.sleep(0.01)
    return {}
"""


def cause(house: House, *arguments: str) -> dict[str, str]:
    told = json.loads(house.celeriac("explain", "gated", *arguments, "--json").stdout)["cause"]
    return dict(told)


def test_a_house_is_explained_while_it_runs(house: House) -> None:
    house.write_module("gates", GATE)
    house.write_jobs(GATED)
    worker = house.start_worker("w3", "--queues", "celery,tracker")
    house.start_beat()
    assert house.celeriac("discover", "gated").returncode == 0
    house.wait(lambda: house.count("SELECT count(*) FROM progress") == 1)
    told = cause(house, "gate")
    assert told["cause"] == "claimed"
    assert told["words"].startswith("claimed by w3@")
    assert told["words"].endswith("1 of 4 done (at the gate)")

    house.wait(lambda: house.settled() == 1)
    told = cause(house, "a")
    assert (told["cause"], told["do"]) == ("no_worker", "`celeriac worker --queues slow`")
    listed = json.loads(house.celeriac("workers", "--json").stdout)
    assert [(one["queues"], [run["key"] for run in one["running"]]) for one in listed] == [
        (["celery", "tracker"], ["gate"])
    ]
    assert len(listed[0]["processes"]) == 2

    house.start_worker("slow", "--queues", "slow")
    house.wait(lambda: house.settled() == 2)
    assert cause(house, "a")["cause"] == "done"
    (house.directory / "open").touch()
    house.wait(lambda: house.settled() == 4)
    assert cause(house)["cause"] == "no_schedule"

    house.wait(lambda: house.count("SELECT count(*) FROM meta WHERE name = 'swept_at'") == 1)
    found = json.loads(house.celeriac("doctor", "--json").stdout)
    assert [one for one in found["findings"] if one["health"] != "ok"] == []
    assert {one["check"] for one in found["findings"]} >= {"broker", "beat", "workers", "code version"}

    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=PATIENCE_SECONDS)
    house.wait(lambda: house.count("SELECT count(*) FROM workers") == 1)


def test_what_a_flushed_broker_lost_is_found_and_sent_again(house: House) -> None:
    house.write_module("gates", GATE)
    house.write_jobs(GATED.replace(", queue: slow", ""))
    (house.directory / "open").touch()
    assert house.celeriac("discover", "gated").returncode == 0
    with house.redis() as client:
        assert client.llen("celery") == 2
        client.flushall()
    found = json.loads(house.celeriac("doctor", "--json").stdout)
    sent = next(one for one in found["findings"] if one["check"] == "sent")
    assert sent["health"] == "warning"
    assert "the broker holds none" in sent["words"]
    house.wait(
        lambda: (
            json.loads(house.celeriac("doctor", "--repair", "--json").stdout)["mended"]
            == {"lost": 2, "sent": 2}
        )
    )
    with house.redis() as client:
        assert client.llen("celery") == 2
    house.start_worker()
    house.wait(lambda: house.settled() == 4)


def test_a_remote_worker_is_on_the_list(house: House, tmp_path_factory) -> None:
    house.write_module("gates", GATE)
    house.write_jobs(GATED.replace("queue: slow", "queue: slow, remote: true"))
    house.start_worker("near")
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # neither jobs.yaml nor tracker
    home = house.environment
    house.environment = home | {
        "CELERIAC_DATA": str(elsewhere / "data"),
        "CELERIAC_JOBS": str(elsewhere / "jobs.yaml"),
        "PYTHONPATH": home["PYTHONPATH"].split(os.pathsep)[0],
    }
    far = house.start(
        "worker", "--hostname", "far@%h", "--queues", "slow", "--concurrency", "1", "--loglevel", "INFO"
    )
    house.environment = home
    house.wait(
        lambda: house.count("SELECT count(*) FROM workers WHERE remote AND queues = '[\"slow\"]'") == 1
    )
    assert not (elsewhere / "data").exists()
    far.send_signal(signal.SIGTERM)
    house.wait(lambda: house.count("SELECT count(*) FROM workers WHERE remote") == 0)
