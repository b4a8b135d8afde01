"""
The same workload written as a user would in Celeriac's peers: three stages that do nothing, a kilobyte from each.

    python benchmarks/peers/compare.py [--peers huey,rq,…] [--items 2000]

Each peer lives in an environment of its own, made from `locks/` in the user's cache folder, and runs alone, one after
the other; a bare Celery chain on the same broker before and after them is the measure of the machine. Beside the
stages a second stands the hand-over of a lone item, from a stage's end to the next one's start, in milliseconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent)]

from handover import JOB as LONE  # noqa: E402 - after the path is set
from handover import measure as measure_hand_overs  # noqa: E402
from house import empty_house  # noqa: E402
from sqlite_limit import TOGETHER, measure_limits  # noqa: E402
from throughput import HEAD, describe_job, run_celeriac, run_chain  # noqa: E402

LIMIT_SECONDS = 1800
JOBS = (
    HEAD
    + describe_job("one-by-one", "Kilobyte")
    + describe_job("in-batches", "Kilobyte", f", batch: {TOGETHER}")
    + LONE
)


@dataclass(frozen=True, slots=True)
class Known:
    """A peer: its script and variant, its lock, whose version is told, and how many items are enough for it."""

    script: str
    lock: str
    enough: int | None = None

    @property
    def environment(self) -> Path:
        """Where its environment is; another lock or another Python makes another one."""
        lock = (HERE / "locks" / f"{self.lock}.txt").read_bytes()
        digest = hashlib.sha256(lock + sys.version.encode()).hexdigest()[:12]
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "celeriac" / "peers" / f"{self.lock}-{digest}"

    def prepare(self) -> Path:
        """Make its environment if it is not there; its Python."""
        folder = self.environment
        if not (folder / "complete").exists():
            print(f"making the environment of {self.lock} …", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            pip = [
                folder / "bin" / "python",
                "-m",
                "pip",
                "--disable-pip-version-check",
                "install",
                "--quiet",
            ]
            subprocess.run([*pip, "--no-deps", "-r", HERE / "locks" / f"{self.lock}.txt"], check=True)
            (folder / "complete").touch()
        return folder / "bin" / "python"

    def read_version(self) -> str:
        """Read its version from its lock."""
        lines = (HERE / "locks" / f"{self.lock}.txt").read_text().splitlines()
        return next(
            line.removeprefix(f"{self.lock}==") for line in lines if line.startswith(f"{self.lock}==")
        )


PEERS = {
    "dramatiq": Known("dramatiq_chain", "dramatiq"),
    "huey-redis": Known("huey_chain", "huey"),
    "huey-sqlite": Known("huey_chain:sqlite", "huey"),
    "rq": Known("rq_chain", "rq"),
    "rq-simple": Known("rq_chain:simple", "rq"),
    "procrastinate": Known("procrastinate_chain", "procrastinate"),
    "dbos": Known("dbos_chain", "dbos"),
    "luigi": Known("luigi_chain", "luigi"),
    "prefect": Known("prefect_chain", "prefect", enough=100),
    "dagster": Known("dagster_chain", "dagster", enough=100),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one of them."""

    label: str
    stages_per_second: float
    on_disk: bool
    settings: str
    hand_over_ms: float | None = None

    def show(self, chain: float) -> None:
        """Print its line of the table, with its ratio to the bare chain."""
        kept = "yes" if self.on_disk else "no"
        hand_over = "" if self.hand_over_ms is None else f"{self.hand_over_ms:.1f}"
        speed = f"{self.stages_per_second:>9,.0f} {self.stages_per_second / chain:>7.2f}"
        print(f"{self.label:<22} {speed} {kept:>8} {hand_over:>10}  {self.settings}", flush=True)


