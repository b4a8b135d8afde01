"""`celeriac test`: the author's loop."""

from __future__ import annotations

import json

import pytest

import tracker
from cli import exit_codes
from handlers.desk import write_pointer
from tracker.blobs import BlobStore

HANDLERS = """
from handlers.base import Handler
from pipeline.outcomes import RetryLater, Skip


class Spend(Handler):
    def run(self, context):
        context.cost(0.25, "shop")
        if context.key == "b.txt":
            context.cost(None, "stall")
        pointer = context.artifact("page.html", b"<html>")
        return {"nested": {"list": [1, 2], "text": "x" * 500}, "page": pointer}


class Open(Handler):
    def run(self, context):
        pages = [context.data.get("page"), context.results.get("spend", {}).get("page")]
        return {"read": [context.open_artifact(page).read_text() for page in pages if page]}


class Break(Handler):
    def run(self, context):
        return look_into(context)


def look_into(context):
    raise ValueError(f"cannot read {context.key}")


class Wait(Handler):
    def run(self, context):
        return RetryLater(3600, "not yet")


class Leave(Handler):
    def run(self, context):
        return Skip("nothing in it", rest=True)
"""

JOBS = """
  mine:
    discovery: {strategy: local_files, root: files}
    stages:
      - read_file
      - {name: spend, handler: "handlers_of_mine:Spend"}
      - {name: broken, handler: "handlers_of_mine:Break", needs: read_file}
      - {name: after, handler: "handlers_of_mine:Spend", needs: broken}
  opens:
    discovery: {strategy: local_files, root: files}
    stages: [{name: spend, handler: "handlers_of_mine:Spend"}, {name: open, handler: "handlers_of_mine:Open"}]
  waits:
    discovery: {strategy: local_files, root: files}
    stages: [{name: wait, handler: "handlers_of_mine:Wait"}]
  leaves:
    discovery: {strategy: local_files, root: files}
    stages: [{name: leave, handler: "handlers_of_mine:Leave"}, {name: after, handler: "handlers_of_mine:Spend"}]
"""


@pytest.fixture(autouse=True)
def jobs_of_mine(folder):
    (folder / "handlers_of_mine.py").write_text(HANDLERS)
    with (folder / "jobs.yaml").open("a") as file:
        file.write(JOBS)


def run_json(shell, *arguments):
    ended = shell("test", *arguments, "--json")
    items = json.loads(ended.out)["items"]
    return ended.code, {(item["key"], one["stage"]): one for item in items for one in item["stages"]}


def test_it_shows_each_result_as_a_tree_with_its_cost_and_time(shell):
    ended = shell("test", "mine", "--limit", "1")
    assert ended.code == exit_codes.FAILED
    lines = ended.out.splitlines()
    assert lines[0] == "a.txt"
    assert "│    text: One. Two. Three." in lines
    assert any(line.startswith("├─ spend: done, ") and line.endswith(" s, $0.2500") for line in lines)
    assert "│      list: [1, 2]" in lines
    assert lines[-2:] == ["└─ after: not reached", "     a stage that it needs did not end well"]
    assert "stages: 2 done, 1 failed, 1 not reached" in ended.err
    assert "$0.2500; nothing was kept" in ended.err


def test_what_is_known_of_a_cost_and_what_is_not_are_both_said_of_a_stage_and_of_all(shell):
    ended = shell("test", "mine", "--key", "b.txt")
    assert any(
        "spend: done, " in line and line.endswith("$0.2500 and 1 of unknown price")
        for line in ended.out.splitlines()
    )
    assert "$0.2500 and 1 of unknown price; nothing was kept" in ended.err


def test_a_failure_is_shown_with_the_frames_of_its_own_code(shell):
    out = shell("test", "mine", "--limit", "1").out
    assert "broken: failed, would be tried again in " in out
    assert "ValueError: cannot read a.txt" in out
    assert 'raise ValueError(f"cannot read {context.key}")' in out
    assert "running.py" not in out


