"""`celeriac reprocess` and `celeriac diff`."""

from __future__ import annotations

import json

import pytest

import tracker
from cli import exit_codes
from tracker.clock import now_ms
from tracker.workers import WorkerWord, note_worker

KITCHEN = """
def read(context):
    context.cost(0.01, "gas")
    if context.key == "burnt":
        raise KeyError("ladle")
    return {"text": "a hot soup of " + context.key, "chars": len(context.key), "with": ["salt", "pepper"]}

def serve(context):
    return {"served": context.results["read"]["chars"]}
"""
JOBS = """
version: 1
jobs:
  soup:
    discovery: {strategy: manual, items: [leek, pea]}
    stages:
      - {name: read, handler: python, params: {function: "kitchen:read"}, retries: 0}
      - {name: serve, handler: python, params: {function: "kitchen:serve"}}
"""
STAGES = ["read", "serve"]
OLD = {"text": "a cold soup of {key}", "chars": 4, "with": ["pepper", "salt", "oil"]}


@pytest.fixture
def soup(folder, conn):
    """Let `soup` be done for two items by an older version; the folder."""
    (folder / "jobs.yaml").write_text(JOBS)
    (folder / "kitchen.py").write_text(KITCHEN)
    add(conn, "leek", "pea")
    return folder


def add(conn, *keys):
    tracker.upsert_items(conn, "soup", [{"key": key} for key in keys])
    for key in keys:
        (item_id,) = conn.execute("SELECT item_id FROM work_items WHERE key = ?", (key,)).fetchone()
        for stage, result in zip(
            STAGES, (OLD | {"text": OLD["text"].format(key=key)}, {"served": 4}), strict=True
        ):
            tracker.mark_stage_in_progress(conn, item_id, stage, STAGES)
            tracker.mark_stage_done(conn, item_id, stage, STAGES, result, handler_version="v1")


def read_statuses(shell):
    return {one["key"]: one["stages"] for one in json.loads(shell("items", "soup", "--json").out)}


def test_without_an_answer_there_is_a_quote_and_nothing_is_done(soup, shell):
    ended = shell("reprocess", "soup", "--stale")
    assert ended.code == exit_codes.FAILED
    assert [line.split()[:2] for line in ended.out.splitlines()] == [
        ["stage", "runs"],
        ["read", "2"],
        ["serve", "2"],
    ]
    assert "2 items; at most $0.00" in ended.err
    assert "nothing was done (--yes goes on without asking)" in ended.err
    assert read_statuses(shell) == {key: {"read": "done", "serve": "done"} for key in ("leek", "pea")}


def test_who_reprocesses_is_told_of_workers_that_started_before_a_handler_or_what_it_imports_was_edited(
    soup, shell, conn
):
    now = now_ms()
    (soup / "kitchen.py").write_text(f"import ladle\n{KITCHEN}")
    (soup / "ladle.py").write_text("size = 2\n")
    note_worker(conn, WorkerWord("here", 7, "w1@here", [8], ["celery"], "1", False, False, now - 60_000, now))
    for line in (["reprocess", "soup", "--stale", "--yes"], ["stale", "soup"], ["stale", "--json"]):
        told = [one for one in shell(*line).err.splitlines() if one.startswith("note: ")]
        assert [one.split()[1] for one in told] == ["kitchen.py", "ladle.py"]
        assert "w1@here started before" in told[0]
    note_worker(conn, WorkerWord("here", 7, "w1@here", [8], ["celery"], "1", False, False, now + 60_000, now))
    assert "note: " not in shell("stale", "soup").err


@pytest.mark.parametrize(("answer", "status"), [("y\n", "pending"), ("n\n", "done")])
def test_it_is_done_when_you_say_so(soup, shell, answer, status):
    assert shell("reprocess", "soup", "--stage", "read", given=answer).code == (0 if answer == "y\n" else 1)
    assert {one["read"] for one in read_statuses(shell).values()} == {status}


def test_yes_makes_results_again_and_what_comes_out_the_same_is_spared(soup, shell):
    ended = shell("reprocess", "soup", "--yes")
    assert (ended.code, "results of soup that are made again: 2" in ended.err) == (exit_codes.OK, True)
    assert shell("run", "soup").code == exit_codes.OK
    events = json.loads(shell("events", "soup", "--limit", "100", "--json").out)
    claimed = {
        (one["key"], one["stage"]) for one in events if one["kind"] == "claim" and one["by"] != "by hand"
    }
    assert claimed == {("leek", "read"), ("pea", "read"), ("leek", "serve"), ("pea", "serve")}
    found = {one["key"]: one["result"] for one in json.loads(shell("results", "soup", "serve", "--json").out)}
    assert found == {"leek": {"served": 4}, "pea": {"served": 3}}


