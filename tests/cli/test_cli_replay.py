"""`celeriac replay`."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

import tracker
from cli import exit_codes
from tests.waiting import PATIENCE_SECONDS

KITCHEN = """
import os
from pathlib import Path
from pipeline.outcomes import GiveUp, RetryLater, Skip

def read(context):
    return {"text": Path("recipe.txt").read_text()}

def count(context):
    text = context.results["read"]["text"]
    if text == "raise":
        raise KeyError("ladle")
    if text == "never":
        return GiveUp("burnt")
    context.remember("taste", "salty")
    return {"chars": len(text), "how": Path("how.txt").read_text(), "taste": context.recall("taste")}

def serve(context):
    return {"served": context.results["count"]["how"]}
"""
JOBS = """
version: 1
jobs:
  soup:
    discovery: {strategy: manual, items: [leek, pea]}
    stages:
      - {name: read, handler: python, params: {function: "kitchen:read"}}
      - {name: count, handler: python, params: {function: "kitchen:count"}, retries: 0}
      - {name: serve, handler: python, params: {function: "kitchen:serve"}}
"""


STAGES = ["read", "count", "serve"]
RESULTS = {
    "read": {"text": "leeks"},
    "count": {"chars": 5, "how": "hot", "taste": "salty"},
    "serve": {"served": "hot"},
}


@pytest.fixture
def soup(folder, conn):
    """Let `soup` be done for two items; the folder."""
    (folder / "jobs.yaml").write_text(JOBS)
    (folder / "kitchen.py").write_text(KITCHEN)
    (folder / "recipe.txt").write_text("leeks")
    (folder / "how.txt").write_text("hot")
    tracker.upsert_items(conn, "soup", [{"key": "leek"}, {"key": "pea"}])
    for item_id, _ in conn.execute("SELECT item_id, key FROM work_items").fetchall():
        for stage in STAGES:
            tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
            tracker.mark_stage_done(conn, item_id, stage, STAGES, RESULTS[stage], handler_version="v1")
    return folder


def read_digest(folder):
    """Read the tracker's file, all of whose pages are in it once nobody has it open."""
    return hashlib.sha256((folder / "data" / "tracker.db").read_bytes()).hexdigest()


def results_of(shell, stage):
    return {one["key"]: one["result"] for one in json.loads(shell("results", "soup", stage, "--json").out)}


def test_a_sandbox_shows_what_would_change_and_leaves_the_tracker_as_it_is_to_the_byte(soup, shell, conn):
    conn.close()
    (soup / "how.txt").write_text("cold")
    before = read_digest(soup)
    ended = shell("replay", "soup", "leek", "count", "--sandbox")
    assert ended.code == exit_codes.OK
    assert [line.split() for line in ended.out.splitlines()][1:2] == [["how", "hot", "cold", "words"]]
    assert "the result changes, from version v1 to" in ended.err
    assert "nothing was recorded" in ended.err
    assert read_digest(soup) == before


def test_a_sandbox_runs_on_the_results_that_are_stored(soup, shell):
    (soup / "recipe.txt").write_text("many more leeks")
    told = json.loads(shell("replay", "soup", "leek", "count", "--sandbox", "--json").out)
    assert told["ran"]["result"] == {"chars": 5, "how": "hot", "taste": "salty"}
    assert (told["diff"], told["before"]["result"]) == ([], told["ran"]["result"])


def test_without_a_sandbox_the_result_is_replaced_and_what_needs_it_is_done_again(soup, shell):
    (soup / "how.txt").write_text("cold")
    ended = shell("replay", "soup", "leek", "count")
    assert ended.code == exit_codes.OK
    assert ["how", "hot", "cold", "words"] in [line.split() for line in ended.out.splitlines()]
    assert "count is done; beside it: read done, serve done" in ended.err
    assert results_of(shell, "serve") == {"leek": {"served": "cold"}, "pea": {"served": "hot"}}
    kinds = [event["kind"] for event in json.loads(shell("events", "soup", "--json").out)]
    assert "reset_stage" in kinds


def test_a_replay_that_fails_says_so_and_keeps_the_old_result(soup, shell, conn):
    tracker.store_result(conn, "soup", "leek", "read", {"text": "never"})
    ended = shell("replay", "soup", "leek", "count", "--json")
    assert ended.code == exit_codes.FAILED
    told = json.loads(ended.out)
    assert {stage["stage"]: stage["status"] for stage in told["stages"]} == {
        "read": "done",
        "count": "failed",
        "serve": "pending",
    }
    assert (told["after"], told["diff"]) == (told["before"], [])


def test_what_is_not_there_is_named_and_nothing_is_reset(soup, shell_each, conn):
    conn.close()
    before = read_digest(soup)
    ended = shell_each(
        [
            "replay sup leek count",
            "replay soup leak count",
            "replay soup leek cuont --sandbox",
            "replay soup nothing count --sandbox",
        ]
    )
    assert {one.code for one in ended} == {exit_codes.NOT_FOUND}
    assert "did you mean 'soup'?" in ended[0].err
    assert "did you mean 'leek'?" in ended[1].err
    assert read_digest(soup) == before


def test_a_stage_whose_needs_are_not_done_is_not_run(soup, shell_each):
    reset, aside, for_good = shell_each(
        ["reset soup read leek", "replay soup leek count --sandbox", "replay soup leek count"]
    )
    assert (reset.code, aside.code, for_good.code) == (0, exit_codes.NOT_FOUND, exit_codes.NOT_FOUND)
    assert "a stage that 'count' needs, named 'read'" in aside.err


def test_pdb_stops_where_it_raises_and_records_nothing(soup, conn):
    tracker.store_result(conn, "soup", "leek", "read", {"text": "raise"})
    conn.close()
    before = read_digest(soup)
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "replay", "soup", "leek", "count", "--pdb"],
        input="p 'text is ' + text\nq\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert "'text is raise'" in done.stdout
    assert 'raise KeyError("ladle")' in done.stderr
    assert done.returncode == exit_codes.FAILED
    assert read_digest(soup) == before
