"""`celeriac plan`, `celeriac apply` and `celeriac rename-stage`."""

from __future__ import annotations

import json
import signal

import pytest

import tracker
from cli import exit_codes
from tests.waiting import PATIENCE_SECONDS
from tracker.applying import find_change
from tracker.plan import find_plan, make_plan, open_items
from tracker.renaming import list_renames

STAGES = ["read_file", "summarise_text"]
MANY = 6000
JOBS = """
version: 1
apply_above: 2
jobs:
  notes:
    discovery: {{strategy: local_files, root: files}}
    stages: [{stages}]
"""


def write_jobs(folder, *stages):
    (folder / "jobs.yaml").write_text(JOBS.format(stages=", ".join(stages)))


def add_many(conn, count=MANY):
    """Have many items with their stages, the first of which is done."""
    tracker.upsert_items(conn, "notes", [{"key": f"{number}.txt"} for number in range(count)])
    ids = [row[0] for row in conn.execute("SELECT item_id FROM work_items")]
    with tracker.write(conn):
        open_items(conn, "notes", ids, make_plan(STAGES))
    conn.execute(
        "UPDATE item_stages SET status = 'done', ended_at = 1 WHERE stage = 'read_file' AND status = 'pending'"
    )
    conn.execute(
        "UPDATE item_stages SET needs_left = 0 WHERE stage = 'summarise_text' AND status = 'pending'"
    )


def slow_down(conn, event):
    """Have each row of what a command writes take long enough that it is killed in the middle on any machine."""
    conn.execute(f"CREATE TRIGGER slowly AFTER {event} BEGIN SELECT hex(randomblob(500000)); END")


def count_stages(conn, stage):
    return sum(tracker.stage_stats(conn, "notes").get(stage, {}).values())


def test_without_a_tracker_all_is_new_and_none_is_made(call, folder):
    ended = call("plan")
    assert "+ job is new, with the stages read_file, summarise_text" in ended.out
    assert ended.code == exit_codes.OK
    assert not (folder / "data").exists()


def test_a_plan_tells_what_would_change_and_changes_nothing(call, tracked, folder):
    write_jobs(folder, *STAGES, "{name: notify, handler: read_file, needs: []}")
    ended = call("plan", "notes")
    assert "+ notify is new: 2 items get it, 1 finished one is reopened" in ended.out
    assert "plan: 1 job to change, at most 2 items" in ended.out
    assert find_plan(tracked, "notes").names == tuple(STAGES)


def test_a_plan_is_json_too_and_exits_with_a_code_of_its_own_when_asked(call, tracked, folder):
    write_jobs(folder, "read_file")
    ended = call("plan", "--json", "--exit-code")
    (job,) = (one for one in json.loads(ended.out)["jobs"] if one["job"] == "notes")
    assert [(one["kind"], one["stage"], one["items"]) for one in job["changes"]] == [
        ("stage_removed", "summarise_text", 1)
    ]
    assert ended.code == exit_codes.CHANGES


def test_a_job_that_does_not_exist_is_named_with_the_nearest(call, tracked):
    ended = call("plan", "note")
    assert (ended.code, "did you mean 'notes'?" in ended.err) == (exit_codes.NOT_FOUND, True)


def test_apply_asks_first_and_no_terminal_means_no(shell_each, tracked, folder, no_broker):
    write_jobs(folder, *STAGES, "{name: notify, handler: read_file, needs: []}")
    asked, applied, nothing = shell_each(["apply notes", "apply notes --yes --json", "plan notes"])
    assert (asked.code, "nothing was applied" in asked.err) == (exit_codes.FAILED, True)
    assert applied.code == exit_codes.OK
    assert json.loads(applied.out) == [{"act": "apply", "job": "notes", "renamed": {}, "items": 2, "sent": 0}]
    assert "nothing to apply" in nothing.out
    assert tracker.get_stages_dict(tracked, "notes")["a.txt"]["notify"] == "pending"


def test_status_says_what_is_held_and_how_to_apply_it(call, tracked, folder):
    add_many(tracked, 5)
    write_jobs(folder, *STAGES, "{name: notify, handler: read_file, needs: []}")
    assert "jobs.yaml would reopen 8 items: celeriac plan, celeriac apply" in call("status").out
    assert json.loads(call("status", "notes", "--json").out)["plans"][0]["held"]