def test_a_canary_shows_old_and_new_side_by_side_and_then_counts(soup, shell, conn):
    ended = shell("reprocess", "soup", "--canary", "1", "--yes")
    assert ended.code == exit_codes.OK
    rows = [line.split("  ") for line in ended.out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["text", "a [-cold-] soup of leek", "a {+hot+} soup of leek", "words"] in cells
    assert ["with[1]", "pepper", "moved from with[0]"] in cells
    assert ["with[2]", "oil", "removed"] in cells
    assert "canary of 1: other results for 100% of read" in ended.err
    assert "of the canary, 1 item counts" in ended.err
    found = {one["key"]: one for one in json.loads(shell("results", "soup", "read", "--json").out)}
    assert (found["leek"]["result"]["text"], found["leek"]["attempt"]) == ("a hot soup of leek", 2)
    assert found["pea"]["attempt"] == 1
    assert conn.execute("SELECT usd, stage FROM costs").fetchall() == [(0.01, "read")]


def test_a_canary_that_fails_stops_what_yes_would_have_done(soup, shell, conn):
    conn.execute("UPDATE work_items SET key = 'burnt' WHERE key = 'leek'")
    ended = shell("reprocess", "soup", "--canary", "2", "--yes")
    assert ended.code == exit_codes.FAILED
    assert "the canary failed for burnt" in ended.err
    assert {one["read"] for one in read_statuses(shell).values()} == {"done"}


def test_json_has_the_quote_and_does_nothing_without_yes(soup, shell):
    told = json.loads(shell("reprocess", "soup", "--stale", "--canary", "1", "--json").out)
    assert (told["quote"]["items"], told["acted"]) == (2, None)
    (item,) = told["canary"]
    assert (item["key"], [stage["stage"] for stage in item["stages"]]) == ("leek", ["read", "serve"])
    assert {one["path"]: one["kind"] for one in item["stages"][0]["diff"]} == {
        "text": "changed",
        "with[1]": "moved",
        "with[2]": "removed",
    }
    told = json.loads(shell("reprocess", "soup", "--filter", "key:pea", "--yes", "--json").out)
    assert told["acted"]["items"] == 1


def test_what_was_marked_is_undone(soup, shell):
    shell("reprocess", "soup", "--stale", "--yes")
    assert read_statuses(shell)["pea"] == {"read": "pending", "serve": "done"}
    assert shell("undo", "--yes").code == exit_codes.OK
    assert read_statuses(shell)["pea"] == {"read": "done", "serve": "done"}


def test_nothing_to_do_is_no_failure(soup, shell, conn):
    conn.execute("DELETE FROM results")
    ended = shell("reprocess", "soup", "--stale")
    assert (ended.code, ended.out) == (exit_codes.OK, "")
    assert "nothing of soup is to be made again" in ended.err


def test_what_is_not_there_is_named_with_its_nearest(soup, shell_each):
    lines = ["reprocess sup", "reprocess soup --stage raed", "reprocess soup --filter kee:pea",
             "diff soup paa read", "diff soup pea raed", "diff soup pea read", "diff soup pea read 9"]  # fmt: skip
    ended = shell_each(lines)
    meant = ["'soup'", "'read'", "'key'", "'pea'", "'read'", "no older result of 'read'", "(there are: 1)"]
    assert [word in one.err for word, one in zip(meant, ended, strict=True)] == [True] * len(lines)
    assert [one.code for one in ended if one.code != exit_codes.NOT_FOUND] == [ended[2].code]


def test_diff_compares_the_last_two_or_two_attempts(soup, shell, conn):
    for n in range(3):
        tracker.reset_stage(conn, "soup", "serve", ["pea"])
        (item_id,) = conn.execute("SELECT item_id FROM work_items WHERE key = 'pea'").fetchone()
        tracker.mark_stage_in_progress(conn, item_id, "serve", STAGES)
        tracker.mark_stage_done(conn, item_id, "serve", STAGES, {"served": n}, handler_version=f"v{n + 2}")
    ended = shell("diff", "soup", "pea", "serve")
    assert ended.out.splitlines()[1].split() == ["served", "1", "2", "+1", "(+100", "%)"]
    assert "old: attempt 3, version v3" in ended.err
    told = json.loads(shell("diff", "soup", "pea", "serve", "1", "2", "--json").out)
    assert [(one["path"], one["delta"], one["percent"]) for one in told["diff"]] == [("served", -4, -100.0)]
    assert "no difference" in shell("diff", "soup", "pea", "serve", "4", "4").err
    listed = json.loads(shell("results", "soup", "serve", "--history", "--json").out)
    assert [(one["key"], one["attempt"]) for one in listed] == [("pea", 1), ("pea", 2), ("pea", 3)]
    shown = json.loads(shell("show", "soup", "pea", "--json").out)["history"]
    assert [one["attempt"] for one in shown] == [3, 2, 1]
