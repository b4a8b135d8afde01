"""
Run a small house with the code of an old release, and write its tracker down as SQL text.

`python tests/upgrades/make_fixture.py` with the old release first on the path; it writes
`tests/upgrades/schemas/NNNN.sql` beside this file, named by the schema. How to: docs/upgrading.md, For maintainers.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

import apsw.shell
import time_machine

HERE = Path(__file__).parent
sys.path.append(str(HERE))


import tracker  # noqa: E402 - whichever release is first on the path
from pipeline.settings import Settings  # noqa: E402
from runner.advance import advance  # noqa: E402
from runner.discover import discover  # noqa: E402
from runner.dispatch import dispatch_job  # noqa: E402
from runner.runtime import Runtime  # noqa: E402
from tracker import claims  # noqa: E402

JOB, PAUSED = "papers", "paused"


def write_jobs(path: Path, *, stumbles: bool) -> None:
    """Write the old house's jobs.yaml, as every release reads it."""
    stages = [
        {"name": name, "handler": "house_plugins:Step", "params": params, "retries": 0}
        for name, params in (("fetch", {}), ("extract", {"stumbles": stumbles}), ("store", {}))
    ]
    job = {"discovery": {"strategy": "house_plugins:Source"}, "stages": stages}
    path.write_text(json.dumps({"version": 1, "jobs": {JOB: job, PAUSED: job}}))


class Queue:
    """Keeps what is published; what waits for a time is not given out."""

    def __init__(self) -> None:
        self.waiting = deque()

    def publish_stages(self, job, messages):  # noqa: ARG002 - the publisher's contract
        self.waiting += [one for one in messages if one.countdown_seconds is None]

    def has_waiting_messages(self):
        return bool(self.waiting)


def fill(folder: Path) -> Path:
    """Run the house until nothing moves but what its items leave under way; give the tracker's path."""
    write_jobs(folder / "jobs.yaml", stumbles=True)
    settings, queue = Settings(jobs=folder / "jobs.yaml", data=folder), Queue()
    Runtime.worker = "worker:1"
    runtime = Runtime(settings, queue)
    for job_id in (JOB, PAUSED):
        discover(runtime, job_id)
    tracker.pause_job(runtime.tracker, PAUSED, "over the weekend", by="somebody")
    dispatch_job(runtime, runtime.jobs.get_job(JOB))
    while queue.waiting:
        message = queue.waiting.popleft()
        place = message.item_id, message.stage, message.attempt
        if (message.key, message.stage) == ("claimed", "extract"):
            claims.claim(runtime.tracker, *place, worker="worker:2")
        elif (message.key, message.stage) != ("sent", "extract"):
            advance(runtime, *place)
    tracker.upsert_items(runtime.tracker, JOB, [{"key": "unopened", "data": {"title": "found last"}}])
    runtime.close()
    return settings.db_path


def dump(path: Path) -> tuple[int, str]:
    """Write a tracker as SQL text, without this machine's paths; its schema's number, and the text."""
    conn, text = apsw.Connection(str(path)), io.StringIO()
    version = conn.pragma("user_version")
    shell = apsw.shell.Shell(db=conn, stdout=text)
    shell.process_command(".dump")
    lines = [line for line in text.getvalue().splitlines() if not line.startswith("--")]
    for place, name in ((Path(tracker.__file__).parents[1], "/srv/celeriac"), (HERE, "/srv/plugins")):
        lines = [line.replace(str(place), name) for line in lines]
    return version, "\n".join([*lines, f"PRAGMA user_version = {version};", ""])


def main() -> None:
    """Write the fixture of the release that is on the path."""
    with (
        tempfile.TemporaryDirectory() as folder,
        time_machine.travel(datetime(2026, 2, 1, tzinfo=UTC), tick=False),
    ):
        version, text = dump(fill(Path(folder)))
    target = HERE / "schemas" / f"{version:04}.sql"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)
    sys.stdout.write(f"{target}, {len(text):,} characters\n")


if __name__ == "__main__":
    main()
