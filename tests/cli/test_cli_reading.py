from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict

import pytest

import tracker
from cli import exit_codes
from pipeline.jobs_file import load_jobs_file
from pipeline.lifecycle import Status
from pipeline.settings import load_settings
from runner.explain import explain_item, explain_job, find_job
from tracker import backlog, item_reports, reports
from tracker.attempt_logs import AttemptLog, put_log
from tracker.clock import now_ms
from tracker.discoveries import begin_discovery, fail_discovery
from tracker.host_waits import wait_for_host
from tracker.items import find_item
from tracker.notes import SWEPT_AT, set_note
from tracker.recovery import release_lost_worker, reset_items

REFUSED = "version: 1\njobs:\n  notes:\n    discovery: {strategy: nothing_like_it}\n    stages: [read_file]\n"


def find_notes():
    return find_job(load_jobs_file(load_settings().jobs), "notes")


def why_it_is_stuck(conn):
    return explain_job(conn, find_notes(), "notes").cause


READING = {
    "status": lambda conn: {
        "jobs": [reports.get_job_report(conn, "hand"), reports.get_job_report(conn, "notes")],
        "stuck": {"notes": why_it_is_stuck(conn)},
        "plans": [],
        "notices": [],
        "unsent": [],
        "chores": [],
        "jobs_file_refused": None,
    },
    "status notes": lambda conn: {
        "job": reports.get_job_report(conn, "notes"),
        "stages": reports.list_stage_reports(conn, "notes"),
        "progress": [],
        "stuck": {"notes": why_it_is_stuck(conn)},
        "plans": [],
        "jobs_file_refused": None,
    },
    "items notes": lambda conn: item_reports.list_item_reports(conn, "notes"),
    "items notes --status failed": lambda conn: item_reports.list_item_reports(conn, "notes", Status.FAILED),
    "items notes --limit 1": lambda conn: item_reports.list_item_reports(conn, "notes", limit=1),
    "show notes b.txt": lambda conn: item_reports.get_whole_item_report(conn, "notes", "b.txt"),
    "results notes": lambda conn: list(reports.stream_result_reports(conn, "notes", None, -1)),
    "results notes read_file": lambda conn: list(
        reports.stream_result_reports(conn, "notes", "read_file", -1)
    ),
    "events": lambda conn: reports.list_event_reports(conn, None)[::-1],
    "events notes --limit 2": lambda conn: reports.list_event_reports(conn, "notes", limit=2)[::-1],
    "health": lambda conn: backlog.read_health(conn, 180),
    "explain notes": lambda conn: explain_job(conn, find_notes(), "notes"),
    "explain notes b.txt": lambda conn: explain_item(conn, find_notes(), "notes", "b.txt"),
}


@pytest.mark.parametrize("line", READING)
def test_json_is_the_record(call, tracked, line):
    told = json.loads(call(*line.split(), "--json").out)
    # the records go through JSON too, which knows neither tuples nor dataclasses
    assert told == json.loads(json.dumps(READING[line](tracked), default=asdict))
    assert told


@pytest.mark.parametrize("line", READING)
def test_a_table_says_something_and_leaves_no_blanks_at_the_end_of_a_line(call, tracked, line):
    ended = call(*line.split())
    assert ended.out.strip()
    assert all(row == row.rstrip() for row in ended.out.splitlines())


def test_reading_changes_nothing(call, tracked, folder):
    before = tracked.execute("PRAGMA data_version").fetchone()[0]
    for line in READING:
        call(*line.split())
    assert tracked.execute("PRAGMA data_version").fetchone()[0] == before


@pytest.mark.parametrize(
    "line", ["status nots", "items nots", "show nots a.txt", "results nots", "events nots", "explain nots"]
)
def test_an_unknown_job_names_the_nearest(call, tracked, line):
    ended = call(*line.split())
    assert ended.code == exit_codes.NOT_FOUND
    assert "did you mean 'notes'?" in ended.err


def test_an_unknown_stage_names_the_nearest(call, tracked):
    ended = call("results", "notes", "read_fil")
    assert ended.code == exit_codes.NOT_FOUND
    assert "did you mean 'read_file'?" in ended.err


@pytest.mark.parametrize(
    ("key", "meant"), [("a.tx", "a.txt"), ("A.txt", "a.txt"), ("z.txt", "c.txt"), ("b", "b.txt")]
)
def test_an_unknown_key_names_the_nearest(call, tracked, key, meant):
    assert f"did you mean {meant!r}?" in call("explain", "notes", key).err
    ended = call("show", "notes", key)
    assert ended.code == exit_codes.NOT_FOUND
    assert f"did you mean {meant!r}?" in ended.err


