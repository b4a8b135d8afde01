"""Artifacts: kept once and whole, counted by who refers to them, removed when nobody does, whatever is killed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracker
from pipeline.errors import (
    ArtifactError,
    NotFoundError,
    StaleLeaseError,
    TrackerFullError,
    TrackerUnusableError,
)
from tracker import answers, artifacts, blobs
from tracker.artifacts import Holder
from tracker.blobs import BlobStore
from tracker.collecting import Collected, collect, plan_collection
from tracker.restoring import forget_unused_artifacts
from tracker.verifying import list_faults

STAGES = ["fetch", "extract", "store"]
SCRIPT = Path(__file__).with_name("keeper_process.py")
ROOT = Path(tracker.__file__).parents[1]


@pytest.fixture
def store(tmp_path):
    return BlobStore(tmp_path / "artifacts")


@pytest.fixture
def keep(conn, store, claimed_id):
    """Keep some content for the attempt that runs, and give its hash."""

    def put(content, name="a.txt"):
        return artifacts.keep(conn, store, Holder(claimed_id, "fetch", 1), content, name, "text/plain").sha256

    return put


@pytest.fixture
def keep_unused(conn, keep, claimed_id):
    """Keep some contents, and let the attempt end without a result."""

    def put(*contents):
        kept = [keep(content) for content in contents]
        tracker.mark_stage_failed(conn, claimed_id, "fetch", STAGES, "no use")
        return kept

    return put


class Keeper:
    """A process of its own that keeps and collects."""

    def __init__(self, db_path, folder):
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, db_path, folder],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.hear() == "ready"

    def tell(self, command, **arguments):
        self.process.stdin.write(json.dumps([command, arguments]) + "\n")
        self.process.stdin.flush()

    def hear(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, command, **arguments):
        self.tell(command, **arguments)
        return self.hear()

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start_keeper(db_path, store):
    started = []

    def start():
        started.append(Keeper(db_path, store.folder))
        return started[-1]

    yield start
    for keeper in started:
        keeper.kill()


def pointer(sha256):
    return {"artifact": f"sha256:{sha256}", "name": "a.txt", "bytes": 1}


def uses_of(conn, sha256):
    """Give the count of an artifact's uses, after checking that it is exact."""
    (counted,) = conn.execute("SELECT uses FROM artifacts WHERE sha256 = ?", (sha256,)).fetchone()
    kinds = [use.kind for use in artifacts.list_uses(conn, sha256, 100)]
    assert counted == len(kinds)
    return kinds


def files_in(store):
    return sorted(path.name for path in store.folder.rglob("*") if path.is_file() and path.name != "OWNER")


# -- keeping ----------------------------------------------------------------------------------------------


def test_the_same_bytes_are_kept_once_however_they_are_given(keep, store, tmp_path):
    (tmp_path / "given").write_bytes(b"abc")
    kept = {keep(b"abc"), keep(iter([b"a", b"bc"])), keep(tmp_path / "given")}
    assert kept == {hashlib.sha256(b"abc").hexdigest()}
    assert files_in(store) == sorted(kept)
    assert (tmp_path / "given").read_bytes() == b"abc"


def test_a_kept_file_cannot_be_written_by_mistake(keep, store):
    mode = store.path(keep(b"abc")).stat().st_mode
    assert mode & 0o222 == 0
    assert mode & 0o400


def test_content_that_breaks_off_leaves_nothing_behind(keep, store, conn):
    def broken():
        yield b"abc"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        keep(broken())
    assert files_in(store) == []
    assert artifacts.list_artifacts(conn, 10) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file on which there is never any room")
def test_a_disk_that_is_full_until_the_file_is_closed_is_told_as_such(store, monkeypatch):
    def open_full(folder):
        return folder / "x", Path("/dev/full").open("wb")

    monkeypatch.setattr(blobs, "_open_incoming", open_full)
    with pytest.raises(TrackerFullError, match="no room left to keep files"):
        store.put(b"less than is written at once")


def test_text_is_not_taken_for_bytes(keep, store):
    with pytest.raises(TypeError, match="not of str"):
        keep("abc")
    assert files_in(store) == []


def test_an_attempt_that_owns_its_stage_no_longer_keeps_nothing(conn, keep, store, claimed_id):
    tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {})
    with pytest.raises(StaleLeaseError):
        keep(b"abc")
    assert files_in(store) == []
    assert artifacts.list_artifacts(conn, 10) == []


