from __future__ import annotations

import json

import pytest

import tracker
from cli import exit_codes
from tracker.clock import now_ms
from tracker.notes import SWEPT_AT, set_note
from tracker.workers import WorkerWord, note_beat, note_worker


@pytest.fixture
def alive(tracked):
    """Let a worker and beat live, beside a broker that nobody has started."""
    from runner.code_version import read_code_version

    now = now_ms()
    queues = ["celery", "tracker"]
    note_worker(
        tracked, WorkerWord("here", 7, "w1@here", [8], queues, read_code_version(), False, False, now, now)
    )
    note_beat(tracked)
    set_note(tracked, SWEPT_AT, str(now))
    return tracked


def test_an_error_has_an_exit_code_of_its_own(call, alive, no_broker):
    ended = call("doctor")
    assert ended.code == exit_codes.UNSOUND
    assert "error    broker" in ended.out
    assert "ok       integrity" in ended.out
    assert all(row == row.rstrip() for row in ended.out.splitlines())


def test_json_has_every_finding(call, alive, no_broker):
    told = json.loads(call("doctor", "--json").out)
    assert told["health"] == "error"
    assert {finding["check"] for finding in told["findings"]} >= {
        "sqlite", "file system", "tracker", "integrity", "foreign keys", "schema", "jobs.yaml", "extras", "broker",
        "clocks", "beat", "sweep", "workers", "code version", "due", "sent", "claims", "artifacts", "disk", "log",
        "counters", "permissions",
    }  # fmt: skip
    assert [one["check"] for one in told["findings"] if one["health"] != "ok"] == ["broker"]


def test_without_a_tracker_it_says_so_and_makes_none(call, folder, no_broker):
    ended = call("doctor")
    assert "there is none at" in ended.out
    assert not (folder / "data").exists()


def test_repair_says_what_it_mended(shell, alive, no_broker):
    alive.execute("UPDATE stage_counts SET pending = pending + 5 WHERE stage = 'read_file'")
    ended = shell("doctor", "--repair")
    assert ended.code == exit_codes.UNSOUND  # there is no broker still
    assert "mended: counters put right: 1" in ended.err
    assert "ok       counters" in ended.out
    kinds = [event["kind"] for event in tracker.get_events(alive, limit=5)]
    assert kinds[0] == "repair"


def test_sizes_are_said_as_everywhere_else(call, alive, monkeypatch):
    monkeypatch.setattr("runner.patient.ask_broker", lambda *_: house_checks_broker())
    shown = call("doctor").out
    assert "MiB" not in shown
    assert "GiB" not in shown
    assert "Redis 8 answers in 1 ms, 1.5 MB used" in shown


def test_one_of_anything_is_said_as_one(call, alive, monkeypatch):
    monkeypatch.setattr("runner.patient.ask_broker", lambda *_: house_checks_broker(celery=1))
    shown = call("doctor").out
    assert "1 lives, with 1 process\n" in shown
    assert "1 message waits" in shown


def test_strict_takes_warnings_for_errors(call, alive, monkeypatch, folder):
    from runner import house_checks

    monkeypatch.setattr("runner.patient.ask_broker", lambda *_: house_checks_broker())
    assert call("doctor").code == exit_codes.OK
    monkeypatch.setattr(house_checks, "DISK_SHORT_BYTES", 10**18)
    assert call("doctor").code == exit_codes.OK
    assert call("doctor", "--strict").code == exit_codes.UNSOUND


def house_checks_broker(**messages):
    from runner.broker_checks import BrokerReport

    return BrokerReport("Redis 8", 1_500_000, 0, "noeviction", 0, 1, messages)


def test_workers_are_listed_with_what_they_run(call, alive):
    from tracker.claims import claim

    item_id = alive.execute("SELECT item_id FROM work_items WHERE key = 'c.txt'").fetchone()[0]
    tracker.mark_stage_in_progress(alive, item_id, "read_file", ["read_file", "summarise_text"])
    alive.execute("UPDATE item_stages SET worker = 'here:8' WHERE item_id = ?", (item_id,))
    assert claim(alive, item_id, "read_file", 1, worker="here:8") is None
    shown = call("workers").out
    assert "w1@here" in shown
    assert "c.txt" in shown
    (told,) = json.loads(call("workers", "--json").out)
    assert [one["key"] for one in told["running"]] == ["c.txt"]


def test_a_worker_whose_clock_is_off_is_told_by_how_much(call, tracked):
    for pid, said_at in ((1, now_ms() + 60_000), (2, now_ms() - 60_000), (3, now_ms())):
        word = WorkerWord("here", pid, f"w{pid}@here", [], ["celery"], "", False, False, now_ms(), said_at)
        note_worker(tracked, word)
    ahead, behind, right = call("workers").out.splitlines()[1:]
    assert ahead.endswith(" ahead")
    assert "its clock is" in ahead
    assert behind.endswith(" behind")
    assert "clock" not in right


def test_without_workers_it_says_what_to_do(call, tracked):
    ended = call("workers")
    assert (ended.code, ended.out) == (exit_codes.OK, "")
    assert "celeriac up" in ended.err


def test_explain_says_the_cause_and_what_to_do(call, alive):
    ended = call("explain", "notes", "b.txt")
    assert ended.out.startswith("b.txt of notes, at read_file: failed: OSError: no such file as b.txt")
    assert "to do: `celeriac retry notes" in ended.out
    shown = call("explain", "notes").out
    assert "summarise_text" in shown
    assert all(row == row.rstrip() for row in shown.splitlines())


def test_explain_of_a_job_that_jobs_yaml_no_longer_has(call, alive, folder):
    text = (folder / "jobs.yaml").read_text()
    (folder / "jobs.yaml").write_text(text.replace("  notes:\n", "  others:\n"))
    assert "notes: its job is not in jobs.yaml" in call("explain", "notes").out


def test_explain_of_a_job_that_never_ran(call, conn):
    assert "hand: no item yet; looks for more only when asked" in call("explain", "hand").out


def test_the_note_of_status_has_the_cause_that_nothing_else_there_says(call, tracked):
    assert "no worker serves the queue celery" in call("status").out