@pytest.mark.parametrize(
    ("line", "lists"),
    [
        ("show zzz KEY", "no job 'zzz'; `celeriac status` lists them"),
        ("run zzz", "no job 'zzz'; `celeriac status` lists them"),
        ("results notes zzz", "no stage of job 'notes' named 'zzz'; `celeriac status notes` lists them"),
        ("show notes zzz", "no item in job 'notes' with key 'zzz'; `celeriac items notes` lists them"),
        (
            "rename-stage notes a zzz",
            "no stage of job 'notes' named 'zzz'; `celeriac status notes` lists them",
        ),
    ],
)
def test_what_is_like_nothing_there_is_answered_with_the_command_that_lists_it(call, tracked, line, lists):
    ended = call(*line.split())
    assert (ended.code, ended.err) == (exit_codes.NOT_FOUND, f"celeriac: {lists}\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pauses", "nothing is paused"),
        ("hosts", "no host was asked yet"),
        ("access", "there is no account\nthere is no token"),
        ("approve notes --list", "nothing of notes waits for approval"),
        ("artifacts list", "no file is kept"),
        ("artifacts list --unused", "no kept file is without use"),
        ("events hand", "no event yet"),
        ("failures hand", "nothing is failed of what is asked for"),
        ("items hand", "no such item"),
        ("items notes --filter age:>900d", "no such item"),
        ("items --filter attempt:>99", "no such stage"),
        ("results hand read_file", "no such result"),
    ],
)
def test_where_there_is_nothing_to_list_it_is_said(call, tracked, line, words):
    ended = call(*line.split())
    assert (ended.code, ended.out, ended.err) == (exit_codes.OK, "", f"{words}\n")


def test_a_key_like_no_other_names_none(call, tracked):
    assert "did you mean" not in call("show", "notes", "something else").err


def test_a_job_of_jobs_yaml_that_never_ran_has_nothing(call, tracked):
    assert "hand" in call("status", "hand").out
    assert json.loads(call("items", "hand", "--json").out) == []
    assert json.loads(call("results", "hand", "read_file", "--json").out) == []


@pytest.mark.parametrize(
    "line", ["status", "items notes", "show notes a.txt", "results notes", "events", "health"]
)
def test_a_tracker_that_is_not_there_is_not_made(call, folder, line):
    ended = call(*line.split())
    assert ended.code == exit_codes.UNUSABLE
    assert "there is no tracker at" in ended.err
    assert not (folder / "data").exists()


def test_a_jobs_yaml_that_is_refused_is_said_and_the_tracker_is_shown(call, tracked, folder):
    (folder / "jobs.yaml").write_text(REFUSED)
    ended = call("status")
    assert ended.code == exit_codes.OK
    assert "notes" in ended.out
    assert "jobs.yaml is refused" in ended.err
    assert "jobs.yaml:4: jobs.notes.discovery.strategy" in ended.err
    assert "nothing_like_it" in json.loads(call("status", "notes", "--json").out)["jobs_file_refused"]


def test_the_note_says_why_a_job_does_not_move(call, tracked):
    tracker.set_job_paused(
        tracked, "notes", paused=True, reason="site is down", until=now_ms() + 7_200_000, by="me"
    )
    fail_discovery(tracked, begin_discovery(tracked, "hand"), "source unavailable: gone", now_ms() + 60_000)
    ended = call("status")
    assert "paused by me: site is down until 20" in ended.out
    assert "source unavailable: gone; retry at 20" in ended.out


def test_a_look_that_met_a_paused_host_is_said_to_wait_for_it(call, tracked, conn):
    begun = begin_discovery(conn, "notes")
    wait_for_host(conn, begun, "example.org", "example.org is paused", now_ms() + 60_000)
    (row,) = call("status", "notes").out.splitlines()[1:2]
    assert ("waits for example.org since now" in row, "failed" in row) == (True, False)
    assert "waiting" in call("sources", "notes", "--history").out


def test_one_item_that_has_no_stages_yet_is_spoken_of_as_one(call, tracked):
    assert "1 more item has no stages yet: it begins when there is room" in call("status", "notes").out


def test_the_note_says_what_jobs_yaml_has_done_with_a_job(call, tracked, folder):
    text = (folder / "jobs.yaml").read_text()
    (folder / "jobs.yaml").write_text(text.replace("  notes:\n", "  notes:\n    enabled: false\n"))
    assert "switched off in jobs.yaml" in call("status").out
    (folder / "jobs.yaml").write_text(text.replace("  notes:\n", "  others:\n"))
    assert "not in jobs.yaml" in call("status").out


def test_show_has_the_traceback_of_a_failure(call, tracked):
    ended = call("show", "notes", "b.txt")
    assert "attempt 1 of read_file failed:" in ended.out
    assert "no such file as b.txt" in ended.out


