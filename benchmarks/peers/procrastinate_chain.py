"""Procrastinate on PostgreSQL: each task defers the next one, and writes its result into a table."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import procrastinate
import psycopg
from workload import FOLDER, PROCESSES, Peer, do_stage, running

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONCURRENCY = 4
DSN = f"host={FOLDER} user=bench dbname=postgres"
RESULTS = "CREATE TABLE results (item integer, stage text, result jsonb, PRIMARY KEY (item, stage))"
INSERT = "INSERT INTO results VALUES (%(item)s, %(stage)s, %(result)s)"
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=DSN))


async def do_and_store(item: int, stage: str) -> None:
    """Do a stage and store its result, which Procrastinate leaves to its user."""
    await app.connector.execute_query_async(INSERT, item=item, stage=stage, result=do_stage())


@app.task
async def first(item: int) -> None:
    """Do the first stage."""
    await do_and_store(item, "first")
    await second.defer_async(item=item)


@app.task
async def second(item: int) -> None:
    """Do the second stage."""
    await do_and_store(item, "second")
    await third.defer_async(item=item)


@app.task
async def third(item: int) -> None:
    """Do the third stage."""
    await do_and_store(item, "third")


def put(items: Iterable[int]) -> None:
    """Defer the first task of each item, in one statement."""
    first.batch_defer(*({"item": item} for item in items))


def count_results() -> int:
    """Count the results in their table."""
    with psycopg.connect(DSN) as conn:
        return int(conn.execute("SELECT count(*) FROM results").fetchone()[0])


def find_binaries() -> Path:
    """Find PostgreSQL's programs. Exits with a word where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise SystemExit("skipped: PostgreSQL is not installed")
    return (found[-1] if found else Path(str(on_path))).parent


@contextmanager
def postgres() -> Iterator[None]:
    """Run a server on a socket in the folder while the block runs; as root, it is the user `nobody`'s."""
    binaries, user = find_binaries(), "nobody" if os.geteuid() == 0 else None
    data = FOLDER / "postgres"
    data.mkdir()
    if user:
        shutil.chown(data, user)
        FOLDER.chmod(0o777)  # for the socket
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": data, "user": user}
    made = [str(binaries / "initdb"), "--auth", "trust", "--username", "bench", "--pgdata", str(data)]
    subprocess.run(made, check=True, **quiet)
    run = [str(binaries / "postgres"), "-D", str(data), "-k", str(FOLDER), "-c", "listen_addresses="]
    server = subprocess.Popen(run, **quiet)
    try:
        while subprocess.run([binaries / "pg_isready", "-q", "-h", FOLDER], check=False).returncode:
            if server.poll() is not None:
                raise SystemExit("skipped: PostgreSQL does not start")
            time.sleep(0.1)
        yield
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)


@contextmanager
def prepared() -> Iterator[None]:
    """Run the server with the tables that are needed, and this process's own connection."""
    with postgres(), app.open():
        app.schema_manager.apply_schema()
        with psycopg.connect(DSN) as conn:
            conn.execute(RESULTS)
        yield


WORKER = ["procrastinate", "--app", "procrastinate_chain.app", "worker", "--concurrency", str(CONCURRENCY)]
PEER = Peer(
    settings=f"{PROCESSES} processes of {CONCURRENCY} at once, PostgreSQL {find_binaries().parent.name} as it comes",
    on_disk=True,
    put=put,
    count_results=count_results,
    workers=lambda: running(*[WORKER] * PROCESSES),
    server=prepared,
)
