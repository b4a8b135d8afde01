"""
Have an old release send each kind of message that it knows, and write them down as they lie on the broker.

`python tests/upgrades/make_messages.py NAME` with the old release first on the path; it writes
`tests/upgrades/messages/NAME.json` beside this file. How to: docs/upgrading.md, For maintainers.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import tempfile
from pathlib import Path

import time_machine

HERE = Path(__file__).parent
KEYS = ("done", "broken")
sys.path.append(str(HERE))


def write_jobs(path: Path) -> None:
    """Write a job whose second stage runs far from the file, as every release reads it."""
    stages = [{"name": name, "handler": "house_plugins:Step"} for name in ("fetch", "far", "store")]
    stages[1] |= {"remote": True, "queue": "far", "params": {"stumbles": True}}
    job = {"discovery": {"strategy": "house_plugins:Source"}, "stages": stages}
    path.write_text(json.dumps({"version": 1, "jobs": {"papers": job}}))


def record(folder: Path) -> list[dict]:
    """Send a message of each kind, for an item that goes well and one that fails, and take them off the broker."""
    write_jobs(folder / "jobs.yaml")
    os.environ |= {
        "CELERIAC_JOBS": str(folder / "jobs.yaml"),
        "CELERIAC_DATA": str(folder),
    }
    import tracker
    from runner.dispatch import dispatch_job
    from tasks.app import app, get_runtime
    from tasks.line import TrackerLine
    from tasks.work import run_remote, run_stage

    runtime = get_runtime()
    app.conf.broker_url, app.conf.broker_transport_options = "memory://", {}
    tracker.upsert_items(
        runtime.tracker, "papers", [{"key": key, "data": {"title": "naïve"}} for key in KEYS]
    )
    dispatch_job(runtime, runtime.jobs.get_job("papers"))
    sent = take(app, "celery")
    for message in list(sent):
        run_stage(*message["args"])
    sent += (far := take(app, "far"))
    for message in far:
        run_remote(*message["args"])
    takes_progress = "told" in TrackerLine.alive.__annotations__
    TrackerLine(app, 1, "far", 1).alive(*((None,) if takes_progress else ()))
    say_that_a_worker_lives(app, runtime)
    sent += take(app, "tracker")
    runtime.publisher.publish_discovery("papers", scheduled=True)
    app.send_task("tasks.sweep")
    return sent + take(app, "celery")


def say_that_a_worker_lives(app, runtime) -> None:
    """Say it from afar, if the release does."""
    try:
        from runner.presence import Presence
        from tasks.line import PresenceLine
    except ImportError:
        return

    class FarPresence(Presence):
        is_far = True

    FarPresence(runtime, PresenceLine(app), "far@host", 1_769_904_000_000).say([18, 19], ["far"])


def take(app, queue: str) -> list[dict]:
    """Take all messages off a queue; their bodies are read, so that people can see what is in them."""
    found = []
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        while message := channel._get(queue) if channel._size(queue) else None:
            args, kwargs, embedded = json.loads(base64.b64decode(message.pop("body")))
            found.append(message | {"args": args, "kwargs": kwargs, "embedded": embedded})
    return found


def main(name: str) -> None:
    """Write the messages of the release that is on the path."""
    with tempfile.TemporaryDirectory() as folder, time_machine.travel(1_769_904_000, tick=False):
        text = json.dumps(record(Path(folder)), indent=1, ensure_ascii=False)
    target = HERE / "messages" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    for here, there in (
        (socket.gethostname(), "host"),
        (f"host:{os.getpid()}", "host:17"),
        (f'"pid": {os.getpid()}', '"pid": 17'),
        (str(Path.cwd()), "/srv/celeriac"),
        (str(HERE), "/srv/plugins"),
    ):
        text = text.replace(here, there)
    target.write_text(text + "\n")
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main(sys.argv[1])
