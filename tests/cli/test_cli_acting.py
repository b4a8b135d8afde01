from __future__ import annotations

import getpass
import json
import subprocess
import sys

import pytest

import tracker
from cli import exit_codes
from tracker.clock import now_ms
from tracker.jobs import get_retry_info
from tracker.workers import WorkerWord, note_worker

pytestmark = pytest.mark.usefixtures("no_broker")


def find_item(conn, key, job="notes"):
    return conn.execute("SELECT * FROM work_items WHERE job_id = ? AND key = ?", (job, key)).fetchone()


def get_statuses(conn, key):
    item = find_item(conn, key)
    rows = conn.execute(
        "SELECT stage, status FROM item_stages WHERE item_id = ? ORDER BY position", (item["item_id"],)
    )
    return dict(rows.fetchall())


def test_an_item_is_enqueued_once(shell, conn):
    ended = shell("enqueue", "hand", "x", "--data", '{"path": "x.txt"}', "--priority", "7", "--json")
    assert json.loads(ended.out) == {"act": "enqueue", "job": "hand", "items": 1, "sent": 0}
    item = find_item(conn, "x", "hand")
    assert (json.loads(item["data"]), item["priority"]) == ({"path": "x.txt"}, 7)
    again = shell("enqueue", "hand", "x", "--data", "{}")
    assert (again.code, "known in hand already" in again.err) == (exit_codes.OK, True)
    assert json.loads(find_item(conn, "x", "hand")["data"]) == {"path": "x.txt"}


def test_without_a_broker_the_items_wait_in_the_tracker_and_it_says_so(shell, conn):
    ended = shell("enqueue", "hand", "x")
    assert ended.code == exit_codes.OK
    assert "x is new in hand" in ended.err
    assert "celeriac up" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("is_seen", [True, False])
def test_only_where_no_worker_is_seen_one_is_told_to_start_some(shell, tracked, is_seen):
    now = now_ms()
    if is_seen:
        word = WorkerWord("here", 7, "w1@here", [8], ["celery"], "1+ab", False, False, now, now)
        note_worker(tracked, word)
    for act in (
        ("enqueue", "hand", "x"),
        ("reprocess", "notes", "--stage", "summarise_text", "--yes"),
        ("reset", "notes", "read_file", "--all", "--yes"),
    ):
        ended = shell(*act)
        assert ended.code == exit_codes.OK, ended.err
        assert ("celeriac up" not in ended.err) is is_seen, (act, ended.err)


def test_an_item_starts_in_the_middle(shell, conn):
    ended = shell(
        "enqueue", "notes", "x", "--at", "summarise_text", "--data", '{"text": "Hi."}', "--priority", "3"
    )
    assert ended.code == exit_codes.OK
    assert get_statuses(conn, "x") == {"read_file": "done", "summarise_text": "pending"}
    assert find_item(conn, "x")["priority"] == 3
    assert "use reset" in shell("enqueue", "notes", "x", "--at", "summarise_text").err


def test_lines_are_enqueued_and_bad_ones_left_out_by_name(shell, conn):
    lines = [
        '{"key": "a", "data": {"n": 1}}',
        "",
        "not json",
        '["a", "list"]',
        '{"data": {}}',
        '{"key": "b", "priority": "high"}',
        '{"key": "c", "colour": "red"}',
        '{"key": "d", "priority": 9}',
    ]
    ended = shell("enqueue", "hand", "-", "--priority", "5", given="\n".join(lines))
    assert ended.code == exit_codes.FAILED
    assert [line.split(":")[0] for line in ended.err.splitlines()[:5]] == [
        f"line {n}" for n in (3, 4, 5, 6, 7)
    ]
    assert "unknown field 'colour'" in ended.err
    assert "2 new in hand, 0 known already, 5 bad lines left out" in ended.err
    found = conn.execute("SELECT key, priority FROM work_items ORDER BY key").fetchall()
    assert [tuple(row) for row in found] == [("a", 5), ("d", 9)]


def test_a_line_that_is_no_text_or_too_deep_is_left_out_like_any_bad_one(folder, conn):
    lines = [
        b'{"key": "a"}',
        b'{"key": "\xff"}',
        b'{"key": "deep", "data": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"key": "d"}',
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "cli.main", "enqueue", "hand", "-"],
        input=b"\n".join(lines),
        capture_output=True,
        check=False,
    )
    assert ended.returncode == exit_codes.FAILED
    assert [line.split(b":")[0] for line in ended.stderr.splitlines()[:2]] == [b"line 2", b"line 3"]
    assert [row[0] for row in conn.execute("SELECT key FROM work_items ORDER BY key")] == ["a", "d"]


