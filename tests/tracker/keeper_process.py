"""A process of its own that keeps and collects files for the tests: commands come as lines of JSON, answers go so."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import tracker
from pipeline.errors import ArtifactError
from tracker import artifacts, claims, moves
from tracker.artifacts import Holder
from tracker.blobs import BlobStore
from tracker.collecting import DROP_ARTIFACT, collect
from tracker.connection import write
from tracker.endings import Ending

conn = tracker.open_raw_db(sys.argv[1])
store = BlobStore(Path(sys.argv[2]))


def keep_again_and_again(item_ids):
    """Keep the same content for each item, with a result that points at it for a moment; how often it was gone."""
    gone = 0
    for item_id in item_ids:
        claims.claim(conn, item_id, "fetch", 1, worker="w")
        blob = artifacts.keep(conn, store, Holder(item_id, "fetch", 1), b"the same for all", "a.txt")
        gone += _is_gone(blob.sha256)
        pointing = json.dumps({"file": {"artifact": f"sha256:{blob.sha256}"}})
        moves.settle(conn, item_id, "fetch", 1, Ending.finished(pointing, None))
        gone += _is_gone(blob.sha256)
        with write(conn):
            conn.execute("UPDATE results SET result = '{}' WHERE item_id = ?", (item_id,))
            conn.execute("DELETE FROM results_history WHERE item_id = ?", (item_id,))
    return gone


def _is_gone(sha256):
    try:
        store.verify(sha256)
    except ArtifactError:
        return True
    return False


def collect_until(name):
    """Collect until there is a file of this name; how many files were removed."""
    removed = 0
    while not os.path.exists(name):  # noqa: PTH110 - a plain look
        removed += collect(conn, store).files
    return removed


def keep_without_end(item_id):
    """Begin to keep something, say so after the first piece, and never come to the end of it."""
    artifacts.keep(conn, store, Holder(item_id, "fetch", 1), _pieces(), "endless")


def _pieces():
    yield b"x" * 3_000_000
    answer("writing")
    sys.stdin.readline()


def keep_and_stop_before_its_name(item_id):
    """Register a file, say so, and never give it its name."""
    with store.receive(b"nameless") as received:
        artifacts.register(conn, Holder(item_id, "fetch", 1), received.blob, "a", None)
        answer(received.blob.sha256)
        sys.stdin.readline()


def stop_while_collecting(sha256):
    """Put a file out, say so, and never come to the end of the transaction that takes it off the list."""
    with write(conn):
        store.put_out(sha256)
        conn.execute(DROP_ARTIFACT, {"sha256": sha256})
        answer("put out")
        sys.stdin.readline()


def answer(value):
    print(json.dumps(value), flush=True)  # noqa: T201 - that is how it talks


if __name__ == "__main__":
    answer("ready")
    for line in sys.stdin:
        name, arguments = json.loads(line)
        answer(globals()[name](**arguments))