def run_peer(name: str, items: int, processes: int, redis_socket: str) -> Seen:
    """Run a peer in an empty folder. Raises `LookupError` with the reason when nothing came of it."""
    peer = PEERS[name]
    script, _, variant = peer.script.partition(":")
    items = min(items, peer.enough or items)
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="celeriac-peer-", ignore_cleanup_errors=True) as folder:
        environment = kept | {
            "PEER_FOLDER": folder,
            "PEER_PROCESSES": str(processes),
            "PEER_REDIS_SOCKET": redis_socket,
            "PEER_VARIANT": variant,
            "PYTHONPATH": str(HERE),
        }
        command = [peer.prepare(), HERE / "measure.py", script, "--items", str(items)]
        try:
            ended = subprocess.run(
                command,
                env=environment,
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=LIMIT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise LookupError(f"not through after {LIMIT_SECONDS} s") from None
    if ended.returncode:
        raise LookupError(next(reversed(ended.stderr.strip().splitlines()), f"exit code {ended.returncode}"))
    told = json.loads(ended.stdout.splitlines()[-1])
    return Seen(
        f"{name} {peer.read_version()}",
        told["stages_per_second"],
        told["on_disk"],
        f"{told['settings']}; {items} items",
        told["hand_over_ms"],
    )


def compare(names: list[str], items: int, processes: int) -> None:
    """Print the table: the chain, Celeriac, and each peer; then SQLite's own limit."""
    from runner.broker import connect_to  # noqa: PLC0415 - after the environment is set

    url, us = os.environ["CELERIAC_BROKER_URL"], f"celeriac {version('celeriac')}"
    single, together = measure_limits(20_000)
    chain = run_chain(items, processes)
    print(
        f"\n3 stages that do nothing and give a kilobyte, {processes} processes; hand-over in milliseconds\n"
    )
    print(f"{'':<22} {'stages/s':>9} {'ratio':>7} {'on disk':>8} {'hand-over':>10}")
    late = f"acknowledged late, no results; {items} items"
    Seen(f"bare chain {version('celery')}", chain, on_disk=False, settings=late).show(chain)
    ours = run_celeriac(items, processes, "one-by-one")
    hand_over = median(measure_hand_overs(50, processes))
    Seen(
        us, ours, on_disk=True, settings=f"a task for each stage; {items} items", hand_over_ms=hand_over
    ).show(chain)
    batched = run_celeriac(5 * items, processes, "in-batches")
    Seen(us, batched, on_disk=True, settings=f"batch: {TOGETHER}; {5 * items} items").show(chain)
    for name in names:
        with closing(connect_to(url)) as broker:
            broker.flushall()
        try:
            run_peer(name, items, processes, url.removeprefix("redis+socket://")).show(chain)
        except LookupError as error:
            print(f"{name:<22} {error}", flush=True)
    again = run_chain(items, processes)
    Seen("bare chain, once more", again, on_disk=False, settings=late).show(chain)
    print(f"\nratio of Celeriac to the mean of both chains: {ours / mean((chain, again)):.2f}")
    print(f"SQLite alone, with our settings: {single:,.0f} single transactions of a kilobyte a second,")
    print(
        f"{together:,.0f} rows a second in transactions of {TOGETHER}. Celeriac with `batch: {TOGETHER}` does"
    )
    print(f"{batched / single:.2f} of the single ones   (target: at least 0.6, and 10,000 stages a second)")


def main() -> None:
    """Compare."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--peers", default=",".join(PEERS), help="Their names, with commas between; `none` for none."
    )
    options.add_argument("--items", type=int, default=2000)
    options.add_argument("--processes", type=int, default=2)
    asked = options.parse_args()
    names = [name for name in asked.peers.split(",") if name != "none"]
    unknown = sorted(set(names) - set(PEERS))
    if unknown:
        options.error(f"no peer called {', '.join(unknown)}; there are {', '.join(PEERS)}")
    for name in names:
        PEERS[name].prepare()
    with empty_house(JOBS):
        compare(names, asked.items, asked.processes)


if __name__ == "__main__":
    main()