def test_it_stops_looking_at_the_limit_and_keeps_to_a_stage_and_what_leads_to_it(shell):
    code, found = run_json(shell, "mine", "--limit", "1", "--stage", "spend")
    assert (code, list(found)) == (exit_codes.OK, [("a.txt", "read_file"), ("a.txt", "spend")])
    assert found["a.txt", "spend"]["usd"] == 0.25
    assert found["a.txt", "spend"]["costs"][0]["provider"] == "shop"


def test_it_keeps_to_one_key_found_or_on_record(shell, tracked):
    assert {key for key, _ in run_json(shell, "notes", "--key", "b.txt")[1]} == {"b.txt"}
    _, on_record = run_json(shell, "notes", "--key", "c.txt")
    assert on_record["c.txt", "read_file"]["ending"] == "failed"


def test_a_stage_that_is_to_be_tried_later_says_when(shell):
    code, found = run_json(shell, "waits", "--limit", "1")
    assert code == exit_codes.WAITING
    assert found["a.txt", "wait"]["ending"] == "retry_later"
    assert found["a.txt", "wait"]["delay_seconds"] == pytest.approx(3600, abs=60)


def test_what_a_stage_leaves_out_is_skipped_with_its_reason(shell):
    code, found = run_json(shell, "leaves", "--limit", "1")
    assert code == exit_codes.OK
    assert [(one["ending"], one["reason"]) for one in found.values()] == [("skipped", "nothing in it")] * 2


def test_nothing_of_the_real_tracker_is_touched(shell, tracked, folder):
    tracked.close()
    before = {path: path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file()}
    shell("test", "notes")
    shell("test", "mine")
    assert {path: path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file()} == before


def test_without_a_tracker_none_is_made(shell, folder):
    assert shell("test", "notes").code == exit_codes.OK
    assert not (folder / "data").exists()


def test_files_are_read_from_where_they_were_kept_and_kept_where_they_go_away(shell, conn, folder):
    store = BlobStore(folder / "data" / "artifacts")
    blob = store.put(b"real")
    page = write_pointer(blob.sha256, "page.html", blob.size, None)
    tracker.upsert_items(conn, "opens", [{"key": "x", "data": {"page": page}}])
    code, found = run_json(shell, "opens", "--key", "x")
    assert (code, found["x", "open"]["result"]) == (exit_codes.OK, {"read": ["real", "<html>"]})
    assert [one.sha256 for one in store.list_placed()] == [blob.sha256]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["note"], exit_codes.NOT_FOUND, "did you mean 'notes'"),
        (["notes", "--stage", "read_fil"], exit_codes.NOT_FOUND, "did you mean 'read_file'"),
        (["notes", "--key", "b.tx"], exit_codes.NOT_FOUND, "did you mean 'b.txt'"),
        (["notes", "--limit", "0"], exit_codes.INVALID, "--limit"),
    ],
)
def test_what_does_not_exist_is_named_with_the_nearest(call, tracked, arguments, code, says):
    ended = call("test", *arguments)
    assert (ended.code, says in ended.err) == (code, True), ended.err


def test_a_source_that_is_away_is_told_from_one_that_will_never_do(shell, folder):
    discovery = "discovery: {strategy: csv_rows, key: id, path: rows.csv}, stages: [read_file]"
    (folder / "jobs.yaml").write_text(f"version: 1\njobs:\n  rows: {{{discovery}}}\n")
    away = shell("test", "rows")
    assert (away.code, away.err) == (
        exit_codes.SOURCE,
        "celeriac: cannot read rows.csv: No such file or directory\n",
    )
    (folder / "rows.csv").write_text("name\nAnn\n")
    wrong = shell("test", "rows")
    assert (wrong.code, "has no column 'id'; it has 'name'" in wrong.err) == (exit_codes.FAILED, True)


def test_beside_its_handlers_it_needs_less_than_two_seconds_of_this_machine(folder):
    """Processor time, because the machine may be busy with other tests; the least of three."""
    import resource
    import subprocess
    import sys

    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "cli.main", "test", "notes"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 2.0
