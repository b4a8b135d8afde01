from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

import tracker
from cli import exit_codes
from cli.brokers import GONE_SECONDS, LOOK_SECONDS, SharedWorkers
from handlers.desk import write_pointer
from pipeline.errors import BrokerUnavailableError
from pipeline.settings import Settings
from runner.broker import embedded_broker
from tests.waiting import PATIENCE_SECONDS
from tracker.blobs import BlobStore

STAGES = ["read_file", "summarise_text"]
SLOW = """
import time
from handlers.base import Handler


class Slow(Handler):
    def run(self, context):
        time.sleep(0.1)
        return {"read": True}


class Open(Handler):
    def run(self, context):
        context.artifact("mine.html", b"mine")
        return {"read": context.open_artifact(context.data["page"]).read_text()}


class Buy(Handler):
    def run(self, context):
        context.cost(0.1, "shop")
        return {"bought": True}
"""

MORE_JOBS = """
  opens:
    discovery: {strategy: manual, items: []}
    stages: [{name: open, handler: "handlers_of_mine:Open"}]
  broken:
    discovery: {strategy: manual, items: [a, b]}
    stages: [{name: read_file, retries: 0}]
  dear:
    discovery: {strategy: manual, items: [a, b, c]}
    budget: {usd_total: 0.1}
    stages: [{name: buy, handler: "handlers_of_mine:Buy", concurrency: 1}]
  slow:
    discovery: {strategy: local_files, root: many}
    stages: [{name: wait, handler: "handlers_of_mine:Slow"}]
"""


@pytest.fixture(autouse=True)
def more_jobs(folder):
    (folder / "handlers_of_mine.py").write_text(SLOW)
    (folder / "many").mkdir()
    for number in range(40):
        (folder / "many" / f"{number}.txt").touch()
    with (folder / "jobs.yaml").open("a") as file:
        file.write(MORE_JOBS)


def list_done(conn, stage):
    sql = """SELECT key FROM work_items JOIN item_stages USING (item_id)
              WHERE stage = ? AND item_stages.status = 'done' ORDER BY key"""
    return [row[0] for row in conn.execute(sql, (stage,))]


def test_a_run_ends_when_every_item_is_done_and_a_second_one_at_once(shell, conn, folder):
    ended = shell("run", "notes")
    assert ended.code == exit_codes.OK
    assert "notes: 2 found, 2 new" in ended.err
    assert "notes: 4 of 4 stages" in ended.err
    assert "notes: 2 done" in ended.out
    assert f"Results are in {folder}/data/tracker.db" in ended.out
    assert "celeriac results notes summarise_text" in ended.out
    assert not {"shutdown", "superuser"} & set((ended.out + ended.err).replace("\n", " ").split())
    again = shell("run", "notes", "--json")
    told = json.loads(again.out)
    assert (again.code, told["items"]["done"], told["discovery"]["new"]) == (exit_codes.OK, 2, 0)
    assert [stage["done"] for stage in told["stages"]] == [2, 2]


def test_a_run_with_failures_says_how_to_see_them_and_how_to_try_again(shell, tracked):
    ended = shell("run", "notes", "--item", "b.txt")
    assert ended.code == exit_codes.FAILED
    assert "notes: 1 failed" in ended.out
    assert "celeriac items notes --status failed" in ended.out
    assert "celeriac retry notes" in ended.out


def test_a_run_does_not_wait_for_an_hour(shell, conn):
    tracker.upsert_items(conn, "hand", [{"key": "x"}])
    item_id = conn.execute("SELECT item_id FROM work_items").fetchone()[0]
    tracker.mark_stage_in_progress(conn, item_id, "read_file", STAGES)
    tracker.mark_stage_retry_later(conn, item_id, "read_file", STAGES, delay=3600, reason="not yet")
    ended = shell("run", "hand")
    assert ended.code == exit_codes.WAITING
    assert "hand: 1 pending" in ended.out
    assert "the next is due 20" in ended.out


def test_a_run_of_a_paused_job_says_so(shell, conn):
    tracker.pause_job(conn, "notes", "lunch", by="me")
    ended = shell("run", "notes")
    assert ended.code == exit_codes.WAITING
    assert "paused by me: lunch (celeriac unpause notes)" in ended.out


