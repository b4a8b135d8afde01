from __future__ import annotations

import getpass
import json

import pytest

import tracker
from cli import exit_codes
from tracker.actions import list_actions

pytestmark = pytest.mark.usefixtures("no_broker")
ME = getpass.getuser()


@pytest.fixture
def failed(tracked):
    """Let `notes` have three items whose first stage failed, and one that is done."""
    tracker.upsert_items(tracked, "notes", [{"key": key} for key in ("d.txt", "e.txt")])
    for key in ("d.txt", "e.txt"):
        item_id = find_id(tracked, key)
        tracker.mark_stage_in_progress(tracked, item_id, "read_file", STAGES)
        tracker.mark_stage_failed(tracked, item_id, "read_file", STAGES, TimeoutError("too slow"))
    return tracked


STAGES = ["read_file", "summarise_text"]


def find_id(conn, key):
    return conn.execute("SELECT item_id FROM work_items WHERE key = ?", (key,)).fetchone()[0]


def read_statuses(conn, stage="read_file"):
    rows = conn.execute(
        "SELECT i.key, s.status FROM item_stages s JOIN work_items i USING (item_id) WHERE s.stage = ? ORDER BY 1",
        (stage,),
    )
    return dict(rows.fetchall())


def events_of(conn, kind):
    rows = tracker.get_events(conn, "notes", limit=1000)
    return [row for row in rows if row["kind"] == kind]


def test_what_touches_more_than_one_asks_first_and_without_an_answer_does_nothing(shell, failed):
    before = read_statuses(failed)
    ended = shell("retry", "notes")
    assert ended.code == exit_codes.FAILED
    assert "Retry 3 failed stages of notes?" in ended.err
    assert "nothing was changed" in ended.err
    assert read_statuses(failed) == before
    assert list_actions(failed) == []


def test_failures_are_retried_by_a_filter_as_one_event_with_who_and_how_many(shell, failed):
    ended = shell("retry", "notes", "--filter", "error:Timeout", "--yes", "--json")
    acted = json.loads(ended.out)
    assert (acted["items"], acted["total"], acted["counts"], acted["by"]) == (2, 2, "stages", ME)
    assert [read_statuses(failed)[f"{name}.txt"] for name in "abde"] == [
        "done",
        "failed",
        "pending",
        "pending",
    ]
    (event,) = events_of(failed, "retry_stages")
    detail = json.loads(event["detail"])
    assert (event["by"], detail["stages"], detail["action"]) == (ME, 2, acted["action"])
    assert "error:Timeout" in detail["filter"]
    assert len(events_of(failed, "retry_failed")) == 2


def test_failures_of_one_group_are_retried(shell, failed):
    (group,) = failed.execute("SELECT name FROM failure_groups WHERE error_type = 'OSError'").fetchone()
    other = shell("retry", "hand", "--group", group)
    assert other.code == exit_codes.NOT_FOUND
    assert "it is one of 'notes'" in other.err
    assert shell("retry", "--group", group).code == exit_codes.OK
    assert read_statuses(failed)["b.txt"] == "pending"
    assert read_statuses(failed)["d.txt"] == "failed"


@pytest.mark.parametrize("arguments", [("retry", "notes"), ("retry",), ("skip",)])
def test_all_says_how_many_and_needs_yes(shell, failed, arguments):
    before = read_statuses(failed)
    refused = shell(*arguments, "--all", given="y\n")
    assert refused.code == exit_codes.FAILED
    assert f"--all would {arguments[0]} 3 " in refused.err
    assert "needs --yes" in refused.err
    assert read_statuses(failed) == before
    done = shell(*arguments, "--all", "--yes")
    assert (done.code, f"{arguments[0]} 3 " in done.err) == (exit_codes.OK, True)
    assert "failed" not in read_statuses(failed).values()


def test_the_second_of_two_sees_what_the_first_did(shell, failed):
    assert shell("retry", "notes", "--yes").code == exit_codes.OK
    ended = shell("retry", "notes", "--yes")
    assert ended.code == exit_codes.OK
    assert "there is no failed stage of notes to retry" in ended.err
    assert f"{ME} did so" in ended.err
    assert "with 3 failed stages" in ended.err


