"""A backup is of one moment, whole and checked; or it is not there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest

import tracker
from pipeline.errors import ArtifactError, OperatorError, TrackerFullError, TrackerUnusableError
from runner import backup, backup_check
from runner.backup import back_up, write_backup
from runner.backup_places import LOCK, begin_folder, list_backups, read_manifest
from tracker import artifacts, collecting
from tracker.blobs import BlobStore
from tracker.connection import write

ROOT = Path(backup.__file__).parent.parent

BACK_UP = """
import sys
from pathlib import Path
from pipeline.settings import Settings
from runner.backup import write_backup
data = Path(sys.argv[1])

def tell(what, done, total):
    print(what, done, total, flush=True)

write_backup(Settings(data=data, jobs=data / "jobs.yaml"), Path(sys.argv[2]), tell=tell)
"""


def keep_one(context):
    return {"file": dict(context.artifact("a.txt", f"content of {context.key}".encode()))}


@pytest.fixture
def busy(shop):
    """Open a workshop where two items are done, each with a file, one is claimed, and one is on its way."""
    shop.acts["fetch"] = keep_one
    shop.run("a", "b")
    shop.add("c", "d")
    shop.dispatch()
    first = shop.publisher.waiting.popleft()
    tracker.claims.claim(shop.conn, first.item_id, first.stage, first.attempt, worker="w")
    return shop


@pytest.fixture
def made(busy, settings, tmp_path):
    """Give a workshop and a backup of it."""
    return busy, Path(write_backup(settings, tmp_path / "backups").path)


def test_a_backup_is_a_folder_with_the_tracker_its_files_and_a_manifest(made, settings):
    shop, place = made
    assert sorted(path.name for path in place.iterdir()) == ["artifacts", "manifest.json", "tracker.db"]
    manifest = read_manifest(place)
    assert manifest.counts["items"] == 4
    assert manifest.counts["artifacts"] == 2
    assert manifest.tracker == artifacts.name_owner(shop.conn)
    verified = backup_check.verify(place)
    assert verified.faults == []
    assert (verified.items, verified.claims, verified.messages) == (4, 1, 1)


def test_files_are_hard_links_where_that_can_be_and_copies_where_not(busy, settings, tmp_path, monkeypatch):
    linked = write_backup(settings, tmp_path / "linked")
    assert (linked.linked, linked.copied) == (2, 0)

    def refuse(*_):
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", refuse)
    copied = write_backup(settings, tmp_path / "copied")
    assert (copied.linked, copied.copied) == (0, 2)
    assert backup_check.verify(Path(copied.path)).faults == []


def test_a_backup_may_be_one_file_which_is_replaced_in_one_step(busy, settings, tmp_path):
    target = tmp_path / "one.db"
    write_backup(settings, target)
    before = target.stat().st_ino
    shop = busy
    with write(shop.conn):
        shop.conn.execute("UPDATE results SET result = '{}' WHERE item_id = ?", (shop.item_id("a"),))
    write_backup(settings, target)
    assert target.stat().st_ino != before
    assert backup_check.verify(target).artifacts == 1
    assert len(list(BlobStore(tmp_path / "one.db.artifacts").list_placed())) == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".celeriac")] == []


def test_only_older_backups_of_the_same_tracker_are_removed(busy, settings, tmp_path):
    folder = tmp_path / "backups"
    first = Path(write_backup(settings, folder).path)
    others = folder / "celeriac-20200101T000000Z"
    others.mkdir()
    (others / "manifest.json").write_text(json.dumps({"made_by": "somebody"}))
    strangers = Path(write_backup(settings, folder).path)
    said = json.loads((strangers / "manifest.json").read_text())
    (strangers / "manifest.json").write_text(json.dumps({**said, "tracker": "another"}))
    (folder / "notes.txt").write_text("mine")
    kept = write_backup(settings, folder, keep=1)
    assert kept.removed == [str(first)]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [others.name, strangers.name, "notes.txt", Path(kept.path).name]
    )


def test_keep_is_refused_for_a_single_file_and_nothing_is_written(busy, settings, tmp_path):
    with pytest.raises(OperatorError, match="folder of backups"):
        write_backup(settings, tmp_path / "one.db", keep=3)
    assert not (tmp_path / "one.db").exists()


def test_nothing_is_collected_while_a_backup_copies_and_all_that_its_tracker_refers_to_is_there(
    busy, settings, tmp_path
):
    """What is let go of between the copy of the tracker and that of its files must not be gone for the backup."""
    refused = []

    def let_go_and_collect(what, *_):
        if what == "copying the tracker" and not refused:
            with tracker.open_db(settings.db_path) as conn:
                with write(conn):
                    conn.execute("UPDATE results SET result = '{}'")
                with pytest.raises(ArtifactError, match="backup"):
                    collecting.collect(conn, BlobStore(settings.artifacts_path))
            refused.append(True)

    done = write_backup(settings, tmp_path / "backups", tell=let_go_and_collect)
    assert refused
    assert (done.missing, done.artifacts) == ([], 2)
    assert backup_check.verify(Path(done.path)).faults == []
    with tracker.open_db(settings.db_path) as conn:
        assert collecting.collect(conn, BlobStore(settings.artifacts_path)).files == 2


def test_a_backup_of_a_moment_ends_while_others_write_all_the_time(busy, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("tracker.copying.STEP_PAGES", 1)
    stop, written = threading.Event(), []

    def write_on():
        with tracker.open_db(settings.db_path) as conn:
            while not stop.is_set():
                tracker.log_event(conn, "papers", "ballast", detail={"text": "x" * 500})
                written.append(1)

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        while not written:
            time.sleep(0.001)
        began = len(written)
        done = write_backup(settings, tmp_path / "backups")
    finally:
        stop.set()
        writer.join()
    assert len(written) > began
    assert backup_check.verify(Path(done.path)).faults == []


def test_a_file_that_was_gone_already_is_told_and_the_rest_is_kept(busy, settings, tmp_path):
    store = BlobStore(settings.artifacts_path)
    lost = next(iter(store.list_placed()))
    store.path(lost.sha256).unlink()
    done = write_backup(settings, tmp_path / "backups")
    assert done.missing == [lost.sha256]
    assert [fault for fault in backup_check.verify(Path(done.path)).faults if "gone" in fault]


def test_a_copy_that_is_not_sound_is_not_kept(busy, settings, tmp_path):
    with write(busy.conn):
        busy.conn.execute("UPDATE stage_counts SET done = done + 1 WHERE stage = 'fetch'")
    with pytest.raises(TrackerUnusableError, match=r"papers.fetch.*counter says 3, there are 2"):
        write_backup(settings, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


def test_too_little_room_is_told_before_anything_is_copied(busy, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(TrackerFullError, match="no room"):
        write_backup(settings, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


def test_ctrl_c_in_the_middle_leaves_nothing(busy, settings, tmp_path):
    def interrupt(what, *_):
        if what == "keeping its files":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_backup(settings, tmp_path / "backups", tell=interrupt)
    assert list((tmp_path / "backups").iterdir()) == []


@pytest.mark.parametrize("moment", ["copying the tracker", "keeping its files", "checking the copy"])
def test_a_backup_killed_in_the_middle_leaves_nothing_that_looks_like_one(busy, settings, tmp_path, moment):
    folder = tmp_path / "backups"
    killed = subprocess.Popen(
        [sys.executable, "-c", BACK_UP, str(settings.data), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with killed:
        for line in killed.stdout:
            if line.startswith(moment):
                killed.send_signal(signal.SIGSTOP)
                break
        left = [path.name for path in folder.iterdir()]
        assert left
        assert all(name.startswith(".") for name in left)
        killed.kill()
    assert list_backups(folder) == []
    done = write_backup(settings, folder)
    assert [path.name for path in folder.iterdir()] == [Path(done.path).name]


@pytest.mark.parametrize("step", [(os, "open"), (fcntl, "flock")], ids=["it has its lock", "that is locked"])
def test_one_that_is_taken_for_what_a_killed_one_left_before_that_begins_again(tmp_path, monkeypatch, step):
    original, folder = getattr(*step), tmp_path / "backups"

    def be_overtaken(*args, **options):
        monkeypatch.undo()
        with begin_folder(folder):  # as another backup does just now
            return original(*args, **options)

    monkeypatch.setattr(*step, be_overtaken)
    with begin_folder(folder) as begun:
        assert [path.name for path in begun.iterdir()] == [LOCK]
    assert list(folder.iterdir()) == []


def test_what_killed_ones_left_goes_with_the_next_and_one_that_is_just_getting_its_name_stays(tmp_path):
    empty, removed, filled = (
        tmp_path / f".celeriac-{'0' * 31}{number}.{ending}"
        for number, ending in enumerate(("partial", "removed", "partial"))
    )
    for folder in (empty, removed, filled):
        folder.mkdir()
    (removed / "file").touch()
    (filled / "file").touch()  # whole, and its lock is given up
    with begin_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == [filled]


def test_who_backed_up_is_on_record(busy, settings, tmp_path):
    done = back_up(settings, tmp_path / "backups", "ann")
    (event,) = [row for row in tracker.get_events(busy.conn) if row["kind"] == "backup"]
    assert event["by"] == "ann"
    assert json.loads(event["detail"])["path"] == done.path


def test_a_backup_that_was_changed_is_found_out(made):
    _, place = made
    conn = apsw.Connection(str(place / "tracker.db"))
    conn.execute("UPDATE item_counts SET pending = pending + 1")
    conn.close()
    store = BlobStore(place / "artifacts")
    changed, gone = list(store.list_placed())
    path = store.path(changed.sha256)
    path.unlink()
    path.write_bytes(b"x" * changed.size)
    store.path(gone.sha256).unlink()
    faults = "\n".join(backup_check.verify(place).faults)
    for words in ("counter says", "no longer has the hash in its manifest", "was changed", "is gone"):
        assert words in faults


def test_a_backup_with_a_broken_page_is_found_out(made):
    _, place = made
    size = (place / "tracker.db").stat().st_size
    with (place / "tracker.db").open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(8192))
    with contextlib.suppress(TrackerUnusableError):  # it may hit the schema
        assert backup_check.verify(place).faults


def test_what_is_no_tracker_is_named(tmp_path):
    (tmp_path / "x.db").write_bytes(b"no database at all, but long enough to be looked at by SQLite" * 20)
    with pytest.raises(TrackerUnusableError, match="no sound SQLite database"):
        backup_check.verify(tmp_path / "x.db")