def test_a_changed_or_missing_file_is_not_given_out(keep, store):
    path = store.path(keep(b"abc"))
    path.chmod(0o600)
    path.write_bytes(b"abd")
    with pytest.raises(ArtifactError, match="was changed"):
        store.verify(path.name)
    path.unlink()
    with pytest.raises(ArtifactError, match="is gone"):
        store.verify(path.name)


def test_keeping_again_mends_a_file_that_was_changed(keep, store):
    path = store.path(keep(b"abc"))
    path.chmod(0o600)
    path.write_bytes(b"abd")
    keep(b"abc")
    assert store.verify(path.name, 3).read_bytes() == b"abc"


def test_the_folder_of_another_tracker_is_refused(keep, store, tmp_path, conn):
    keep(b"abc")
    with tracker.open_db(tmp_path / "other.db") as other:
        tracker.upsert_items(other, "papers", [{"key": "a"}])
        assert tracker.mark_stage_in_progress(other, 1, "fetch", STAGES) == 1
        with pytest.raises(TrackerUnusableError, match="files of another tracker"):
            artifacts.keep(other, store, Holder(1, "fetch", 1), b"abc", "a")
        with pytest.raises(TrackerUnusableError, match="CELERIAC_DATA"):
            collect(other, store)
    assert len(files_in(store)) == 1


# -- who refers -------------------------------------------------------------------------------------------


def test_a_file_is_held_by_the_attempt_that_keeps_it_and_then_by_its_result(conn, keep, claimed_id):
    sha256 = keep(b"abc")
    assert uses_of(conn, sha256) == ["attempt"]
    tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {"pages": [{"file": pointer(sha256)}]})
    assert uses_of(conn, sha256) == ["result"]
    assert artifacts.list_uses(conn, sha256, 1)[0] == artifacts.Use("result", "papers", "a", "fetch")


def test_a_result_that_is_replaced_hands_its_files_over_to_history(conn, keep, claimed_id):
    old, new = keep(b"old"), keep(b"new")
    tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {"file": pointer(old)})
    tracker.store_result(conn, "papers", "a", "fetch", {"file": pointer(new), "again": pointer(new)})
    assert (uses_of(conn, old), uses_of(conn, new)) == (["history"], ["result"])
    tracker.store_result(conn, "papers", "a", "fetch", {"file": None})
    assert uses_of(conn, new) == ["history"]


def test_an_item_that_is_deleted_lets_go_of_its_files(conn, keep, claimed_id):
    sha256 = keep(b"abc")
    tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, {"file": pointer(sha256)})
    with tracker.write(conn):
        conn.execute("DELETE FROM work_items WHERE item_id = ?", (claimed_id,))
    assert uses_of(conn, sha256) == []
    assert conn.execute("SELECT count(*) FROM artifact_uses").fetchone() == (0,)


def test_only_pointers_count_not_whatever_looks_like_a_hash(conn, keep, claimed_id):
    sha256 = keep(b"abc")
    told = {
        "sha256": f"sha256:{sha256}",
        "text": json.dumps(pointer(sha256)),
        "artifact": f"sha256:{'x' * 64}",
    }
    tracker.mark_stage_done(conn, claimed_id, "fetch", STAGES, told)
    assert uses_of(conn, sha256) == []


def test_an_answer_an_items_data_and_a_held_item_refer_as_well(conn, keep_unused, add_items):
    (sha256,) = keep_unused(b"abc")
    answers.remember(conn, "question", {"file": pointer(sha256)})
    tracker.upsert_items(conn, "others", [{"key": "b", "data": {"file": pointer(sha256)}}])
    with tracker.write(conn):
        conn.execute(
            "INSERT INTO held_items (job_id, key, data, priority, source, held_at) VALUES ('h', 'c', ?, 0, '', 1)",
            (json.dumps(pointer(sha256)),),
        )
    assert uses_of(conn, sha256) == ["answer", "held", "item"]
    answers.remember(conn, "question", "forgotten")
    with tracker.write(conn):
        conn.execute("DELETE FROM held_items")
    assert uses_of(conn, sha256) == ["item"]
    with tracker.write(conn):
        conn.execute("UPDATE work_items SET data = '{}' WHERE job_id = 'others'")
    assert uses_of(conn, sha256) == []