def test_empty_data_is_no_object(shell, conn):
    ended = shell("enqueue", "hand", "x", "--data", "")
    assert (ended.code, "not JSON" in ended.err) == (exit_codes.INVALID, True)
    assert conn.execute("SELECT count(*) FROM work_items").fetchone()[0] == 0


def test_data_that_is_too_deep_is_refused_in_words(shell, conn):
    deep = '{"a": ' + "[" * 50_000 + "]" * 50_000 + "}"
    ended = shell("enqueue", "hand", "x", "--data", deep)
    assert (ended.code, "nested too deeply" in ended.err) == (exit_codes.INVALID, True)


def test_thousands_of_lines_go_in_batches(shell, conn):
    given = "".join(json.dumps({"key": f"k{n}"}) + "\n" for n in range(2500))
    ended = shell("enqueue", "hand", "-", "--json", given=given)
    assert json.loads(ended.out)["items"] == 2500
    kinds = conn.execute("SELECT count(*) FROM events WHERE kind = 'enqueue'").fetchone()[0]
    assert kinds == 3


REFUSED = {
    "enqueue hand x --data [1]": (exit_codes.INVALID, "--data: a JSON object is wanted"),
    "enqueue hand x --data x": (exit_codes.INVALID, "--data: not JSON"),
    "undo notes": (exit_codes.INVALID, "'notes' is no whole number"),
    "enqueue hand x --at read_fil": (exit_codes.NOT_FOUND, "did you mean 'read_file'?"),
    "enqueue hnd -": (exit_codes.NOT_FOUND, "did you mean 'hand'?"),
    "retry notes --stage read_fil": (exit_codes.NOT_FOUND, "did you mean 'read_file'?"),
    "retry notes --key b.tx": (exit_codes.NOT_FOUND, "did you mean 'b.txt'?"),
    "reset nots read_file": (exit_codes.NOT_FOUND, "did you mean 'notes'?"),
    "reset notes read_file b.txt z.txt": (exit_codes.NOT_FOUND, "did you mean"),
    "priority notes b.tx 3": (exit_codes.NOT_FOUND, "did you mean 'b.txt'?"),
    "pause notes --reason x --until never": (exit_codes.INVALID, "write 18:00"),
    "pause nots --reason x": (exit_codes.NOT_FOUND, "did you mean 'notes'?"),
    "wake nots": (exit_codes.NOT_FOUND, "did you mean 'notes'?"),
    "discover nots": (exit_codes.NOT_FOUND, "did you mean 'notes'?"),
    "run nots": (exit_codes.NOT_FOUND, "did you mean 'notes'?"),
}


def test_what_cannot_be_done_is_refused_and_changes_nothing(shell_each, tracked):
    before = tracker.get_events(tracked, "notes", limit=100)
    for line, ended in zip(REFUSED, shell_each(list(REFUSED)), strict=True):
        code, said = REFUSED[line]
        assert (ended.code, said in ended.err) == (code, True), (line, ended)
    assert tracker.get_events(tracked, "notes", limit=100) == before


def test_a_pause_has_its_reason_and_its_author_until_it_is_lifted(shell, conn):
    ended = shell("pause", "notes", "--reason", "site is down", "--until", "2h", "--json")
    assert json.loads(ended.out)["act"] == "pause"
    held = get_retry_info(conn, "notes")
    assert (held["reason"], held["by"]) == ("site is down", getpass.getuser())
    assert 0 < held["until_at"] - held["since_at"] - 7_170_000 < 60_000
    assert "notes goes on" in shell("unpause", "notes").err
    assert not tracker.is_job_paused(conn, "notes")


def test_a_job_that_is_switched_off_looks_once_it_is_switched_on(shell, folder):
    text = (folder / "jobs.yaml").read_text()
    (folder / "jobs.yaml").write_text(text.replace("  notes:\n", "  notes:\n    enabled: false\n"))
    assert "notes looks for items once it is switched on in jobs.yaml" in shell("wake", "notes").err