def test_a_likely_rename_is_not_applied_unasked(shell_each, tracked, folder, no_broker):
    write_jobs(folder, "read_file", "{name: digest, handler: summarise_text}")
    plan, refused, renamed, nothing = shell_each(
        [
            "plan notes",
            "apply notes --yes",
            "rename-stage notes summarise_text digest --json",
            "plan notes --exit-code",
        ]
    )
    assert "summarise_text is called digest now?" in plan.out
    assert refused.code == exit_codes.INVALID
    assert "celeriac rename-stage notes summarise_text digest; if not: --no-renames" in refused.err.replace(
        "\n", " "
    )
    assert json.loads(renamed.out)["items"] == 2
    assert nothing.code == exit_codes.OK
    assert tracker.get_result(tracked, "notes", "a.txt", "digest")["summary"] == "One"


def test_what_is_no_rename_is_removed_and_added(shell_each, tracked, folder, no_broker):
    write_jobs(folder, "read_file", "{name: digest, handler: summarise_text}")
    (applied,) = shell_each(["apply notes --yes --no-renames"])
    assert applied.code == exit_codes.OK
    assert tracker.get_stages_dict(tracked, "notes")["a.txt"] == {
        "read_file": "done",
        "digest": "pending",
        "summarise_text": "done",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            "rename-stage notes read_fil digest",
            exit_codes.NOT_FOUND,
            "no stage of job 'notes' named 'digest'",
        ),
        ("rename-stage notes read_fil summarise_text", exit_codes.NOT_FOUND, "did you mean 'read_file'"),
        ("rename-stage notes read_file summarise_text", exit_codes.UNUSABLE, "rename it there first"),
        ("rename-stage note read_file digest", exit_codes.NOT_FOUND, "did you mean 'notes'"),
    ],
)
def test_a_rename_that_cannot_be_says_why(shell_each, tracked, no_broker, arguments, code, says):
    (ended,) = shell_each([arguments])
    assert (ended.code, says in ended.err) == (code, True)


def test_an_apply_killed_in_the_middle_is_taken_up_by_the_next_one(
    start, eventually, shell, conn, folder, no_broker
):
    add_many(conn)
    write_jobs(folder, *STAGES, "{name: notify, handler: read_file, needs: []}")
    slow_down(conn, "INSERT ON item_stages")
    process = start("apply", "notes", "--yes")
    eventually(lambda: (change := find_change(conn, "notes")) and change.looked)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=PATIENCE_SECONDS)
    conn.execute("DROP TRIGGER slowly")
    assert 0 < count_stages(conn, "notify") < MANY
    assert "being applied:" in shell("plan", "notes").out
    assert shell("apply", "notes", "--yes").code == exit_codes.OK
    assert count_stages(conn, "notify") == MANY
    events = [
        event for event in tracker.get_events(conn, "notes", limit=MANY * 3) if event["kind"] == "apply_plan"
    ]
    assert [json.loads(event["detail"])["reopened"] for event in events] == [MANY]


def test_a_rename_killed_in_the_middle_leaves_one_name_for_what_moves_and_history_that_follows(
    start, eventually, shell, conn, folder, no_broker
):
    add_many(conn)
    with tracker.write(conn):
        conn.executemany(
            "INSERT INTO events (at, job_id, item_id, stage, kind) VALUES (1, 'notes', 1, 'summarise_text', 'claim')",
            [()] * MANY,
        )
    slow_down(conn, "UPDATE ON events")
    write_jobs(folder, "read_file", "{name: digest, handler: summarise_text}")
    process = start("rename-stage", "notes", "summarise_text", "digest")
    eventually(lambda: list_renames(conn))
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=PATIENCE_SECONDS)
    conn.execute("DROP TRIGGER slowly")
    assert list_renames(conn)
    assert (count_stages(conn, "summarise_text"), count_stages(conn, "digest")) == (0, MANY)
    left = "SELECT count(*) FROM events WHERE stage = 'summarise_text'"
    assert shell("rename-stage", "notes", "summarise_text", "digest").code == exit_codes.OK
    assert conn.execute(left).fetchone()[0] == 0
    assert list_renames(conn) == []
