"""What an edit makes stale, while all runs: a prompt its own stage, a line of code its handler's, a comment nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

from pipeline.jobs_file import LOOK_SECONDS

if TYPE_CHECKING:
    from conftest import House

JOBS = """
version: 1
jobs:
  small:
    discovery: {{strategy: manual, items: [a, b, c]}}
    schedule: {{every: 1h}}
    stages:
      - {{name: read, handler: python, params: {{function: "reading:read"}}}}
      - {{name: ask, handler: python, params: {{function: "asking:ask", arguments: {{prompt: {prompt}}}}}}}
      - {{name: keep, handler: python, params: {{function: "reading:keep"}}}}
"""

READING = """
from words import say

def read(context):
    return {"text": say(context.key)}

def keep(context):
    return {"answer": context.results["ask"]["answer"]}
"""

ASKING = """
def ask(context, prompt):
    return {"answer": f"{prompt}: {context.key}"}
"""

WORDS = "def say(key):\n    return f'a text about {key}'\n"


def read_stale(house: House) -> dict[str, dict[str, int]]:
    """Count results by stage and state, as `celeriac stale` tells them."""
    told = json.loads(house.celeriac("stale", "small", "--json").stdout)
    counted: dict[str, dict[str, int]] = {}
    for one in told:
        of_stage = counted.setdefault(one["stage"], {})
        of_stage[one["state"]] = of_stage.get(one["state"], 0) + one["results"]
    return counted


def test_an_edited_prompt_makes_just_its_stages_results_stale_and_a_comment_makes_none(house: House) -> None:
    house.write_module("reading", READING)
    house.write_module("asking", ASKING)
    house.write_module("words", WORDS)
    house.write_jobs(JOBS.format(prompt="summarise"))
    worker = house.start_worker("first")
    house.start_beat()
    house.wait(lambda: house.settled() == 9)
    assert read_stale(house) == {stage: {"current": 3} for stage in ("read", "ask", "keep")}

    house.write_jobs(JOBS.format(prompt="criticise"))
    edited = {"read": {"current": 3}, "ask": {"current": 0, "stale": 3}, "keep": {"current": 3}}
    assert read_stale(house) == edited
    house.wait(
        lambda: time.time() - house.jobs.stat().st_mtime > LOOK_SECONDS
    )  # now all who use it look again
    assert [house.celeriac("enqueue", "small", key).returncode for key in "de"] == [0, 0]
    house.wait(lambda: house.settled() == 15)
    assert house.count("SELECT count(*) FROM results WHERE result LIKE '%criticise%' AND stage = 'ask'") == 2
    since = {"read": {"current": 5}, "ask": {"current": 2, "stale": 3}, "keep": {"current": 5}}
    assert read_stale(house) == since

    explained = READING.replace(":\n", ':\n    """Why."""\n\n')
    house.write_module("reading", f"# a comment\n{explained}")
    house.write_module("words", f"# how it is said\n{WORDS}")
    assert read_stale(house) == since
    os.killpg(worker.pid, signal.SIGKILL)
    house.start_worker("second")
    assert house.celeriac("enqueue", "small", "f").returncode == 0
    house.wait(lambda: house.settled() == 18)
    commented = {"read": {"current": 6}, "ask": {"current": 3, "stale": 3}, "keep": {"current": 6}}
    assert read_stale(house) == commented

    house.write_module("words", WORDS.replace("a text", "a word"))
    helped = {
        "read": {"current": 0, "stale": 6},
        "ask": {"current": 3, "stale": 3},
        "keep": {"current": 0, "stale": 6},
    }
    assert read_stale(house) == helped
    assert "stale: 15 of 18 results" in house.celeriac("stale", "small").stdout