def test_a_pointer_may_be_stored_before_its_file_is_kept(conn, keep, add_items):
    sha256 = hashlib.sha256(b"abc").hexdigest()
    tracker.store_result(conn, "papers", "a", "store", {"file": pointer(sha256)})
    assert [fault.fault for fault in list_faults(conn, BlobStore(Path("nowhere")))] == ["never kept"]
    assert keep(b"abc") == sha256
    assert uses_of(conn, sha256) == ["attempt", "result"]


# -- collecting -------------------------------------------------------------------------------------------


def test_what_nothing_refers_to_is_removed_and_told(conn, store, keep_unused):
    keep_unused(b"abc", b"defgh")
    assert plan_collection(conn, store) == Collected(2, 8)
    assert len(files_in(store)) == 2
    assert collect(conn, store) == Collected(2, 8)
    assert (files_in(store), artifacts.list_artifacts(conn, 10)) == ([], [])
    assert collect(conn, store) == Collected()


def test_more_than_fit_into_one_transaction_are_all_removed(conn, store, keep_unused):
    keep_unused(*(str(number).encode() for number in range(120)))
    assert collect(conn, store).files == 120
    assert files_in(store) == []


def test_what_a_running_attempt_kept_or_opened_stays(conn, store, keep, claimed_id):
    kept, opened = keep(b"kept"), keep(b"opened")
    tracker.store_result(conn, "papers", "a", "extract", {"file": pointer(opened)})
    artifacts.hold(conn, Holder(claimed_id, "fetch", 1), opened)
    tracker.store_result(conn, "papers", "a", "extract", {"file": None})
    conn.execute("DELETE FROM results_history")
    assert collect(conn, store) == Collected()
    assert files_in(store) == sorted([kept, opened])
    tracker.mark_stage_failed(conn, claimed_id, "fetch", STAGES, "broke off")
    assert collect(conn, store).files == 2


def test_an_attempt_whose_lease_ran_out_lets_go(conn, store, keep):
    keep(b"abc")
    with tracker.write(conn):
        conn.execute("UPDATE item_stages SET leased_until = 1 WHERE status = 'in_progress'")
    assert tracker.reclaim_stuck_stages(conn) == 1
    assert collect(conn, store).files == 1


def test_a_file_unknown_to_the_tracker_is_a_stray_and_a_strangers_file_is_left_alone(conn, store):
    stray = store.put(b"left by a killed process").sha256
    (store.folder / "notes.txt").write_text("mine")
    assert [fault.fault for fault in list_faults(conn, store)] == ["stray"]
    assert plan_collection(conn, store) == Collected(1, 24, 1)
    assert collect(conn, store) == Collected(1, 24, 1)
    assert not store.path(stray).exists()
    assert files_in(store) == ["notes.txt"]


def test_a_stray_that_something_points_at_is_not_removed(conn, store, add_items):
    add_items("a")
    stray = store.put(b"copied here by hand").sha256
    tracker.store_result(conn, "papers", "a", "fetch", {"file": pointer(stray)})
    assert collect(conn, store) == Collected()
    assert store.verify(stray)


def test_verifying_names_what_is_gone_and_what_was_changed(conn, store, keep):
    gone, changed, _ = keep(b"gone"), keep(b"changed"), keep(b"whole")
    store.path(gone).unlink()
    store.path(changed).chmod(0o600)
    store.path(changed).write_bytes(b"CHANGED")
    assert {(fault.sha256, fault.fault, fault.uses) for fault in list_faults(conn, store)} == {
        (gone, "gone", 1),
        (changed, "changed", 1),
    }


def test_a_row_whose_file_is_gone_is_removed_when_nothing_refers_to_it(conn, store, keep_unused):
    (sha256,) = keep_unused(b"abc")
    store.path(sha256).unlink()
    collect(conn, store)
    assert list(list_faults(conn, store)) == []


# -- several processes ------------------------------------------------------------------------------------


def test_what_is_being_written_stays_and_what_a_killed_process_left_half_written_goes(
    conn, store, claimed_id, start_keeper
):
    writer = start_keeper()
    assert writer.ask("keep_without_end", item_id=claimed_id) == "writing"
    assert plan_collection(conn, store) == collect(conn, store) == Collected()
    assert len(files_in(store)) == 1
    writer.kill()
    assert plan_collection(conn, store).strays == 1
    collected = collect(conn, store)
    assert (collected.files, collected.strays) == (1, 1)
    assert files_in(store) == []


