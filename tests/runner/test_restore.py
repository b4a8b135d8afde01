"""A restored tracker goes on at once; what was there is kept, and until the last step all is as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tracker
from pipeline.errors import NotFoundError, OperatorError, TrackerInUseError, TrackerUnusableError
from runner.backup import write_backup
from runner.restore import restore
from tests.old_schema import open_of_version
from tracker import artifacts, discoveries
from tracker.blobs import BlobStore
from tracker.connection import write
from tracker.schema import NEWEST_VERSION

HOLD_OPEN = """
import sys, tracker
with tracker.open_db(sys.argv[1]) as conn:
    conn.execute("SELECT 1 FROM meta").fetchall()
    print("open", flush=True)
    sys.stdin.read()
"""


def keep_one(context):
    return {"file": dict(context.artifact("a.txt", f"content of {context.key}".encode()))}


@pytest.fixture
def shop(shop):
    """Let one item be done, with a file, one be claimed, one on its way, one wait for a time, and a discovery run."""
    shop.acts["fetch"] = keep_one
    shop.run("a")
    shop.add("b", "c", "d")
    shop.dispatch()
    first = shop.publisher.waiting.popleft()
    tracker.claims.claim(shop.conn, first.item_id, first.stage, first.attempt, worker="w")
    discoveries.begin_discovery(shop.conn, "papers", 1000)
    return shop


@pytest.fixture
def place(shop, settings, tmp_path):
    """Give a backup."""
    return Path(write_backup(settings, tmp_path / "backups").path)


def test_claims_and_messages_are_taken_back_so_that_the_run_goes_on_at_once(place, tmp_path):
    data = tmp_path / "elsewhere"
    done = restore(place, data / "tracker.db", data / "artifacts", "ann")
    assert (done.taken_back.claims, done.taken_back.messages, done.taken_back.discoveries) == (1, 2, 1)
    assert done.aside is None
    with tracker.open_db(data / "tracker.db") as conn:
        waiting = "SELECT count(*) FROM item_stages WHERE status = 'in_progress' OR queued_at IS NOT NULL"
        assert conn.execute(waiting).fetchone()[0] == 0
        assert len(discoveries.list_due_runs(conn)) == 1
        (event,) = [row for row in tracker.get_events(conn) if row["kind"] == "restore"]
        assert event["by"] == "ann"
        used = conn.execute("SELECT sha256 FROM artifacts").fetchall()
        assert [BlobStore(data / "artifacts").verify(row[0]).is_file() for row in used] == [True]
        artifacts.claim_folder(conn, BlobStore(data / "artifacts"))
    assert [path.name for path in data.iterdir() if path.name.startswith(".restore")] == []


def test_what_is_there_is_replaced_only_if_so_asked_and_is_kept_aside(shop, place, settings):
    shop.add("later")
    shop.runtime.close()
    with pytest.raises(OperatorError, match="is there already"):
        restore(place, settings.db_path, settings.artifacts_path, "ann")
    done = restore(place, settings.db_path, settings.artifacts_path, "ann", replace=True)
    keys = "SELECT count(*) FROM work_items"
    with tracker.open_db(settings.db_path) as conn, tracker.open_db(done.aside) as aside:
        assert (conn.execute(keys).fetchone()[0], aside.execute(keys).fetchone()[0]) == (4, 5)


def test_it_is_refused_while_another_process_has_the_tracker_open_and_all_is_as_it_was(shop, place, settings):
    shop.runtime.close()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(settings.db_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "open\n"
        before = settings.db_path.stat().st_ino
        with pytest.raises(TrackerInUseError, match="stop the workers"):
            restore(place, settings.db_path, settings.artifacts_path, "ann", replace=True)
        assert settings.db_path.stat().st_ino == before
        assert list(settings.data.glob("*before-restore*")) == []
        assert list(settings.data.glob(".restore*")) == []
    restore(place, settings.db_path, settings.artifacts_path, "ann", replace=True)


def test_a_tracker_that_is_broken_is_replaced_with_its_log(shop, place, settings):
    shop.runtime.close()
    settings.db_path.write_bytes(os.urandom(50_000))
    log = settings.db_path.with_name("tracker.db-wal")
    log.write_bytes(b"a log of the broken one")
    done = restore(place, settings.db_path, settings.artifacts_path, "ann", replace=True)
    assert Path(f"{done.aside}-wal").read_bytes() == b"a log of the broken one"
    assert not log.exists()
    with tracker.open_db(settings.db_path) as conn:
        assert conn.execute("SELECT count(*) FROM work_items").fetchone()[0] == 4


def test_a_backup_that_is_not_sound_is_not_restored(place, tmp_path):
    store = BlobStore(place / "artifacts")
    store.path(next(iter(store.list_placed())).sha256).unlink()
    with pytest.raises(TrackerUnusableError, match="not sound"):
        restore(place, tmp_path / "new" / "tracker.db", tmp_path / "new" / "artifacts", "ann")
    assert not (tmp_path / "new" / "tracker.db").exists()


def test_the_files_of_another_tracker_are_left_alone(shop, place, tmp_path):
    other = tmp_path / "other"
    with tracker.open_db(other / "tracker.db") as conn:
        artifacts.claim_folder(conn, BlobStore(other / "artifacts"))
    before = (other / "tracker.db").stat().st_ino
    with pytest.raises(TrackerUnusableError, match="another tracker"):
        restore(place, other / "tracker.db", other / "artifacts", "ann", replace=True)
    assert (other / "tracker.db").stat().st_ino == before


def test_the_newest_of_a_folder_is_taken_and_a_folder_without_one_is_named(shop, place, settings, tmp_path):
    shop.add("later")
    newest = write_backup(settings, place.parent).path
    done = restore(place.parent, tmp_path / "new" / "tracker.db", tmp_path / "new" / "artifacts", "ann")
    assert done.path == newest
    with pytest.raises(NotFoundError, match="backup"):
        restore(tmp_path / "plugins", tmp_path / "x" / "tracker.db", tmp_path / "x" / "artifacts", "ann")


def test_a_backup_that_an_older_celeriac_made_is_brought_up_to_date(shop, tmp_path):
    old = tmp_path / "old.db"
    open_of_version(old, 6).close()
    restore(old, tmp_path / "new" / "tracker.db", tmp_path / "new" / "artifacts", "ann")
    with tracker.open_db(tmp_path / "new" / "tracker.db") as conn:
        assert conn.pragma("user_version") == NEWEST_VERSION


def test_what_is_restored_twice_is_the_same(place, tmp_path):
    first = restore(place, tmp_path / "new" / "tracker.db", tmp_path / "new" / "artifacts", "ann")
    again = restore(
        place, tmp_path / "new" / "tracker.db", tmp_path / "new" / "artifacts", "ann", replace=True
    )
    assert replace(again, aside=None) == first


def test_a_waiting_stage_goes_on_waiting_for_its_time(shop, settings, tmp_path):
    with write(shop.conn):
        shop.conn.execute(
            "UPDATE item_stages SET queued_at = NULL, resend_at = NULL, retry_at = 99999999999999"
            " WHERE item_id = ? AND stage = 'fetch'",
            (shop.item_id("d"),),
        )
    place = Path(write_backup(settings, tmp_path / "more").path)
    shutil.rmtree(tmp_path / "new", ignore_errors=True)
    restore(place, tmp_path / "new" / "tracker.db", tmp_path / "new" / "artifacts", "ann")
    with tracker.open_db(tmp_path / "new" / "tracker.db") as conn:
        waits = "SELECT retry_at FROM item_stages WHERE item_id = ? AND stage = 'fetch'"
        assert conn.execute(waits, (shop.item_id("d"),)).fetchone()[0] == 99999999999999
