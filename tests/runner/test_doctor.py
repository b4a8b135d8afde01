"""Each fault is made, found and, where that is safe, mended."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import apsw
import pytest
import time_machine
from workshop import job, step

import tracker
from pipeline.outcomes import RetryLater
from runner import doctor, house_checks, operate, tracker_checks
from runner.code_version import read_code_version
from runner.doctor import CHECKS, MENDS, check_up, repair
from runner.patient import Finding
from tracker.artifacts import Holder, keep
from tracker.claims import claim
from tracker.clock import now_ms
from tracker.doctor import measure_log
from tracker.notes import SWEPT_AT, set_note
from tracker.workers import WorkerWord, note_beat, note_worker


@pytest.fixture
def shop(open_workshop):
    """Open a workshop in which all is well but the broker, of which there is none."""
    shop = open_workshop(papers=job(step("fetch"), step("store")))
    shop.run("done")
    live(shop)
    return shop


def live(shop, **more):
    queues = ["celery", "tracker"]
    now = now_ms()
    word = WorkerWord("here", 7, "w1@here", [8], queues, read_code_version(), False, False, now, now)
    note_worker(shop.conn, replace(word, **more))
    note_beat(shop.conn)
    set_note(shop.conn, SWEPT_AT, str(now))


def look(shop, **more):
    return {finding.check: finding for finding in check_up(shop.runtime.settings, **more).findings}


def faults(shop, **more):
    """List what is not well, but for the broker, as (check, health)."""
    findings = check_up(shop.runtime.settings, **more).findings
    return [(one.check, one.health) for one in findings if one.health != "ok" and one.check != "broker"]


def test_a_sound_house_has_nothing_wrong(shop):
    assert faults(shop) == []
    assert faults(shop, full=True) == []


def test_a_job_that_is_removed_as_the_documents_say_leaves_a_sound_house(shop):
    page = (Path(doctor.__file__).parent.parent / "docs" / "running.md").read_text()
    shop.conn.execute(re.search(r"```sql\n(.*?)```", page, re.DOTALL)[1])
    assert shop.conn.execute("SELECT count(*) FROM results").fetchone()[0] == 0
    assert tracker.all_job_stats(shop.conn) == {}
    assert faults(shop, full=True) == []


def test_a_broker_that_does_not_answer_is_an_error(shop):
    found = look(shop)["broker"]
    assert found.health == "error"
    assert found.words.startswith("does not answer")


def test_a_check_up_changes_nothing(shop):
    before = shop.conn.execute("PRAGMA data_version").fetchone()[0]
    check_up(shop.runtime.settings, full=True)
    assert shop.conn.execute("PRAGMA data_version").fetchone()[0] == before


def test_an_event_says_what_was_mended_and_by_whom(shop):
    shop.conn.execute("UPDATE stage_counts SET pending = pending + 5 WHERE stage = 'fetch'")
    assert faults(shop) == [("counters", "error")]
    found = repair(shop.runtime, "ada")
    assert found.mended == {"counters": 1}
    assert faults(shop) == []
    (event,) = [row for row in tracker.get_events(shop.conn, limit=1000) if row["kind"] == "repair"]
    assert (event["by"], json.loads(event["detail"])) == ("ada", {"counters": 1})


def test_a_repair_with_nothing_to_mend_leaves_no_event(shop):
    assert repair(shop.runtime, "ada").mended == {}
    assert [row for row in tracker.get_events(shop.conn, limit=1000) if row["kind"] == "repair"] == []


def test_a_counter_that_no_index_can_tell_is_found_in_full(shop):
    shop.conn.execute("UPDATE stage_counts SET done = done + 5 WHERE stage = 'fetch'")
    assert faults(shop) == []
    assert faults(shop, full=True) == [("counters", "error")]
    assert repair(shop.runtime, "ada", full=True).mended == {"counters": 1}
    assert faults(shop, full=True) == []


def test_a_wrong_status_is_found_in_full_and_put_right(shop):
    shop.conn.execute("UPDATE work_items SET status = 'failed'")
    assert ("counters", "error") in faults(shop, full=True)
    assert repair(shop.runtime, "ada", full=True).mended == {"items": 1}
    assert faults(shop, full=True) == []


def test_a_claim_without_a_heartbeat_is_taken_back_and_sent_again(shop):
    with time_machine.travel(now_ms() / 1000 - 600, tick=False):
        (item_id,) = shop.add("a")
        shop.dispatch()
        claim(shop.conn, item_id, "fetch", 1, worker="dead:1")
    shop.publisher.waiting.clear()
    assert faults(shop) == [("claims", "error")]
    found = repair(shop.runtime, "ada")
    assert found.mended == {"claims": 1, "sent": 1}
    assert [message.attempt for message in shop.publisher.waiting] == [2]
    assert faults(shop) == []


def test_a_lost_message_is_sent_again(shop):
    with time_machine.travel(now_ms() / 1000 - 30, tick=False):
        shop.add("a")
        shop.dispatch()
    shop.publisher.waiting.clear()  # the broker lost it
    with time_machine.travel(now_ms() / 1000 + 60, tick=False):
        live(shop)
        assert faults(shop) == [("sent", "error")]
        assert repair(shop.runtime, "ada").mended == {"lost": 1, "sent": 1}
        assert faults(shop) == []
    assert [message.key for message in shop.publisher.waiting] == ["a"]


def test_what_is_due_and_was_not_sent_is_sent(shop):
    with time_machine.travel(now_ms() / 1000 - 7200, tick=False):
        shop.acts["fetch"] = lambda _: RetryLater(delay=3600, reason="quota")
        shop.run("a")
    assert faults(shop) == [("due", "warning")]
    assert repair(shop.runtime, "ada").mended == {"due": 1, "sent": 1}
    assert faults(shop) == []


def test_files_that_nothing_refers_to_are_collected_and_missing_ones_named(shop):
    (item_id,) = shop.add("a")
    shop.dispatch()
    claim(shop.conn, item_id, "fetch", 1, worker="here:8")
    kept = keep(shop.conn, shop.runtime.artifacts, Holder(item_id, "fetch", 1), b"some bytes", "page")
    stray = shop.runtime.artifacts.put(b"a stray")
    assert faults(shop) == [("artifacts", "warning")]
    assert repair(shop.runtime, "ada").mended == {"artifacts": 1}
    assert not shop.runtime.artifacts.path(stray.sha256).exists()
    assert faults(shop) == []
    path = shop.runtime.artifacts.path(kept.sha256)
    path.unlink()
    assert faults(shop) == [("artifacts", "error")]
    assert repair(shop.runtime, "ada").mended == {}


def test_a_file_that_was_changed_is_found_in_full(shop):
    (item_id,) = shop.add("a")
    shop.dispatch()
    claim(shop.conn, item_id, "fetch", 1, worker="here:8")
    kept = keep(shop.conn, shop.runtime.artifacts, Holder(item_id, "fetch", 1), b"some bytes", "page")
    path = shop.runtime.artifacts.path(kept.sha256)
    path.chmod(0o600)
    path.write_bytes(b"other bytes")
    assert faults(shop) == []
    assert faults(shop, full=True) == [("artifacts", "error")]


def test_a_large_log_is_folded(shop, monkeypatch):
    monkeypatch.setattr("runner.tracker_checks.LOG_LARGE_BYTES", 1000)
    shop.conn.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    shop.add(*(f"k{number}" for number in range(100)))
    assert ("log", "warning") in faults(shop)
    before = measure_log(shop.runtime.settings.db_path)
    assert repair(shop.runtime, "ada").mended["log"] == 1
    assert measure_log(shop.runtime.settings.db_path) < before


def test_a_trigger_that_is_gone_or_changed_and_a_table_that_is_not_ours_are_named(shop):
    shop.conn.execute("DROP TRIGGER item_stages_count_deletes")
    shop.conn.execute("DROP VIEW v_items")
    shop.conn.execute("CREATE VIEW v_items AS SELECT 1")
    shop.conn.execute("CREATE TABLE mine (x TEXT) STRICT")
    found = [one for one in check_up(shop.runtime.settings).findings if one.check == "schema"]
    assert [(one.health, one.words) for one in found] == [
        ("error", "the trigger item_stages_count_deletes is missing"),
        ("error", "the view v_items was changed"),
        ("warning", "the table mine is not ours"),
    ]


def test_a_row_that_refers_to_nothing_is_an_error(shop):
    shop.conn.execute("PRAGMA foreign_keys = OFF")
    shop.conn.execute(
        "INSERT INTO fingerprints (job_id, stage, item_id, fingerprint) VALUES ('papers', 'fetch', 999, 1)"
    )
    assert faults(shop) == [("foreign keys", "error")]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_pages_that_were_overwritten_are_an_error_and_nothing_more_is_asked(shop, share):
    path = shop.runtime.settings.db_path
    shop.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    shop.runtime.close()
    pages = path.stat().st_size // 2048
    with path.open("r+b") as file:
        file.seek(int(pages * share) * 2048)
        file.write(b"\x07" * 10 * 2048)
    found = check_up(shop.runtime.settings).findings
    assert {one.check for one in found if one.health == "error"} & {"tracker", "integrity"}
    assert "counters" not in [one.check for one in found]


def test_a_file_that_is_no_tracker_is_an_error_and_one_that_is_not_there_a_warning(shop):
    path = shop.runtime.settings.db_path
    shop.runtime.close()
    for one in path.parent.glob("tracker.db*"):
        one.unlink()
    assert look(shop)["tracker"].health == "warning"
    assert not path.exists()
    path.write_text("no database at all, and long enough to be looked at" * 50)
    assert look(shop)["tracker"].health == "error"
    assert "is not an SQLite database" in look(shop)["tracker"].words


def test_a_tracker_of_an_older_release_is_named(shop):
    path = shop.runtime.settings.db_path
    shop.runtime.close()
    older = apsw.Connection(str(path))
    older.pragma("user_version", 1)
    older.close()
    assert "older Celeriac" in look(shop)["tracker"].words


def test_the_clock_of_another_machine_is_an_error(shop):
    with time_machine.travel(now_ms() / 1000, tick=False):
        live(shop, pid=17, name="far@there", remote=True, at=now_ms() + 3_600_000)
        assert faults(shop) == [("clocks", "error")]
        assert "the clock of worker far@there is 1 h ahead of ours" in look(shop)["clocks"].words


def test_a_claim_made_in_the_future_is_an_error(shop):
    (item_id,) = shop.add("a")
    shop.dispatch()
    with time_machine.travel(now_ms() / 1000 + 3600, tick=False):
        claim(shop.conn, item_id, "fetch", 1, worker="here:8")
    assert ("clocks", "error") in faults(shop)


def test_beat_and_sweep_that_are_late_are_errors(shop):
    with time_machine.travel(now_ms() / 1000 + 600, tick=False):
        note_worker(
            shop.conn,
            WorkerWord(
                "here", 7, "w1", [8], ["celery"], read_code_version(), False, False, now_ms(), now_ms()
            ),
        )
        assert faults(shop) == [("beat", "error"), ("sweep", "error")]


def test_a_sweep_that_waits_for_a_process_while_what_runs_takes_long_is_a_warning(shop):
    (item_id,) = shop.add("a")
    shop.dispatch()
    claim(shop.conn, item_id, "fetch", 1, worker="here:8", lease_seconds=3600)
    with time_machine.travel(now_ms() / 1000 + 600, tick=False):
        note_beat(shop.conn)
        found = look(shop)["sweep"]
    assert found.health == "warning"
    assert found.words.endswith("what runs takes long, and it waits for a process")


def test_a_house_that_never_ran_has_warnings_only(open_workshop):
    shop = open_workshop()
    assert faults(shop) == [("beat", "warning"), ("sweep", "warning"), ("workers", "warning")]


def test_a_worker_of_other_code_and_a_silent_one_are_warnings(shop):
    with time_machine.travel(now_ms() / 1000 - 600, tick=False):
        live(shop, pid=17, name="gone@here")
    live(shop, version="0.0.1+old", name="old@here")
    assert faults(shop) == [("workers", "warning"), ("code version", "warning")]
    assert look(shop)["code version"].do == "restart old@here"


def test_a_handler_that_was_edited_after_a_worker_started_is_a_warning(shop):
    file = Path(shop.plugins.__file__)
    assert faults(shop) == []
    os.utime(file, (time.time() + 60, time.time() + 60))
    assert faults(shop) == [("handlers", "warning")]
    assert look(shop)["handlers"].words.startswith(f"{file.name} was changed ")
    live(shop, remote=True)  # it has files of its own
    assert faults(shop) == []


def test_a_queue_that_nobody_serves_is_an_error_while_work_waits_there(shop):
    shop.edit(papers=job(step("fetch", queue="slow"), step("store")))
    assert faults(shop) == []
    shop.add("a")
    shop.dispatch()
    assert faults(shop) == [("queues", "error")]
    assert look(shop)["queues"].words == "no worker serves slow, where 1 stage of papers waits"
    assert look(shop)["queues"].do == "`celeriac worker --queues slow`"


def test_where_no_worker_lives_a_queue_is_served_by_what_brings_a_broker_too(shop):
    shop.conn.execute("DELETE FROM workers")
    shop.add("a", "b")
    shop.dispatch()
    assert look(shop)["queues"].words == "no worker serves celery, where 2 stages of papers wait"
    assert look(shop)["queues"].do == "`celeriac up`"


def test_a_jobs_yaml_that_is_refused_and_a_job_that_cannot_run_here(shop):
    lacking = step("fetch")
    lacking["params"]["do"] = "${NO_SUCH_VARIABLE_HERE}"
    shop.edit(papers=job(lacking, step("store")))
    assert faults(shop) == [("extras", "warning")]
    shop.runtime.settings.jobs.write_text("jobs: [")
    assert ("jobs.yaml", "error") in faults(shop)


def test_a_disk_that_is_nearly_full(shop, monkeypatch):
    usage = shutil.disk_usage(shop.runtime.settings.data)
    monkeypatch.setattr(house_checks, "DISK_SHORT_BYTES", usage.total * 2)
    assert faults(shop) == [("disk", "warning")]
    monkeypatch.setattr(house_checks, "DISK_FULL_BYTES", usage.total * 2)
    assert faults(shop) == [("disk", "error")]


def test_a_file_that_anybody_can_write_is_a_warning(shop):
    shop.runtime.settings.db_path.chmod(0o666)
    assert faults(shop) == [("permissions", "warning")]


CHECK_UP_AS_NOBODY = """
import os, sys
from pathlib import Path
from pipeline.settings import load_settings
from runner.doctor import check_up
check_up(load_settings())  # there is no tracker yet, but what is imported on use
os.environ["CELERIAC_DB"] = sys.argv[1]
if os.getuid() == 0:  # root may write anywhere
    os.setuid(65534)
