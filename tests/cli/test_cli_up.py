from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli import exit_codes
from tests.waiting import PATIENCE_SECONDS
from tracker import mark_stage_in_progress
from tracker.clock import now_ms
from tracker.endings import Ending
from tracker.moves import settle

UP = ("up", "--concurrency", "2", "--port", "0")
DELAY = "from tasks import discover; print(discover.delay('notes'))"


def celery(*arguments):
    """Run one of Celery's own commands, as from a shell in the folder of jobs.yaml."""
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tasks", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def count_done(conn):
    return conn.execute("SELECT count(*) FROM work_items WHERE status = 'done'").fetchone()[0]


@pytest.fixture
def is_ready(folder):
    """Tell whether a worker in the background takes work."""
    return lambda: " ready." in (folder / "log").read_text()


@pytest.fixture
def up(start, eventually, is_ready):
    process = start(*UP)
    eventually(is_ready)
    return process


def test_a_running_up_serves_other_shells_until_it_is_interrupted(
    up, conn, shell, eventually, folder, list_processes
):
    second = shell(*UP)
    assert (second.code, "up already in" in second.err) == (exit_codes.UNUSABLE, True)

    assert "1 node online" in celery("inspect", "ping").stdout
    assert celery("call", "tasks.discover", "--args", '["notes"]').returncode == 0
    eventually(lambda: count_done(conn) == 2)

    ended = shell(
        "enqueue", "hand", "x", "--data", json.dumps({"path": str(folder / "files" / "a.txt")}), "--json"
    )
    assert json.loads(ended.out)["sent"] == 1
    eventually(lambda: count_done(conn) == 3)

    subprocess.run([sys.executable, "-c", DELAY], check=True, timeout=PATIENCE_SECONDS, capture_output=True)
    sql = "SELECT count(*) FROM discovery_runs WHERE job_id = 'notes' AND ended_at IS NOT NULL"
    eventually(lambda: conn.execute(sql).fetchone()[0] == 2)

    shared = shell("run", "notes")
    assert (shared.code, "notes: 2 done" in shared.out) == (exit_codes.OK, True)
    assert shell("health").code == exit_codes.OK

    up.send_signal(signal.SIGINT)
    assert up.wait(timeout=PATIENCE_SECONDS) == exit_codes.OK
    assert list_processes() == []
    assert (
        "\nstopping: what runs may come to its end, for at most 30 seconds; " in (folder / "log").read_text()
    )


def test_a_broker_that_does_not_answer_yet_is_named_and_waited_for(
    start, folder, eventually, is_ready, monkeypatch, closed_port
):
    from runner.broker import find_server

    monkeypatch.setenv("CELERIAC_BROKER_URL", f"redis://127.0.0.1:{closed_port}/0")
    process = start(*UP)
    eventually(lambda: "Ctrl-C" in (folder / "log").read_text())
    said = (folder / "log").read_text()
    assert f"but the broker at redis://127.0.0.1:{closed_port}/0 does not answer (" in said
    assert "yet; it goes on trying: " in said
    assert "celeriac is up" not in said
    with subprocess.Popen([find_server(), "--port", str(closed_port), "--save", ""], cwd=folder) as server:
        eventually(is_ready)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_SECONDS) == exit_codes.OK
        server.terminate()


def test_jobs_that_lack_something_here_are_named(start, folder, eventually, is_ready):
    lacks = 'discovery: {strategy: local_files, root: "${NOT_SET_HERE}"}, stages: [read_file]'
    runs = "discovery: {strategy: manual, items: []}, stages: [read_file]"
    jobs = {"one": lacks, "runs": runs, "two": lacks, "off": f"enabled: false, {lacks}"}
    lines = [f"  {name}: {{{job}}}\n" for name, job in jobs.items()]
    (folder / "jobs.yaml").write_text("".join(["version: 1\njobs:\n", *lines]))
    process = start("up", "--concurrency", "1", "--port", "0")
    eventually(lambda: "`celeriac check`" in (folder / "log").read_text())
    first, second = (folder / "log").read_text().splitlines()[:2]
    assert first.startswith("celeriac is up: 1 job, 1 worker process, tracker at ")
    assert second == "not run here: one, two; `celeriac check` tells what is missing"
    eventually(is_ready)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE_SECONDS) == exit_codes.OK


def test_a_wait_that_went_with_the_broker_of_before_is_kept(start, conn, shell, eventually, folder):
    data = json.dumps({"path": str(folder / "files" / "a.txt")})
    assert shell("enqueue", "hand", "x", "--data", data).code == exit_codes.OK
    item_id = conn.execute("SELECT item_id FROM work_items").fetchone()[0]
    attempt = mark_stage_in_progress(conn, item_id, "read_file", ["read_file", "summarise_text"])
    later = Ending.later("the source is busy", now_ms() + 2000)
    assert settle(conn, item_id, "read_file", attempt, later).countdown_seconds > 1
    start(*UP)
    eventually(
        lambda: count_done(conn) == 1
    )  # within 20 s: a message that is lost is sent again after a minute