def test_a_process_killed_between_the_list_and_the_name_leaves_nothing_that_stays(
    conn, store, claimed_id, start_keeper
):
    doomed = start_keeper()
    sha256 = doomed.ask("keep_and_stop_before_its_name", item_id=claimed_id)
    doomed.kill()
    tracker.mark_stage_failed(conn, claimed_id, "fetch", STAGES, "its worker died")
    collect(conn, store)
    assert (files_in(store), artifacts.list_artifacts(conn, 10)) == ([], [])
    assert not store.path(sha256).exists()


def test_a_collector_killed_in_the_middle_leaves_work_for_the_next(conn, store, keep_unused, start_keeper):
    (sha256,) = keep_unused(b"abc")
    doomed = start_keeper()
    assert doomed.ask("stop_while_collecting", sha256=sha256) == "put out"
    doomed.kill()
    assert [artifact.sha256 for artifact in artifacts.list_artifacts(conn, 10)] == [sha256]
    collect(conn, store)
    assert (files_in(store), artifacts.list_artifacts(conn, 10)) == ([], [])


def test_two_collectors_never_remove_what_two_others_keep_at_the_same_moment(
    conn, store, add_opened, start_keeper, tmp_path
):
    item_ids = add_opened(*(f"item {number}" for number in range(200)))
    keepers, collectors = [start_keeper() for _ in range(2)], [start_keeper() for _ in range(2)]
    for collector in collectors:
        collector.tell("collect_until", name=str(tmp_path / "enough"))
    keepers[0].tell("keep_again_and_again", item_ids=item_ids[::2])
    keepers[1].tell("keep_again_and_again", item_ids=item_ids[1::2])
    assert [keeper.hear() for keeper in keepers] == [0, 0]
    (tmp_path / "enough").touch()
    assert sum(collector.hear() for collector in collectors) > 0
    collect(conn, store)
    assert files_in(store) == []


# -- reading ----------------------------------------------------------------------------------------------


def test_an_artifact_is_found_by_the_beginning_of_its_hash(conn, keep):
    sha256 = keep(b"abc", name="page.html")
    found = artifacts.get_artifact(conn, sha256[:6].upper())
    assert (found.sha256, found.bytes, found.name, found.content_type) == (
        sha256,
        3,
        "page.html",
        "text/plain",
    )
    assert artifacts.get_artifact(conn, f"sha256:{sha256}") == found
    with pytest.raises(NotFoundError, match="no artifact whose SHA-256 begins with 'ffff'"):
        artifacts.get_artifact(conn, "ffff")
    keep(b"another")
    with pytest.raises(NotFoundError, match="no single artifact"):
        artifacts.get_artifact(conn, "")


def test_artifacts_are_listed_newest_first_and_counted(conn, keep_unused, add_opened):
    kept = keep_unused(b"1", b"22", b"333")
    tracker.store_result(conn, "papers", "a", "store", pointer(kept[0]))
    assert {one.sha256 for one in artifacts.list_artifacts(conn, 10)} == set(kept)
    assert {one.sha256 for one in artifacts.list_artifacts(conn, 10, unused=True)} == set(kept[1:])
    assert len(artifacts.list_artifacts(conn, 2)) == 2
    assert artifacts.count_artifacts(conn) == artifacts.Count(3, 6, 2, 5)


def test_the_view_of_artifacts_is_for_people(conn, keep):
    sha256 = keep(b"abc")
    row = conn.execute("SELECT sha256, name, bytes, content_type, uses FROM v_artifacts").fetchone()
    assert row == (sha256, "a.txt", 3, "text/plain", 1)


def test_however_many_files_nothing_refers_to_a_backup_has_none_of_them(conn):
    with tracker.write(conn):
        conn.executemany(
            "INSERT INTO artifacts VALUES (?, 1, 'a', NULL, 0, 0, ?)",
            [(f"{number:064x}", number % 2) for number in range(2400)],
        )
    assert forget_unused_artifacts(conn) == 1200
    assert conn.execute("SELECT count(*), min(uses) FROM artifacts").fetchone() == (1200, 1)