for finding in check_up(load_settings()).findings:
    if finding.check in ("tracker", "permissions"):
        print(finding.health, finding.check, finding.words, "->", finding.do)
"""


def test_a_folder_that_cannot_be_written_is_no_reason_to_restore():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracker.db"
        with tracker.open_db(path):
            pass
        path.parent.chmod(0o555)
        command = [sys.executable, "-c", CHECK_UP_AS_NOBODY, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert f"error tracker cannot read {path}: nobody else has it open" in done.stdout
    assert f"error permissions {folder} cannot be written by this user -> chmod" in done.stdout
    assert "restore" not in done.stdout


def test_only_a_damaged_file_is_a_reason_to_restore(shop):
    path = shop.runtime.settings.data / "other.db"
    settings = shop.runtime.settings.model_copy(update={"db": path})
    for version, do in ((1, ""), (None, "restore a backup: celeriac restore")):
        if version is None:
            path.write_text("not a database, but more than a page of it\n" * 100)
        else:
            with closing(apsw.Connection(str(path))) as older:
                older.execute("CREATE TABLE work_items (a)")
                older.pragma("user_version", version)
        (found,) = (one for one in check_up(settings).findings if one.check == "tracker")
        assert (found.health, found.do) == ("error", do)


def test_a_check_that_breaks_does_not_keep_the_others_from_looking(shop, monkeypatch):
    def breaks(patient):
        raise ValueError("unforeseen")

    broken = [
        replace(check, look=breaks) if check.look.__name__ == "check_due" else check for check in CHECKS
    ]
    monkeypatch.setattr(doctor, "CHECKS", broken)
    assert faults(shop) == [("breaks", "error")]


def test_whatever_a_finding_says_mends_it_is_there():
    mend = [field.name for field in fields(Finding)].index("mend")
    made = [
        node.args
        for module in (house_checks, tracker_checks)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"
    ]
    assert {ast.literal_eval(given[mend]) for given in made if len(given) > mend} == MENDS.keys()


def test_doctor_and_collector_are_two_ways_to_the_same(shop):
    shop.runtime.artifacts.put(b"a stray")
    assert operate.collect_artifacts(shop.runtime, "ada").files == 1
    assert faults(shop) == []