def test_show_has_what_an_attempt_logged_and_says_when_that_is_lost(call, conn, tracked):
    item_id = tracker.items.find_item(conn, "notes", "b.txt")["item_id"]
    with tracker.write(conn):
        put_log(
            conn,
            item_id,
            "read_file",
            1,
            "notes",
            AttemptLog(1, 0, "12:00:00.000 INFO    [bold]begun[/bold]"),
        )
    ended = call("show", "notes", "b.txt")
    assert "attempt 1 of read_file logged:\n12:00:00.000 INFO    [bold]begun[/bold]" in ended.out
    reset_items(conn, "notes", [item_id], "again")
    number = tracker.mark_stage_in_progress(conn, item_id, "read_file", ["read_file"])
    release_lost_worker(conn, item_id, "read_file", number, "signal 9")
    assert f"attempt {number} of read_file: What it logged is lost" in call("show", "notes", "b.txt").out


def test_show_does_not_read_markup_in_what_it_shows(call, conn):
    tracker.upsert_items(conn, "notes", [{"key": "[bold]x[/bold]", "data": {"note": "[/red]"}}])
    ended = call("show", "notes", "[bold]x[/bold]")
    assert "[bold]x[/bold]" in ended.out
    assert "[/red]" in ended.out


def test_results_stream_as_json_lines(call, tracked):
    rows = [json.loads(line) for line in call("results", "notes", "--format", "jsonl").out.splitlines()]
    assert [(row["key"], row["stage"]) for row in rows] == [
        ("a.txt", "read_file"),
        ("a.txt", "summarise_text"),
    ]


def test_results_as_csv_have_a_column_for_each_field(call, tracked):
    ended = call("results", "notes", "summarise_text", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    assert rows == [{"key": "a.txt", "summary": "One", "keywords": '["one"]'}]


@pytest.fixture
def strange(tracked):
    """Let an item have a result with the fields of a stranger."""
    fields = {
        "key": "their own",
        "result.key": "another",
        '=HYPERLINK("x")': "@SUM(A1)",
        "n": -1,
        "list": ["=1"],
    }
    item_id, stages = find_item(tracked, "notes", "c.txt")["item_id"], ["read_file", "summarise_text"]
    tracker.mark_stage_in_progress(tracked, item_id, "read_file", stages)
    tracker.mark_stage_done(tracked, item_id, "read_file", stages, fields)


def test_csv_has_no_cell_that_a_spreadsheet_would_run(call, strange):
    printed = call("results", "notes", "read_file", "--format", "csv").out
    cells = [cell for row in csv.reader(io.StringIO(printed)) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "@"))] == []
    assert {'\'=HYPERLINK("x")', "'@SUM(A1)", "-1", '["=1"]'} <= set(cells)


def test_csv_keeps_a_results_own_key_beside_that_of_its_item(call, strange):
    printed = call("results", "notes", "read_file", "--format", "csv").out
    row = {row["key"]: row for row in csv.DictReader(io.StringIO(printed))}["c.txt"]
    assert (row["key"], row["result.key"], row["result.result.key"]) == ("c.txt", "their own", "another")


def test_csv_of_nothing_has_its_header(call, tracked):
    assert call("results", "hand", "read_file", "--format", "csv").out == "key\n"


def test_csv_of_all_stages_at_once_is_refused(call, tracked):
    assert call("results", "notes", "--format", "csv").code == exit_codes.INVALID
    assert call("results", "notes", "--format", "jsonl", "--json").code == exit_codes.INVALID


def test_results_are_limited_when_told(call, tracked):
    assert len(json.loads(call("results", "notes", "--limit", "1", "--json").out)) == 1
    assert len(call("results", "notes", "--limit", "1", "--format", "jsonl").out.splitlines()) == 1


def test_health_of_a_machine_with_remote_workers_is_whether_the_broker_answers(call, monkeypatch):
    monkeypatch.setenv("CELERIAC_BROKER_URL", "redis://127.0.0.1:9/0")
    ended = call("health", "--remote", "--json")
    assert ended.code == exit_codes.FAILED
    assert json.loads(ended.out) == {"healthy": False, "reason": "the broker does not answer"}


def test_health_is_an_exit_code(call, conn):
    ended = call("health")
    assert (ended.code, "no sweep" in ended.out) == (exit_codes.FAILED, True)
    set_note(conn, SWEPT_AT, str(now_ms()))
    assert call("health").code == exit_codes.OK
    set_note(conn, SWEPT_AT, str(now_ms() - 120_000))
    assert call("health", "--within", "60").code == exit_codes.FAILED
    assert json.loads(call("health", "--within", "600", "--json").out)["healthy"] is True