def test_a_run_that_ends_at_a_budget_says_so(shell, conn):
    ended = shell("run", "dear")
    assert ended.code == exit_codes.WAITING
    assert "budget of $0.1000 in all reached: 2 waiting" in ended.out


def test_a_source_that_is_away_is_one_line_with_the_time_of_the_next_try(shell, conn, folder, closed_port):
    url = f"http://127.0.0.1:{closed_port}"
    with (folder / "jobs.yaml").open("a") as file:
        file.write(
            f"  away:\n    discovery: {{strategy: hacker_news, base_url: '{url}'}}\n    stages: [fetch]\n"
        )
    for command in ("run", "discover"):
        ended = shell(command, "away", CELERIAC_ALLOW_HOSTS="127.0.0.1")
        assert ended.code == exit_codes.SOURCE
        assert ended.out == ""
        (line,) = ended.err.splitlines()
        assert line.startswith("away: source unavailable: ")
        assert "; retry at 20" in line
    assert "source unavailable" in shell("status", "away").out


def test_a_run_whose_broker_does_not_answer_ends_at_once_and_names_it(shell, folder, closed_port, conn):
    away = f"redis://:hunter2@127.0.0.1:{closed_port}/0"
    ended = shell("run", "notes", CELERIAC_BROKER_URL=away)
    assert (ended.code, ended.out) == (exit_codes.UNUSABLE, "")
    (line,) = ended.err.splitlines()
    assert line.startswith(f"celeriac: the broker at redis://127.0.0.1:{closed_port}/0 does not answer (")
    assert line.endswith("): start it, or leave CELERIAC_BROKER_URL unset, and one is started here")
    assert tracker.get_pending_count(conn, "notes") == 0

    found = shell("run", "notes", "--discover-only", CELERIAC_BROKER_URL=away)
    assert (found.code, "notes: 2 found" in found.err) == (exit_codes.OK, True)


def test_a_run_keeps_to_what_it_is_told(shell, conn):
    ended = shell("run", "notes", "--limit", "1", "--stage", "read_file")
    assert ended.code == exit_codes.WAITING  # its second stage was left out
    assert list_done(conn, "read_file") == ["a.txt"]
    assert shell("run", "notes", "--item", "b.txt").code == exit_codes.OK
    assert list_done(conn, "summarise_text") == ["b.txt"]
    unknown = shell("run", "notes", "--item", "b.tx")
    assert (unknown.code, "did you mean 'b.txt'?" in unknown.err) == (exit_codes.NOT_FOUND, True)


@pytest.mark.parametrize(("options", "status"), [(["--no-reset"], "in_progress"), ([], "pending")])
def test_claims_of_dead_workers_are_given_back_unless_told_otherwise(shell, tracked, options, status):
    item_id = tracked.execute("SELECT item_id FROM work_items WHERE key = 'c.txt'").fetchone()[0]
    tracker.mark_stage_in_progress(tracked, item_id, "read_file", STAGES)
    ended = shell("run", "notes", "--discover-only", "--json", *options)
    assert json.loads(ended.out)["found"] == 2
    assert tracker.get_stage_status(tracked, item_id, "read_file") == status
    assert list_done(tracked, "read_file") == ["a.txt"]


def test_a_dry_run_prints_what_each_stage_gives_and_writes_nothing(shell, tracked, folder):
    tracked.close()
    before = {path: path.read_bytes() for path in (folder / "data").iterdir()}
    ended = shell("run", "notes", "--dry-run", "--limit", "1")
    assert ended.code == exit_codes.OK
    assert ended.out.startswith("a.txt\n  read_file: done\n")
    assert "    text: One. Two. Three.\n" in ended.out
    lines = [json.loads(line) for line in shell("run", "notes", "--dry-run", "--json").out.splitlines()]
    assert [(line["key"], line["stage"]) for line in lines[2:]] == [
        ("b.txt", "read_file"),
        ("b.txt", "summarise_text"),
    ]
    assert {path: path.read_bytes() for path in (folder / "data").iterdir()} == before


def test_a_dry_run_needs_no_tracker_and_makes_none(shell, folder):
    assert shell("run", "broken", "--dry-run").out.count("read_file: gave_up: no path") == 2
    assert not (folder / "data").exists()


