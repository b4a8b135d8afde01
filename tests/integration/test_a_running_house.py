"""What happens around a house that runs: slots, edits of jobs.yaml, remote workers, names that people see."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from conftest import House

MANUAL = """
version: 1
jobs:
  small:
    discovery: {strategy: manual, items: [a, b, c]}
    schedule: {every: 30d}
    stages:
      - {name: one, handler: python, params: {function: "steps:one"}}
"""

STEPS = """
def one(context): return {"key": context.key, "data": dict(context.data)}
def two(context): return {"after": context.results["one"]["key"]}
"""

SECOND = '      - {name: two, handler: python, params: {function: "steps:two"}}\n'


def small_house(house: House, jobs: str = MANUAL) -> None:
    house.write_module("steps", STEPS)
    house.write_jobs(jobs)


def test_a_job_that_nobody_looked_at_yet_is_discovered_once_with_two_beats(house: House) -> None:
    small_house(house)
    house.start_worker()
    house.start_beat()
    house.start_beat()
    house.wait(lambda: house.settled() == 3)
    house.wait(lambda: house.count("SELECT value FROM meta WHERE name = 'swept_at'") > 0)
    assert house.count("SELECT count(*) FROM discovery_runs") == 1
    assert (
        house.count("SELECT count(*) FROM discovery_runs WHERE slot_at IS NOT NULL AND outcome = 'found'")
        == 1
    )


def test_a_stage_added_while_all_runs_reopens_finished_items_and_a_broken_edit_is_refused(
    house: House,
) -> None:
    small_house(house)
    house.start_worker()
    house.start_beat()
    house.wait(lambda: house.settled() == 3)
    house.write_jobs(MANUAL + "      - {name: two, handler: no_such_handler}\n")
    shown = house.celeriac("status")
    assert "no_such_handler" in shown.stderr
    house.write_jobs(MANUAL + SECOND)
    house.wait(lambda: house.settled() == 6)
    assert house.unfinished() == 0
    assert house.count("SELECT count(*) FROM events WHERE kind = 'reopen'") == 3


def test_a_queue_added_while_all_runs_is_served(house: House) -> None:
    small_house(house)
    house.start_worker()
    house.start_beat()
    house.wait(lambda: house.settled() == 3)
    house.write_jobs(MANUAL + SECOND.replace("}}\n", "}, queue: slow}\n"))
    house.wait(lambda: house.settled() == 6)


def test_a_remote_worker_runs_its_stages_without_the_file(house: House, tmp_path_factory) -> None:
    remote = SECOND.replace("}}\n", "}, queue: far, remote: true}\n")
    small_house(house, MANUAL + remote)
    house.start_worker("near")
    house.start_beat()
    house.wait(lambda: house.settled() == 3)
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # neither jobs.yaml nor tracker
    (elsewhere / "steps.py").write_text(STEPS)
    root = house.environment["PYTHONPATH"].split(os.pathsep)[0]
    home = house.environment
    house.environment = {
        **home,
        "CELERIAC_DATA": str(elsewhere / "data"),
        "CELERIAC_JOBS": str(elsewhere / "jobs.yaml"),
        "PYTHONPATH": os.pathsep.join([root, str(elsewhere)]),
    }
    house.start(
        "worker", "--hostname", "far@%h", "--queues", "far", "--concurrency", "1", "--loglevel", "INFO"
    )
    house.environment = home
    house.wait(lambda: house.settled() == 6)
    assert house.unfinished() == 0
    assert house.count("SELECT count(*) FROM results WHERE stage = 'two' AND result ->> '$.after' <> ''") == 3
    assert not (elsewhere / "data" / "tracker.db").exists()


def test_tasks_are_shown_as_job_and_stage_with_the_items_key(house: House) -> None:
    small_house(house)
    assert house.celeriac("discover", "small").returncode == 0
    with house.redis() as client:
        headers = [json.loads(message)["headers"] for message in client.lrange("celery", 0, -1)]
    assert {header["shadow"] for header in headers} == {"small.one"}
    assert {header["argsrepr"] for header in headers} == {"a", "b", "c"}


def test_discover_works_from_python_as_any_celery_user_expects(house: House) -> None:
    import subprocess
    import sys

    small_house(house)
    house.start_worker()
    code = 'from tasks import discover; discover.delay("small")'
    subprocess.run(
        [sys.executable, "-c", code],
        env=house.environment,
        cwd=house.directory,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    house.wait(lambda: house.settled() == 3)


GATED = """
version: 1
jobs:
  gated:
    discovery: {strategy: manual, items: [gate, a, b, c, d, e, f, g, h, i, j, k]}
    stages:
      - {name: one, handler: python, params: {function: "gates:pass_the_gate"}}
"""

GATE = """
import time
from pathlib import Path

def pass_the_gate(context):
    while context.key == "gate" and not Path("open").exists():
        time.sleep(0.01)
    return {}
"""


def test_a_long_stage_holds_up_nothing_but_its_process(house: House) -> None:
    house.write_module("gates", GATE)
    house.write_jobs(GATED)
    house.start_worker()
    assert house.celeriac("discover", "gated").returncode == 0
    house.wait(lambda: house.settled() == 11)
    assert house.count("SELECT count(*) FROM item_stages WHERE status = 'in_progress'") == 1
    (house.directory / "open").touch()
    house.wait(lambda: house.settled() == 12)


def test_nothing_waits_behind_a_long_stage_among_short_ones_not_yet_known_to_be_short(house: House) -> None:
    house.write_module("gates", GATE)
    keys = [*(f"before-{n}" for n in range(20)), "gate", *(f"after-{n}" for n in range(20))]
    house.write_jobs(GATED.replace("gate, a, b, c, d, e, f, g, h, i, j, k", ", ".join(keys)))
    house.start_worker()
    assert house.celeriac("discover", "gated").returncode == 0
    house.wait(lambda: house.settled() == 40)  # no beat runs that would send again what is stuck
    (house.directory / "open").touch()
    house.wait(lambda: house.settled() == 41)


def test_what_waits_behind_one_that_was_known_to_be_short_and_is_long_is_sent_again(house: House) -> None:
    house.write_module("gates", GATE)
    keys = [*(f"before-{n}" for n in range(150)), "gate", *(f"after-{n}" for n in range(30))]
    house.write_jobs(GATED.replace("gate, a, b, c, d, e, f, g, h, i, j, k", ", ".join(keys)))
    house.start_worker()
    house.start_beat()
    assert house.celeriac("discover", "gated").returncode == 0
    house.wait(lambda: house.settled() == 180)
    (house.directory / "open").touch()
    house.wait(lambda: house.settled() == 181)
    assert house.count("SELECT count(*) FROM results") == 181  # also what came twice is recorded once


def test_a_prefork_worker_has_the_prompt_pool(house: House) -> None:
    small_house(house)
    house.start_worker("named", "--pool", "prefork")
    shown = house.celery("inspect", "stats", "--json").stdout
    (stats,) = json.loads(shown).values()
    assert stats["pool"]["implementation"] == "tasks.pool:PromptPool"
