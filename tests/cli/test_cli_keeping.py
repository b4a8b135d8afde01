"""`celeriac backup`, `restore`, `compact`, `export` and `notices`, as a shell meets them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import tracker
from cli import exit_codes
from tests.waiting import PATIENCE_SECONDS
from tracker import notices
from tracker.chores import begin_chore, fail_chore
from tracker.connection import write
from tracker.notice_messages import note_unsent, take_message
from tracker.troubles import Trouble, TroubleKind


@pytest.fixture
def kept(tracked, shell_each):
    """Have a tracker that nobody has open, with one result of each stage."""
    tracked.close()
    return shell_each


def test_a_backup_is_verified_and_restored_elsewhere_and_here(kept, folder):
    made, verified, there, refused, here = kept(
        [
            "backup backups --keep 2",
            "restore backups --verify",
            "restore backups --to elsewhere",
            "restore backups",
            "restore backups --yes",
        ]
    )
    assert (made.code, made.out) == (exit_codes.OK, "")
    assert "3 items, 2 results" in made.err
    assert "checked" in made.err
    assert verified.code == exit_codes.OK
    assert "it is whole" in verified.err
    assert "claims taken back" in verified.out
    assert there.code == exit_codes.OK
    assert (folder / "elsewhere" / "tracker.db").exists()
    assert refused.code == exit_codes.UNUSABLE
    assert "is there already" in refused.err
    assert here.code == exit_codes.OK
    assert "before-restore" in here.err


def test_one_of_anything_in_a_backup_is_said_as_one(conn, call):
    tracker.upsert_items(conn, "notes", [{"key": "a.txt"}])
    assert ": 1 item, 0 results, " in call("backup", "one.db").err


def test_json_tells_of_a_backup_and_of_what_was_restored(kept, folder):
    made, verified, restored, compacted = kept(
        [
            "backup one.db --json",
            "restore one.db --verify --json",
            "restore one.db --to elsewhere --json",
            "compact --json",
        ]
    )
    assert json.loads(made.out)["path"] == "one.db"
    told = json.loads(verified.out)
    assert (told["items"], told["faults"]) == (3, [])
    assert {job["job"] for job in told["jobs"]} == {"notes"}
    assert json.loads(restored.out)["taken_back"] == {"claims": 0, "messages": 0, "discoveries": 0}
    assert json.loads(compacted.out)["rewritten"]


def test_what_is_wrong_with_a_backup_is_named_with_an_exit_code(kept, folder):
    (made,) = kept(["backup backups --json"])
    place = Path(json.loads(made.out)["path"])
    with contextlib.closing(sqlite3.connect(place / "tracker.db")) as conn, conn:
        conn.execute("UPDATE item_counts SET done = done + 1")
    verified, restored, missing = kept(
        [f"restore {place} --verify", f"restore {place} --to x", "restore no-such-backup --verify"]
    )
    assert verified.code == exit_codes.FAILED
    assert "fault: items of notes that are done: the counter says 2, there are 1" in verified.err
    assert restored.code == exit_codes.UNUSABLE
    assert missing.code == exit_codes.INVALID


@pytest.mark.parametrize("line", ["backup backups", "compact", "export notes", "notices"])
def test_a_tracker_that_is_not_there_is_not_made(call, folder, line):
    ended = call(*line.split())
    assert ended.code == exit_codes.UNUSABLE
    assert "there is no tracker at" in ended.err
    assert not (folder / "data").exists()


def test_restore_is_refused_while_somebody_has_the_tracker_open(tracked, shell, folder):
    assert shell("backup", "one.db").code == exit_codes.OK
    ended = shell("restore", "one.db", "--yes")
    assert ended.code == exit_codes.UNUSABLE
    assert "open in another process" in ended.err
    assert list((folder / "data").glob("*before-restore*")) == []


def test_compact_says_bytes_before_and_after(kept, folder):
    (done,) = kept(["compact"])
    assert done.code == exit_codes.OK
    assert " before, " in done.err
    assert " after" in done.err


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("backup", "data/tracker.db"),
        ("backup", "linked.db"),
        ("export notes -o", "data/tracker.db"),
        ("export notes --format sqlite -o", "linked.db"),
        ("export notes --follow -o", "data/tracker.db-wal"),
        ("export notes -o", "jobs.yaml"),
    ],
)
def test_nothing_is_written_over_what_the_house_lives_by(call, tracked, folder, command, name):
    (folder / "linked.db").symlink_to(folder / "data" / "tracker.db")
    own = [folder / "data" / "tracker.db", folder / "jobs.yaml"]
    before = [path.read_bytes() for path in own]
    refused = call(*command.split(), name)
    assert refused.code == exit_codes.UNUSABLE
    assert "write to another file" in refused.err
    assert [path.read_bytes() for path in own] == before


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("backup", "data/artifacts"),
        ("backup", "data/artifacts/monday.db"),
        ("backup", "linked/backups"),
        ("export notes -o", "data/artifacts/notes.jsonl"),
    ],
)
def test_nothing_is_written_among_the_artifacts(call, tracked, folder, command, name):
    (folder / "data" / "artifacts").mkdir()
    (folder / "linked").symlink_to(folder / "data" / "artifacts")
    refused = call(*command.split(), name)
    assert refused.code == exit_codes.UNUSABLE
    assert "which Celeriac keeps by itself" in refused.err
    assert list((folder / "data" / "artifacts").iterdir()) == []


@pytest.mark.parametrize(
    "line", [["backup", ""], ["restore", ""], ["export", "notes", "-o", ""], ["check", ""]]
)
def test_a_path_with_an_empty_name_is_refused_and_nothing_is_written(call, tracked, folder, line):
    before = sorted(folder.rglob("*"))
    ended = call(*line)
    assert ended.code == exit_codes.INVALID
    assert "its name is empty" in ended.err
    assert sorted(folder.rglob("*")) == before


def test_to_keep_so_many_backups_beside_one_file_is_a_mistake_of_the_command_line(call, tracked, folder):
    ended = call("backup", "one.db", "--keep", "2")
    assert ended.code == exit_codes.INVALID
    assert "--keep is for a folder of backups; one.db is the name of one file" in ended.err
    assert not (folder / "one.db").exists()


# -- export -----------------------------------------------------------------------------------------------


def test_an_export_goes_to_standard_output_or_to_a_file(call, tracked, folder):
    printed = call("export", "notes", "read_file")
    (line,) = map(json.loads, printed.out.splitlines())
    assert (line["key"], line["result"]["lines"]) == ("a.txt", 1)
    written = call("export", "notes", "--format", "csv", "-o", "x.csv", "--json")
    assert json.loads(written.out) == {"records": 2, "output": "x.csv", "left_out": []}
    assert (folder / "x.csv").read_text().startswith("key,stage,stored_at,version,attempt,data.path,")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("export notes --json", "name one with -o FILE"),
        ("export notes --format rss", "rss needs a STAGE"),
        ("export notes --format sqlite", "name one with -o FILE"),
        ("export notes --since never", "no time to look back to"),
        ("export notes --filter eror:x", "did you mean 'error'?"),
    ],
)
def test_what_cannot_be_exported_is_told_before_anything_is_written(call, tracked, line, words):
    ended = call(*line.split())
    assert ended.code == exit_codes.INVALID
    assert words in ended.err


@pytest.mark.parametrize(
    ("line", "words"), [("export nots", "did you mean 'notes'?"), ("export notes reed_file", "'read_file'?")]
)
def test_names_that_do_not_exist_are_named_with_the_nearest(call, tracked, line, words):
    ended = call(*line.split())
    assert ended.code == exit_codes.NOT_FOUND
    assert words in ended.err


def test_a_filter_narrows_an_export(call, tracked):
    assert len(call("export", "notes", "--filter", "key:a.txt").out.splitlines()) == 2
    assert call("export", "notes", "--filter", "key:a.txt stage:read_file").out.count("\n") == 1


def test_an_empty_filter_exports_nothing(call, tracked):
    ended = call("export", "notes", "--filter", "")
    assert (ended.code, ended.out) == (exit_codes.INVALID, "")
    assert "the filter is empty" in ended.err


def test_following_writes_what_is_there_at_once_and_ends_at_ctrl_c(tracked, folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "export", "notes", "read_file", "--follow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert json.loads(process.stdout.readline())["key"] == "a.txt"
        item_id = tracked.execute("SELECT item_id FROM work_items WHERE key = 'c.txt'").fetchone()[0]
        stages = ["read_file", "summarise_text"]
        tracker.mark_stage_in_progress(tracked, item_id, "read_file", stages)
        tracker.mark_stage_done(tracked, item_id, "read_file", stages, {"text": "late", "lines": 1})
        assert json.loads(process.stdout.readline())["key"] == "c.txt"
        process.send_signal(2)
        assert process.wait(PATIENCE_SECONDS) == exit_codes.INTERRUPTED
        assert "stopped after 2 results" in process.stderr.read()


def test_following_a_file_tells_of_it_as_json_at_its_end(call, tracked, folder):
    ended = call("export", "notes", "--follow", "--limit", "2", "-o", "x.jsonl", "--json")
    assert (ended.code, json.loads(ended.out)) == (
        exit_codes.OK,
        {"records": 2, "output": "x.jsonl", "left_out": []},
    )
    assert (folder / "x.jsonl").read_text().count("\n") == 2


def test_a_format_that_cannot_be_followed_is_a_wrong_command_line(call, tracked):
    ended = call("export", "notes", "--follow", "--format", "sqlite", "-o", "x.db")
    assert (ended.code, "--follow adds to jsonl or csv" in ended.err) == (exit_codes.INVALID, True)


# -- notices ----------------------------------------------------------------------------------------------


@pytest.fixture
def noticed(tracked):
    """Have a notice that could not be told, and a chore that failed."""
    notices.open_notice(
        tracked, Trouble(TroubleKind.SILENT, "notes", "feed", "its source is silent"), ["webhook 12ab"]
    )
    note_unsent(tracked, take_message(tracked), "https://chat.example.org/… answered 500")
    return tracked


def test_open_notices_and_what_could_not_be_sent_are_shown(call, noticed):
    ended = call("notices")
    assert ended.code == exit_codes.FAILED
    assert "its source is silent" in ended.out
    assert (
        "not told of notes silent feed by webhook 12ab: https://chat.example.org/… answered 500" in ended.err
    )
    told = json.loads(call("notices", "--json").out)
    assert told["notices"][0]["subject"] == "feed"
    assert told["unsent"][0]["attempts"] == 1
    with write(noticed):
        noticed.execute("UPDATE notices SET closed_at = 1")
        noticed.execute("UPDATE notice_messages SET due_at = NULL, sent_at = 1, error = NULL")
    assert call("notices").code == exit_codes.OK
    assert json.loads(call("notices", "--json").out)["notices"] == []
    assert len(json.loads(call("notices", "--all", "--json").out)["notices"]) == 1


def test_status_tells_of_notices_and_of_chores_that_failed(call, noticed, folder):
    text = (folder / "jobs.yaml").read_text()
    (folder / "jobs.yaml").write_text(text.replace("jobs:", "maintenance: {backup: {}}\njobs:", 1))
    fail_chore(noticed, begin_chore(noticed, "backup", 1), "no room left")
    ended = call("status")
    assert "open notices: 1" in ended.err
    assert "answered 500" in ended.err
    assert "the chore backup failed: no room left; again in " in ended.err
    told = json.loads(call("status", "--json").out)
    assert told["chores"][0]["error"] == "no room left"
    assert told["notices"][0]["trouble"] == "silent"
    assert told["unsent"][0]["channel"] == "webhook 12ab"


def test_channels_are_tried_out(shell, tracked, folder, httpserver):
    httpserver.expect_request("/chat").respond_with_data("ok")
    assert "has no `notify:`" in shell("notices", "--test").err
    text = (folder / "jobs.yaml").read_text()
    url = httpserver.url_for("/chat")
    (folder / "jobs.yaml").write_text(
        text.replace("jobs:", f"notify: {{to: [{url}, '${{NOT_SET}}']}}\njobs:", 1)
    )
    ended = shell("notices", "--test", "--json", CELERIAC_ALLOW_HOSTS="localhost,127.0.0.1")
    assert ended.code == exit_codes.FAILED
    taken, refused = json.loads(ended.out)
    assert (taken["channel"].split()[0], taken["error"]) == ("webhook", None)
    assert "'NOT_SET' is not set" in refused["error"]
    assert "a test" in httpserver.log[0][0].get_data(as_text=True)