def test_a_test_run_works_on_a_copy_and_leaves_the_tracker_as_it_was(shell, tracked, folder):
    tracked.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = (folder / "data" / "tracker.db").read_bytes()
    ended = shell("run", "notes", "--test", "--single-pass")
    assert ended.code == exit_codes.FAILED  # the copy has the real one's failure
    assert "2 found" in ended.err
    assert "on a copy of the tracker, which is gone now" in ended.out
    assert (folder / "data" / "tracker.db").read_bytes() == before
    assert tracker.get_stages_dict(tracked, "notes").keys() == {"a.txt", "b.txt", "c.txt"}
    assert tracker.get_pending_count(tracked, "notes") == 1


def test_a_test_run_needs_no_tracker_and_makes_none(shell, folder):
    ended = shell("run", "notes", "--test", "--json")
    assert (ended.code, json.loads(ended.out)["items"]["done"]) == (exit_codes.OK, 2)
    assert not (folder / "data").exists()


def test_a_test_run_has_the_real_artifacts_and_keeps_none_beside_them(shell, conn, folder):
    store = BlobStore(folder / "data" / "artifacts")
    blob = store.put(b"real")
    page = write_pointer(blob.sha256, "page.html", blob.size, None)
    conn.execute(
        "INSERT INTO artifacts (sha256, bytes, name, first_kept_at, last_kept_at, uses) VALUES (?, 4, 'page', 1, 1, 0)",
        (blob.sha256,),
    )
    tracker.upsert_items(conn, "opens", [{"key": "x", "data": {"page": page}}])
    ended = shell("run", "opens", "--test", "--json")
    assert json.loads(ended.out)["items"]["done"] == 1, ended
    assert [one.sha256 for one in store.list_placed()] == [blob.sha256]


def test_a_run_is_either_dry_or_on_a_copy(call):
    assert call("run", "notes", "--dry-run", "--test").code == exit_codes.INVALID


def test_a_single_pass_waits_for_no_retry(shell, conn):
    tracker.upsert_items(conn, "hand", [{"key": "x"}])
    item_id = conn.execute("SELECT item_id FROM work_items").fetchone()[0]
    tracker.mark_stage_in_progress(conn, item_id, "read_file", STAGES)
    tracker.mark_stage_retry_later(conn, item_id, "read_file", STAGES, delay=50, reason="not yet")
    ended = shell("run", "hand", "--single-pass")
    assert (ended.code, "hand: 1 pending" in ended.out) == (exit_codes.WAITING, True)


@pytest.mark.parametrize("program", [("-m", "cli.main"), ("-c", "from cli.main import run; run()")])
def test_ctrl_c_while_a_command_is_imported_still_shows_no_traceback(folder, program):
    (folder / "click.py").write_text("raise KeyboardInterrupt")  # the first that it imports of others
    ended = subprocess.run([sys.executable, *program, "run", "notes"], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")  # which a shell shows as 130


def test_a_run_that_is_stopped_in_the_middle_loses_nothing(
    start, eventually, conn, list_processes, shell, folder
):
    process = start("run", "slow")
    eventually(lambda: list_done(conn, "wait"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE_SECONDS) == exit_codes.INTERRUPTED
    assert "stopping: what runs may come to its end" in (folder / "log").read_text()
    eventually(lambda: not list_processes())
    left = tracker.get_pending_count(conn, "slow")
    assert 0 < left < 40
    assert shell("run", "slow").code == exit_codes.OK
    assert len(list_done(conn, "wait")) == 40
    assert conn.execute("SELECT max(attempt) FROM item_stages").fetchone()[0] <= 2


def test_the_workers_of_up_are_given_up_once_their_broker_is_gone_and_not_while_it_is_started_again(tmp_path):
    with embedded_broker(Settings(data=tmp_path)) as broker:
        workers = SharedWorkers(broker.url)
    workers.looked_at -= LOOK_SECONDS
    workers.see_to()
    workers.looked_at -= LOOK_SECONDS
    workers.answered_at -= GONE_SECONDS
    with pytest.raises(BrokerUnavailableError, match="was stopped"):
        workers.see_to()
