"""
Runs discoveries, each in a process of its own, and tells what each came to and how much memory it took.

Each line of its input is JSON: `{"strategy", "params", "client"}`, the latter for `PoliteClient`. It answers each with
a line of JSON: `{"keys", "refused", "problems", "error", "mebibytes"}`, where `keys` are the first hundred, and the
memory is the most that its process, or one that this started, ever held.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
from pathlib import Path

from discovery.base import Access
from net.client import PoliteClient
from pipeline.catalog import STRATEGY, load
from pipeline.errors import SourceError

STATUS = Path("/proc/self/status")


def run(asked):
    keys = []
    access = Access(
        PoliteClient(**asked["client"]),
        read_items=None,
        receive=lambda batch: keys.extend(item.key for item in batch.items[: 100 - len(keys)]),
    )
    strategy = load(STRATEGY, asked["strategy"])(asked["params"], access)
    error = None
    try:
        asyncio.run(strategy.discover())
    except SourceError as caught:
        error = f"{type(caught).__name__}: {caught}"
    said = {"keys": keys, "refused": dict(strategy.refused), "problems": strategy.problems, "error": error}
    return said | {"mebibytes": most_mebibytes()}


def most_mebibytes():
    """Read the most that this process, or one of its children, ever held."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // (
        1024 if sys.platform == "darwin" else 1
    )
    return max(own_kibibytes(), children) // 1024


def own_kibibytes():
    # Linux counts for getrusage what the parent held before it started this process; here it does not.
    if STATUS.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)


if __name__ == "__main__":
    answers, sys.stdout = sys.stdout, sys.stderr  # where the logs go
    for line in sys.stdin:
        if (child := os.fork()) == 0:  # what was imported is there already
            answers.write(json.dumps(run(json.loads(line))) + "\n")
            answers.flush()
            os._exit(0)
        os.waitpid(child, 0)