def test_its_broker_may_be_killed_and_the_work_goes_on(up, conn, shell, eventually, folder):
    from pipeline.settings import load_settings
    from runner.broker import find_embedded

    pid = json.loads((folder / "data" / "broker.json").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: find_embedded(load_settings()) is not None)
    assert shell("enqueue", "hand", "x", "--data", json.dumps({"path": "a.txt"})).code == exit_codes.OK
    eventually(lambda: count_done(conn) == 1)


def test_killed_it_leaves_no_process_and_the_next_one_runs_until_sigterm(
    up, start, eventually, is_ready, folder, list_processes
):
    up.kill()
    up.wait(timeout=PATIENCE_SECONDS)
    eventually(lambda: not list_processes())
    note = json.loads((folder / "data" / "broker.json").read_text())
    shutil.rmtree(Path(note["url"].removeprefix("redis+socket://")).parent)  # nobody else would
    (folder / "log").write_text("")
    again = start(*UP)
    eventually(is_ready)
    again.send_signal(signal.SIGTERM)
    assert again.wait(timeout=PATIENCE_SECONDS) == exit_codes.OK
    assert list_processes() == []


def test_a_jobs_yaml_that_is_wrong_is_refused_before_anything_starts(shell, folder):
    (folder / "jobs.yaml").write_text("version: 1\njobs: {a: {stages: []}}\n")
    for command in ("up", "worker", "beat", "run a"):
        ended = shell(*command.split())
        assert ended.code == exit_codes.INVALID
        assert "jobs.yaml:2: jobs.a" in ended.err
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    "command", ["up", "worker", "beat", "run notes", "check", "status", "enqueue hand x", "doctor"]
)
def test_a_broker_of_no_known_kind_is_refused_by_every_command_before_anything_starts(shell, folder, command):
    ended = shell(*command.split(), CELERIAC_BROKER_URL="rdis://:hunter2@x")
    assert (ended.code, ended.out) == (exit_codes.UNUSABLE, "")
    assert ended.err == (
        "celeriac: CELERIAC_BROKER_URL: no broker is reached by rdis://; did you mean redis://? "
        "(allowed: redis://, rediss://, redis+socket://)\n"
    )
    assert not (folder / "data").exists()


@pytest.mark.parametrize("command", ["up", "worker", "run notes"])
def test_a_data_folder_that_cannot_be_used_is_named(shell, folder, command):
    (folder / "data").write_text("a file, not a folder")
    ended = shell(*command.split())
    assert ended.code == exit_codes.UNUSABLE
    assert str(folder / "data") in ended.err


def test_a_worker_ends_on_sigterm_and_does_its_work_meanwhile(
    start, folder, eventually, is_ready, conn, monkeypatch, shell
):
    from pipeline.settings import load_settings
    from runner.broker import embedded_broker

    with embedded_broker(load_settings(), announce=False) as broker:
        monkeypatch.setenv("CELERIAC_BROKER_URL", broker.url)
        process = start("worker", "--concurrency", "1", "--queues", "celery", "--hostname", "mine@%h")
        eventually(is_ready)
        assert shell("run", "notes").code == exit_codes.OK
        for (name,) in conn.execute("SELECT DISTINCT worker FROM item_stages").fetchall():
            os.kill(int(name.rpartition(":")[2]), 0)  # it lives, so it is not one that the run started
        process.terminate()
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
    assert "superuser" not in (folder / "log").read_text()


def test_flower_keeps_so_many_tasks_and_no_more(call, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr("celery.__main__.main", lambda: None)
    assert call("flower", "--port", "5556").code == exit_codes.OK
    assert sys.argv[-5:] == [
        "flower", "--address=127.0.0.1", "--port=5556", "--max-tasks=10000", "--enable-events=True",
    ]  # fmt: skip


@pytest.mark.parametrize("queues", ["", " ", ","])
def test_a_worker_that_is_told_no_queue_does_not_serve_all(call, monkeypatch, queues):
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr("celery.__main__.main", lambda: None)
    ended = call("worker", "--queues", queues)
    assert (ended.code, "--queues names none" in ended.err) == (exit_codes.INVALID, True)


def test_a_worker_says_which_of_its_queues_jobs_yaml_does_not_name(call, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr("celery.__main__.main", lambda: None)
    ended = call("worker", "--queues", "celery, nix")
    assert ended.code == exit_codes.OK
    assert ended.err == "jobs.yaml names no queue 'nix'; it names celery, tracker\n"


def test_flower_for_others_asks_for_a_password(call):
    ended = call("flower", "--address", "0.0.0.0")  # noqa: S104 - it is refused
    assert ended.code == exit_codes.INVALID
    assert "FLOWER_BASIC_AUTH" in ended.err