def test_a_failed_stage_is_skipped_with_a_reason_and_its_item_goes_on(shell, failed):
    ended = shell("skip", "notes", "--key", "b.txt", "--reason", "no such file")
    assert "1 stage of notes is skipped" in ended.err
    assert read_statuses(failed)["b.txt"] == "skipped"
    assert read_statuses(failed, "summarise_text")["b.txt"] == "pending"
    sql = "SELECT reason FROM item_stages WHERE stage = 'read_file' AND status = 'skipped'"
    assert failed.execute(sql).fetchall() == [(f"no such file (skipped by {ME})",)]


def test_a_stage_that_waits_is_skipped_when_it_is_named(shell, failed):
    shell("skip", "notes", "--key", "c.txt")
    assert "c.txt" not in read_statuses(failed)
    assert shell("skip", "notes", "--key", "c.txt", "--stage", "read_file").code == exit_codes.OK
    assert read_statuses(failed)["c.txt"] == "skipped"
    assert read_statuses(failed, "summarise_text")["c.txt"] == "pending"


def test_items_are_reset_by_a_filter(shell, failed):
    assert shell("reset", "notes", "summarise_text", "--filter", "status:done").code == exit_codes.OK
    assert read_statuses(failed, "summarise_text")["a.txt"] == "pending"
    (event,) = events_of(failed, "reset_stage")
    assert (event["by"], event["stage"], json.loads(event["detail"])["items"]) == (ME, "summarise_text", 1)


def test_an_ended_item_is_reopened_whole_and_one_under_way_is_left(shell, failed):
    ended = shell("reopen", "notes", "a.txt", "c.txt")
    assert "1 item of notes is reopened" in ended.err
    assert read_statuses(failed)["a.txt"] == read_statuses(failed, "summarise_text")["a.txt"] == "pending"
    assert [event["kind"] for event in events_of(failed, "reset")] == ["reset", "reset"]


def test_what_waits_is_cancelled_at_once_and_by_whom_is_on_record(shell, failed):
    ended = shell("cancel", "notes", "c.txt", "--yes")
    assert "2 stages of notes are cancelled" in ended.err
    assert read_statuses(failed)["c.txt"] == read_statuses(failed, "summarise_text")["c.txt"] == "skipped"
    sql = "SELECT DISTINCT reason FROM item_stages WHERE status = 'skipped'"
    assert failed.execute(sql).fetchall() == [(f"cancelled by {ME}",)]


def test_priorities_are_set_by_a_filter(shell, failed):
    assert shell("priority", "notes", "5", "--filter", "status:failed", "--yes").code == exit_codes.OK
    rows = failed.execute("SELECT key FROM work_items WHERE priority = 5 ORDER BY key").fetchall()
    assert rows == [("b.txt",), ("d.txt",), ("e.txt",)]


def test_what_waits_for_a_later_time_is_woken(shell, conn):
    tracker.upsert_items(conn, "notes", [{"key": "a.txt"}, {"key": "b.txt"}])
    for key in ("a.txt", "b.txt"):
        tracker.mark_stage_in_progress(conn, find_id(conn, key), "read_file", STAGES)
        tracker.mark_stage_retry_later(conn, find_id(conn, key), "read_file", STAGES, delay=9999)
    assert "1 waiting stage of notes is tried now" in shell("wake", "notes", "a.txt").err
    rows = conn.execute("SELECT i.key FROM item_stages JOIN work_items i USING (item_id) WHERE retry_at > 0")
    assert rows.fetchall() == [("b.txt",)]


def test_one_stage_that_is_put_back_is_one(shell, failed):
    shell("retry", "notes", "--key", "b.txt")
    assert "1 stage put back" in shell("undo").err


def test_the_last_action_is_put_back_and_an_undo_is_not(shell, failed):
    before = read_statuses(failed)
    shell("retry", "notes", "--yes")
    ended = shell("undo", "--yes")
    assert (ended.code, "3 stages put back" in ended.err) == (exit_codes.OK, True)
    assert before.items() <= read_statuses(failed).items()
    refused = shell("undo", "--yes")
    assert refused.code == exit_codes.FAILED
    assert "is itself an undo" in refused.err
    assert "was undone already" in shell("undo", "1", "--yes").err


