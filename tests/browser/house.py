"""A house whose tracker is filled by real runs, and a real server of its dashboard."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
from filled import STAGES, fill
from hostile import TEXTS

import tracker
from tests.ports import find_free_port
from tests.waiting import wait_until
from tracker.connection import write
from tracker.plan import make_plan, remember_plan
from tracker.sources import SourceLook, record_looks

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT_SECONDS = 200.0

JOBS = """\
version: 1
defaults: {retries: 0}
jobs:
  papers:
    title: Papers to read
    discovery: {strategy: manual, items: [{key: a}, {key: b}]}
    stages: [{name: read, handler: read_file}, {name: note, handler: read_file}MORE]
  letters:
    title: Letters to the editor
    schedule: "@daily"
    budget: {usd_per_day: 5}
    discovery:
      strategy: manual
      items: LETTERS
    stages:
      - {name: open, handler: python, params: {function: "post_office:open_letter"}}
      - {name: answer, handler: python, params: {function: "post_office:answer", arguments: {tone: TONE}}}
      - {name: file, handler: python, params: {function: "post_office:file_letter"}}
  strangers:
    title: "<script>window.ran = 1</script>"
    discovery: {strategy: manual, items: []}
    stages:
      - {name: repeat, handler: python, params: {function: "post_office:repeat"}}
      - {name: fail, handler: python, params: {function: "post_office:fail"}}
"""

LETTERS = [{"key": f"letter-{n:02}", "data": {"number": n, "from": f"reader {n}"}} for n in range(1, 61)]
STRANGE = {name: text.replace("alert(1)", "window.ran=1") for name, text in TEXTS.items()}


def write_jobs(directory: Path, tone: str, more: str = "") -> None:
    """Write jobs.yaml: with what tone letters are answered, and which stages papers have besides."""
    text = JOBS.replace("LETTERS", json.dumps(LETTERS)).replace("TONE", tone).replace("MORE", more)
    (directory / "jobs.yaml").write_text(text)


def environment_of(directory: Path) -> dict[str, str]:
    told = {
        "CELERIAC_DATA": str(directory),
        "CELERIAC_JOBS": str(directory / "jobs.yaml"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
    }
    return {name: text for name, text in os.environ.items() if not name.startswith("CELERIAC_")} | told


def celeriac(directory: Path, *arguments: str) -> None:
    """Run one of our commands to its end; a pass in which something failed is one, too."""
    ran = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        env=environment_of(directory),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert ran.returncode in (0, 1, 6), ran.stderr


def fill_house(directory: Path) -> None:
    """
    Fill a house: what waits, runs, is done and has failed, what cost something, and what strangers wrote.

    Every fourth letter has failed; the answers are those of a jobs.yaml that was changed since.
    """
    write_jobs(directory, "kind")
    with tracker.open_db(directory / "tracker.db") as conn:
        tracker.upsert_items(
            conn,
            "strangers",
            [{"key": text[:3000], "data": {"text": text, text[:1000]: text}} for text in STRANGE.values()],
        )
    for job in ("letters", "strangers"):
        celeriac(directory, "run", job, "--single-pass", "--concurrency", "2")
    celeriac(directory, "priority", "letters", "letter-02", "7")
    with tracker.open_db(directory / "tracker.db") as conn:
        fill(conn)
        looks = [SourceLook(text[:3000], error=text[:3000]) for text in STRANGE.values()]
        with write(conn):
            record_looks(conn, "strangers", looks)
            record_looks(conn, "letters", [SourceLook("letter box", found=60, new=60)])
            conn.execute("UPDATE work_items SET source = key, host = key WHERE job_id = 'strangers'")
            remember_plan(conn, "papers", make_plan(STAGES))
    write_jobs(directory, "short", more=", {name: shelve, handler: read_file}")


class Dashboard:
    """A server of the dashboard, in a process of its own, over a copy of a filled house."""

    def __init__(self, directory: Path, filled: Path) -> None:
        self.directory, self._filled = directory, filled
        shutil.copytree(filled, directory)
        self.db = directory / "tracker.db"
        self.jobs = directory / "jobs.yaml"
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (directory / "dashboard.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "dashboard", "--port", str(self.port)],
            env=environment_of(directory),
            cwd=directory,
            stdout=self._log,
            stderr=self._log,
        )

    def wait(self) -> None:
        """Wait until it answers."""
        wait_until(lambda: self._answers() or self.process.poll() is not None, self.read_log)
        assert self.process.poll() is None, self.read_log()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:  # noqa: S310 - of this machine
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def read_log(self) -> str:
        return (self.directory / "dashboard.log").read_text(errors="replace")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=LIMIT_SECONDS)
        self._log.close()

    def restore(self) -> None:
        """Put the tracker's file back as it was filled, under the server that has it open."""
        shutil.copy(self._filled / "jobs.yaml", self.jobs)
        source, target = apsw.Connection(str(self._filled / "tracker.db")), apsw.Connection(str(self.db))
        target.set_busy_timeout(30_000)
        with closing(source), closing(target), target.backup("main", source, "main") as backup:
            backup.step()

    def ask(self, sql: str, *values: Any) -> Any:
        """Ask the tracker's file for one value."""
        with tracker.open_readonly(self.db) as conn:
            row = conn.execute(sql, values).fetchone()
            return row[0] if row else None

    def status(self, key: str, stage: str | None = None) -> str:
        """Read how a letter stands, or one of its stages."""
        if stage is None:
            return str(self.ask("SELECT status FROM work_items WHERE job_id = 'letters' AND key = ?", key))
        asked = "SELECT s.status FROM item_stages s JOIN work_items i USING (item_id) WHERE i.key = ? AND s.stage = ?"
        return str(self.ask(asked, key, stage))