def test_a_job_is_woken_for_the_next_sweep(shell, conn):
    assert "next sweep" in shell("wake", "notes").err
    assert tracker.get_events(conn, "notes")[0]["kind"] == "wake"


def test_failed_stages_are_tried_again(shell, tracked):
    ended = shell("retry", "notes", "--stage", "read_file", "--key", "b.txt", "--key", "a.txt", "--json")
    assert json.loads(ended.out)["items"] == 1
    assert get_statuses(tracked, "b.txt")["read_file"] == "pending"


def test_a_stage_is_done_again_for_the_items_named(shell, tracked):
    ended = shell("reset", "notes", "summarise_text", "a.txt", "--json")
    assert json.loads(ended.out)["items"] == 1
    assert get_statuses(tracked, "a.txt") == {"read_file": "done", "summarise_text": "pending"}


@pytest.mark.parametrize(
    ("answer", "code", "status"), [("y\n", 0, "pending"), ("n\n", 1, "done"), ("", 1, "done")]
)
def test_a_reset_of_all_items_asks_first(shell, tracked, answer, code, status):
    ended = shell("reset", "notes", "read_file", given=answer)
    assert ended.code == code
    assert "Do read_file and what needs it again for 2 items of notes?" in ended.err
    assert get_statuses(tracked, "a.txt")["read_file"] == status


def test_a_reset_of_all_items_need_not_ask(shell, tracked):
    assert shell("reset", "notes", "read_file", "--yes").code == exit_codes.OK
    assert get_statuses(tracked, "a.txt") == {"read_file": "pending", "summarise_text": "pending"}


def test_a_priority_is_told_of_one_item_and_not_of_what_was_put_at_another(shell, tracked):
    assert "1 item of notes is put at priority 5" in shell("priority", "notes", "b.txt", "5").err
    ended = shell("priority", "notes", "7", "--filter", "key:nobody")
    assert ended.err == "there is no item of notes to give priority 7 to\n"


def test_a_priority_may_be_negative(shell, tracked):
    assert shell("priority", "notes", "c.txt", "-10").code == exit_codes.OK
    assert find_item(tracked, "c.txt")["priority"] == -10


def test_discovery_stores_what_it_finds(shell, conn):
    ended = shell("discover", "notes", "--json")
    assert json.loads(ended.out) == {
        "job": "notes", "found": 2, "new": 2, "changed": 0, "refused": 0, "held": 0, "error": None, "retry_at": None,
        "skipped": None, "refused_for": {},
    }  # fmt: skip
    assert "2 found, 0 new" in shell("discover", "notes").err


THIEF = """
from discovery.base import BaseDiscovery, FoundItem
from tracker import open_db


class Thief(BaseDiscovery):
    async def fetch_items(self):
        with open_db() as conn:
            conn.execute("UPDATE discovery_runs SET attempt = attempt + 1")
        return [FoundItem("a")]
"""


def test_a_look_that_somebody_else_took_up_is_told_as_json_too(shell, folder, conn):
    (folder / "thieves.py").write_text(THIEF)
    (folder / "jobs.yaml").write_text(
        (folder / "jobs.yaml")
        .read_text()
        .replace("{strategy: manual, items: []}", '{strategy: "thieves:Thief"}')
    )
    ended = shell("discover", "hand", "--json")
    assert (ended.code, json.loads(ended.out)["skipped"]) == (
        exit_codes.OK,
        "somebody else took up this look",
    )
    assert "hand: not looked: somebody else took up this look" in shell("discover", "hand").err


def test_discovery_says_why_it_refused_what_it_refused(shell, folder, conn):
    (folder / "rows.csv").write_text('id\na\na\n""\na\n')
    discovery = "discovery: {strategy: csv_rows, key: id, path: rows.csv}, stages: [read_file]"
    (folder / "jobs.yaml").write_text(f"version: 1\njobs:\n  rows: {{{discovery}}}\n")
    ended = shell("discover", "rows")
    assert (ended.code, ended.err) == (
        exit_codes.OK,
        "rows: 1 found, 1 new, 3 refused (key repeated: 2, no key: 1)\n",
    )
    assert "refused: key repeated: 2, no key: 1" in shell("sources", "rows", "--history").out
    (look,) = json.loads(shell("sources", "rows", "--history", "--json").out)
    assert (look["refused"], look["refused_for"]) == (3, {"key repeated": 2, "no key": 1})