def test_an_undo_says_how_many_had_moved_on(shell, failed):
    shell("retry", "notes", "--yes")
    tracker.mark_stage_in_progress(failed, find_id(failed, "b.txt"), "read_file", STAGES)
    ended = shell("undo", "--yes", "--json")
    assert {"items": 2, "passed": 1, "total": 3}.items() <= json.loads(ended.out).items()
    assert read_statuses(failed)["b.txt"] == "in_progress"


@pytest.mark.parametrize(
    ("moved_on", "said"),
    [
        (["b.txt"], "2 stages put back; 1 had moved on and stays as it is"),
        (["b.txt", "d.txt"], "1 stage put back; 2 had moved on and stay as they are"),
    ],
    ids=len,
)
def test_an_undo_says_in_words_what_stays(shell, failed, moved_on, said):
    shell("retry", "notes", "--yes")
    for key in moved_on:
        tracker.mark_stage_in_progress(failed, find_id(failed, key), "read_file", STAGES)
    assert said in shell("undo", "--yes").err


@pytest.mark.parametrize(
    ("moved_on", "said"),
    [
        ([], "undone by 2"),
        (["b.txt"], "undone by 2, which put back 2 of 3"),
        (["b.txt", "d.txt", "e.txt"], "undone by 2, which put back none"),
    ],
    ids=len,
)
def test_the_list_says_how_much_an_undo_put_back(shell, failed, moved_on, said):
    shell("retry", "notes", "--yes")
    for key in moved_on:
        tracker.mark_stage_in_progress(failed, find_id(failed, key), "read_file", STAGES)
    shell("undo", "--yes")
    retried = shell("undo", "--list").out.splitlines()[-1]
    assert retried.endswith(said)


def test_the_last_actions_are_listed(shell, failed):
    shell("retry", "notes", "--yes")
    listed = json.loads(shell("undo", "--list", "--json").out)
    assert [(one["act"], one["done"], one["by"]) for one in listed] == [("retry", 3, ME)]
    assert "3 of 3" in shell("undo", "--list").out


REFUSED = {
    "retry": (exit_codes.INVALID, "name a JOB"),
    "retry nots --yes": (exit_codes.NOT_FOUND, "did you mean 'notes'?"),
    "retry notes --filter stauts:failed": (exit_codes.INVALID, "status"),
    "retry --filter job:nots --yes": (exit_codes.NOT_FOUND, "did you mean 'notes'?"),
    "retry notes --filter stage:read_fil --yes": (exit_codes.NOT_FOUND, "did you mean 'read_file'?"),
    "retry notes --group 00000000": (exit_codes.NOT_FOUND, "no group of failures"),
    "retry --key b.txt": (exit_codes.INVALID, "name a JOB"),
    "retry notes --key b.txt --filter status:failed": (exit_codes.INVALID, "both say which"),
    "skip notes --key b.tx": (exit_codes.NOT_FOUND, "did you mean 'b.txt'?"),
    "skip notes --stage read_fil": (exit_codes.NOT_FOUND, "did you mean 'read_file'?"),
    "reopen notes b.tx": (exit_codes.NOT_FOUND, "did you mean 'b.txt'?"),
    "cancel notes": (exit_codes.INVALID, "KEYS, or --filter"),
    "cancel notes b.txt --stage read_fil": (exit_codes.NOT_FOUND, "did you mean 'read_file'?"),
    "wake notes b.tx": (exit_codes.NOT_FOUND, "did you mean 'b.txt'?"),
    "priority notes 5": (exit_codes.INVALID, "either one KEY or --filter"),
    "priority notes b.txt high": (exit_codes.INVALID, "no whole number"),
    "undo": (exit_codes.FAILED, "nothing was done yet"),
    "undo 7": (exit_codes.NOT_FOUND, "no action '7'"),
}


def test_to_list_what_could_be_undone_makes_no_tracker(shell, folder):
    ended = shell("undo", "--list")
    assert (ended.code, "there is no tracker" in ended.err) == (exit_codes.UNUSABLE, True)
    assert not (folder / "data").exists()


def test_what_cannot_be_done_is_refused_with_the_reason_and_changes_nothing(shell_each, failed):
    before = tracker.get_events(failed, "notes", limit=100)
    for line, ended in zip(REFUSED, shell_each(list(REFUSED)), strict=True):
        code, said = REFUSED[line]
        assert (ended.code, said in ended.err) == (code, True), (line, ended)
    assert tracker.get_events(failed, "notes", limit=100) == before
    assert list_actions(failed) == []
