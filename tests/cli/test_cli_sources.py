from __future__ import annotations

import json
from dataclasses import asdict

import pytest

import tracker
from cli import exit_codes
from tracker.held import count_held
from tracker.runs import list_looks
from tracker.sources import SourceLook, list_sources, record_looks

CAPPED = """
version: 1
jobs:
  notes:
    discovery: {strategy: local_files, root: files}
    first_run_max: 1
    stages: [read_file, summarise_text]
"""


@pytest.fixture
def looked(conn, tracked):
    """Let three sources of `notes` have been looked at: one well, one away three times, one gone silent."""
    away = SourceLook("https://away.example/feed", requests=1, error="no answer")
    well = SourceLook("https://well.example/feed", requests=1, found=10, new=4)
    silent = SourceLook("https://silent.example/feed", requests=1)
    for _ in range(3):
        with tracker.write(conn):
            record_looks(conn, "notes", [away, well, silent])
    return conn


@pytest.fixture
def capped(folder, no_broker, shell):
    """Let `notes` have looked for the first time, with more than it lets in."""
    (folder / "jobs.yaml").write_text(CAPPED)
    return json.loads(shell("discover", "notes", "--json").out)


# -- sources ----------------------------------------------------------------------------------------------


def test_sources_are_shown_those_in_trouble_first(call, looked):
    ended = call("sources", "notes")
    rows = ended.out.splitlines()[1:]
    assert [row.split()[1].split(".")[0] for row in rows] == [
        "https://away",
        "https://silent",
        "https://well",
    ]
    assert rows[0].endswith("failed 3 times in a row: no answer")
    assert rows[1].endswith("empty 3 times in a row")
    assert rows[2].split()[-3:] == ["10", "10", "40%"]


def test_without_a_job_all_are_shown(call, looked):
    assert call("sources").out == call("sources", "notes").out


def test_sources_in_json_are_the_records_with_their_job(call, looked):
    told = json.loads(call("sources", "--json").out)
    assert told == [{"job": "notes", **asdict(one)} for one in list_sources(looked, "notes")]


def test_a_job_that_has_not_looked_yet_says_so(call, tracked):
    assert "no look at any source yet" in call("sources", "hand").err
    assert "has not looked for items yet" in call("sources", "hand", "--history").err


def test_the_history_tells_each_look_and_why_it_failed(shell, shell_each, folder, no_broker, conn):
    shell_each(["discover notes"])
    (folder / "files").rename(folder / "elsewhere")
    away, shown, told = shell_each(
        ["discover notes", "sources notes --history", "sources notes --history --json"]
    )
    assert away.code == exit_codes.SOURCE
    rows = shown.out.splitlines()[1:]
    assert ("unavailable" in rows[0], "cannot read the folder" in rows[0]) == (True, True)
    assert "found" in rows[1]
    assert json.loads(told.out) == [asdict(run) for run in list_looks(conn, "notes")]


def test_a_history_is_of_one_job(call, tracked):
    ended = call("sources", "--history")
    assert (ended.code, "--history is of one JOB" in ended.err) == (exit_codes.INVALID, True)


@pytest.mark.parametrize("arguments", [["nots"], ["nots", "--history"]])
def test_an_unknown_job_names_the_nearest(call, tracked, arguments):
    ended = call("sources", *arguments)
    assert (ended.code, "did you mean 'notes'?" in ended.err) == (exit_codes.NOT_FOUND, True)


# -- held items -------------------------------------------------------------------------------------------


def test_what_is_held_is_shown_in_the_status_with_what_to_do(call, capped):
    assert capped["held"] == 1
    assert "1 held: celeriac approve notes" in call("status").out


def test_nothing_is_said_of_what_is_not_held(call, tracked):
    assert "held" not in call("status").out


def test_held_items_are_let_in(capped, shell, conn):
    ended = shell("approve", "notes", "--json")
    assert json.loads(ended.out) == {"act": "approve", "job": "notes", "items": 1, "sent": 0}
    assert (count_held(conn, "notes"), tracker.get_job_stats(conn, "notes")["pending"]) == (0, 2)


def test_held_items_are_listed_with_what_was_found_of_them_and_stay_held(capped, call, conn):
    listed = call("approve", "notes", "--list")
    assert listed.code == 0
    assert "b.txt" in listed.out
    (told,) = json.loads(call("approve", "notes", "--list", "--json").out)
    assert told["key"] == "b.txt"
    assert told["data"]["path"].endswith("b.txt")
    assert count_held(conn, "notes") == 1


def test_held_items_are_made_known_without_running_them(capped, shell, conn):
    ended = shell("approve", "notes", "--skip")
    assert "held items of notes that were made known, and not run: 1" in ended.err
    assert "celeriac up" not in ended.err
    assert count_held(conn, "notes") == 0
    assert tracker.get_stages_dict(conn, "notes")["b.txt"] == {
        "read_file": "skipped",
        "summarise_text": "skipped",
    }


def test_only_so_many_are_let_in(folder, no_broker, shell_each, conn):
    (folder / "jobs.yaml").write_text(CAPPED)
    (folder / "files" / "c.txt").write_text("Seven.")
    shell_each(["discover notes", "approve notes --limit 1"])
    assert count_held(conn, "notes") == 1


def test_a_discovery_says_what_it_held(folder, no_broker, shell):
    (folder / "jobs.yaml").write_text(CAPPED)
    ended = shell("discover", "notes")
    assert "notes: 2 found, 1 new, 1 held\n1 wait for: celeriac approve notes\n" in ended.err
