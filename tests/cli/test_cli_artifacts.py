from __future__ import annotations

import json

import pytest

import tracker
from cli import exit_codes
from cli.progress import _note
from pipeline.settings import load_settings
from tracker import artifacts
from tracker.artifacts import Holder
from tracker.backlog import Backlog
from tracker.blobs import BlobStore
from tracker.progress import Told, tell_progress

STAGES = ["read_file", "summarise_text"]


@pytest.fixture
def store(folder):
    return BlobStore(load_settings().artifacts_path)


@pytest.fixture
def kept(tracked, store):
    """Let `notes` have a file that the result of c.txt points at, and one that nothing does; their hashes."""
    (item_id,) = tracked.execute("SELECT item_id FROM work_items WHERE key = 'c.txt'").fetchone()
    tracker.mark_stage_in_progress(tracked, item_id, "read_file", STAGES)
    used, unused = (
        artifacts.keep(tracked, store, Holder(item_id, "read_file", 1), content, name, "text/plain").sha256
        for content, name in ((b"One. Two.", "c.txt"), (b"x" * 1_500_000, "big.txt"))
    )
    result = {"file": {"artifact": f"sha256:{used}", "name": "c.txt", "bytes": 9}}
    tracker.mark_stage_done(tracked, item_id, "read_file", STAGES, result)
    return used, unused


def test_what_is_kept_is_told_with_what_nothing_refers_to(call, kept, store):
    told = call("artifacts").out
    assert told == (
        f"{store.folder} keeps 2 files, 1.5 MB\nnothing refers to 1 file, 1.5 MB: celeriac artifacts gc\n"
    )
    assert json.loads(call("artifacts", "--json").out) == {
        "folder": str(store.folder), "files": 2, "bytes": 1_500_009, "unused_files": 1, "unused_bytes": 1_500_000,
    }  # fmt: skip


def test_files_are_listed_all_or_the_unused(call, kept):
    used, unused = kept
    assert {one["sha256"] for one in json.loads(call("artifacts", "list", "--json").out)} == {used, unused}
    (listed,) = json.loads(call("artifacts", "list", "--unused", "--json").out)
    assert (listed["sha256"], listed["name"], listed["uses"]) == (unused, "big.txt", 0)
    lines = call("artifacts", "list").out.splitlines()
    assert lines[0].split() == ["SHA-256", "name", "type", "size", "uses", "kept"]
    assert any(line.startswith(used) and "c.txt" in line and "9 B" in line for line in lines)


def test_a_file_is_shown_with_its_path_and_who_refers_to_it(call, kept, store):
    used, unused = kept
    shown = json.loads(call("artifacts", "show", used[:8], "--json").out)
    assert (shown["path"], shown["is_there"]) == (str(store.path(used)), True)
    assert shown["used_by"] == [{"kind": "result", "job": "notes", "key": "c.txt", "stage": "read_file"}]
    told = call("artifacts", "show", used[:8]).out
    assert str(store.path(used)) in told
    assert "result   notes  c.txt  read_file" in told
    assert "nothing refers to it" in call("artifacts", "show", unused).out
    store.path(used).unlink()
    assert "(gone)" in call("artifacts", "show", used).out


def test_a_hash_of_nothing_is_not_found(call, kept):
    ended = call("artifacts", "show", "nothing")
    assert ended.code == exit_codes.NOT_FOUND
    assert "no artifact whose SHA-256 begins with 'nothing'" in ended.err


def test_a_dry_run_says_what_would_go_and_removes_nothing(call, kept, store):
    ended = call("artifacts", "gc", "--dry-run")
    assert ended.err == "would remove 1 file, 1.5 MB\n"
    assert store.path(kept[1]).exists()
    told = json.loads(call("artifacts", "gc", "--dry-run", "--json").out)
    assert told == {"files": 1, "bytes": 1_500_000, "strays": 0}


def test_collecting_removes_what_nothing_refers_to_and_says_so(shell_each, kept, store, tracked):
    (store.folder / "incoming").mkdir(exist_ok=True)
    (store.folder / "incoming" / "left by a killed process").write_bytes(b"12345")
    first, second = shell_each(["artifacts gc", "artifacts gc --json"])
    assert (first.code, first.err) == (0, "removed 2 files (1 of them unknown to the tracker), 1.5 MB\n")
    assert json.loads(second.out) == {"files": 0, "bytes": 0, "strays": 0}
    assert [store.path(sha256).exists() for sha256 in kept] == [True, False]
    (event,) = (event for event in tracker.get_events(tracked) if event["kind"] == "collect_artifacts")
    assert event["by"]
    assert json.loads(event["detail"]) == {"files": 2, "bytes": 1_500_005, "strays": 1}


def test_verifying_names_what_is_wrong_and_fails(call, kept, store):
    assert call("artifacts", "verify").code == exit_codes.OK
    used, _ = kept
    store.path(used).unlink()
    ended = call("artifacts", "verify")
    assert ended.code == exit_codes.FAILED
    assert f"{used}  gone" in ended.out
    assert json.loads(call("artifacts", "verify", "--json").out) == [
        {"sha256": used, "fault": "gone", "uses": 1}
    ]


@pytest.mark.parametrize(
    "line", ["artifacts", "artifacts list", "artifacts gc --dry-run", "artifacts verify"]
)
def test_reading_changes_nothing(call, kept, tracked, line):
    before = tracked.execute("PRAGMA data_version").fetchone()[0]
    call(*line.split())
    assert tracked.execute("PRAGMA data_version").fetchone()[0] == before


@pytest.mark.parametrize("line", ["artifacts", "artifacts list", "artifacts gc", "artifacts verify"])
def test_a_tracker_that_is_not_there_is_not_made(call, folder, line):
    ended = call(*line.split())
    assert ended.code == exit_codes.UNUSABLE
    assert not (folder / "data").exists()


def test_how_far_a_running_attempt_is_stands_in_its_status_and_with_its_item(call, tracked):
    (item_id,) = tracked.execute("SELECT item_id FROM work_items WHERE key = 'c.txt'").fetchone()
    tracker.mark_stage_in_progress(tracked, item_id, "read_file", STAGES)
    tell_progress(tracked, item_id, "read_file", 1, done=9, total=20, note="pages")
    assert "45%, 9 of 20, pages" in call("status", "notes").out
    assert "read_file is at 45%, 9 of 20, pages" in call("show", "notes", "c.txt").out
    (told,) = json.loads(call("status", "notes", "--json").out)["progress"]
    assert (told["key"], told["stage"], told["done"], told["total"]) == ("c.txt", "read_file", 9, 20)
    assert json.loads(call("show", "notes", "c.txt", "--json").out)["progress"] == [told]


def test_the_bar_of_a_run_says_how_far_an_attempt_is():
    told = Told("a-key", "fetch", 1, 9, 20, "pages", 0)
    look = Backlog(0, 0, 0, 1, 3, 4, 2, None, latest=told)
    assert _note(look) == "fetch a-key: 45%, 9 of 20, pages"
