"""
The chaos run: a whole house at work while everything goes wrong, then the promises, checked from the file alone.

    python -m tests.chaos --seed 7 --seconds 120 --items 20000

Exit code 0 when every promise was kept, 1 when one was broken, 3 when the house did not come to an end in time.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.chaos.fronts import Fronts
from tests.chaos.house import House
from tests.chaos.report import Report
from tests.chaos.watch import COUNT_ITEMS, COUNT_UNDER_WAY, LAST_EVENT, Watch
from tests.chaos.workload import Edit, add_late_item, list_keys, must_end, write_items

SIZES = ((2, 2), (2, 4), (3, 3), (4, 2), (4, 4))
"""How many workers there are, and of how many processes each."""

START_LIMIT_SECONDS = 120
QUIET_SECONDS = 3


def main() -> int:
    asked = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=asked.folder))
    random = Random(asked.seed)
    workers, processes = random.choice(SIZES)
    house = House(folder, workers=workers, processes=processes)
    report = Report(asked.seed, asked.items, house)
    kept = False
    try:
        kept = run(house, report, asked)
    finally:
        house.close()
        report.save_file(keep=not kept or asked.keep)
        house.disk.release()
    if kept and not asked.keep:
        shutil.rmtree(folder)
    return report.exit_code


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1, help="what goes wrong, and when")
    parser.add_argument("--seconds", type=float, default=120, help="for how long things go wrong")
    parser.add_argument("--items", type=int, default=20_000, help="how many items there are to work on")
    parser.add_argument(
        "--finish", type=float, default=600, help="how many seconds it may take to finish after that"
    )
    parser.add_argument(
        "--resend", type=float, help="after how many seconds a message counts as lost; without it, as ever"
    )
    parser.add_argument(
        "--folder", type=Path, help="where to make the run's folder; without it, among temporary files"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder even if all promises were kept")
    return parser.parse_args()


def run(house: House, report: Report, asked: argparse.Namespace) -> bool:
    """Run the house through its mishaps to its end, and check; whether every promise was kept."""
    items = write_items(house.folder, asked.items)
    stages = sum(len(must_end(job, key)) for job, key in list_keys(asked.items))
    house.write_jobs(Edit().text())
    if asked.resend is not None:
        house.resend_after(asked.resend)
    house.open()
    watch = Watch(house, time.monotonic())
    fronts = Fronts(house, asked.seed, watch.began_at)
    report.describe(fronts, stages)
    watch.wait_until(lambda: watch.settled > 0, START_LIMIT_SECONDS, fronts, stages)
    fronts.begin()
    watch.wait_until(lambda: False, asked.seconds, fronts, stages)
    fronts.heal()
    heal(house)
    watch.healed_at = watch.ask(LAST_EVENT)
    add_late_item(house.folder)
    finished = watch.wait_until(
        lambda: watch.ask(COUNT_ITEMS) == items and watch.ask(COUNT_UNDER_WAY) == 0,
        asked.finish,
        fronts,
        stages,
    )
    watch.look()
    stop(house, watch, fronts, stages)
    return report.check(watch, fronts, finished=finished)


def heal(house: House) -> None:
    """Put right whatever a mishap may have left, as somebody would who looks after the house."""
    house.write_jobs(Edit().text())
    if not house.broker_answers():
        house.start_broker()
    for service in house.services:
        service.clock.step_to(0)
        if not service.wanted:
            service.start()


def stop(house: House, watch: Watch, fronts: Fronts, stages: int) -> None:
    """Stop the house in order: nothing more is sent, what is on its way is taken, then the workers."""
    house.beat.stop()
    house.dashboard.stop()
    quiet_since = time.monotonic()

    def is_quiet() -> bool:
        nonlocal quiet_since
        with house.redis() as client:
            if any(client.llen(key) for key in client.scan_iter(_type="list")):
                quiet_since = time.monotonic()
        return time.monotonic() - quiet_since > QUIET_SECONDS

    watch.wait_until(is_quiet, 120, fronts, stages)
    for worker in house.workers:
        worker.stop()


if __name__ == "__main__":
    sys.exit(main())
