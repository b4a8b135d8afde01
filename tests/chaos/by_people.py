"""What people do beside the house: edit jobs.yaml, back up, and run other versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos import strangers, versions
from tests.chaos.house import Service
from tests.chaos.workload import THIRD, Edit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.chaos.house import House


def edit_jobs(house: House, random: Random) -> Iterator[float]:
    """Edit jobs.yaml: priorities, limits, batches, and a stage that comes and goes."""
    house.write_jobs(
        Edit(
            priority=random.randint(-5, 5),
            batch=random.choice([1, 7, 20, 50]),
            concurrency=random.randint(1, 6),
            swift_limit=random.choice(["", ", rate: 100/s", ", concurrency: 5"]),
            third=random.choice([THIRD, "", THIRD.replace("true", "false")]),
        ).text()
    )
    yield random.uniform(1, 15)


def break_jobs(house: House, random: Random) -> Iterator[float]:
    """Save a jobs.yaml that is not right, then the right one."""
    right = Edit().text()
    house.write_jobs(
        random.choice(
            [
                "",
                right[: random.randrange(len(right))],
                right.replace("stages:", "stagse:"),
                right.replace("batch: 20", "batch: many"),
                right.replace("chaos_handlers:Fast", "chaos_handlers:Gone"),
                "jobs: [\n",
            ]
        )
    )
    yield random.uniform(0.5, 8)
    house.write_jobs(right)


def back_up(house: House, random: Random) -> Iterator[float]:
    """Make a backup; it may be refused on a full disk, and must never be wrong."""
    backup = house.run("backup", str(house.folder / "backups"), "--keep", "2")
    (house.folder / "backups.log").open("a").write(backup.stdout + backup.stderr)
    yield 0


def fold_log(house: House, _: Random) -> Iterator[float]:
    """Let a stranger run a checkpoint that empties the write-ahead log."""
    stranger = house.run_stranger(strangers.FOLD_LOG)
    while stranger.poll() is None:
        yield 0.2


def add_next_version(house: House, random: Random) -> Iterator[float]:
    """Run a worker whose handlers are of the next version beside the others."""
    yield from _visit(
        house, random, Service(house, f"next-{len(house.visitors)}", *versions.WORKER, version="2")
    )


def add_previous_version(house: House, random: Random) -> Iterator[float]:
    """Run a worker of the code before this one, which works; of an older schema, it refuses the file with a word."""
    previous = versions.find_previous(house.folder, random)
    if previous is None:
        return
    service = Service(house, f"previous-{len(house.visitors)}", *versions.WORKER, tree=previous.tree)
    if not previous.is_older:
        yield from _visit(house, random, service)
        return
    house.visitors.append(service)
    service.start()
    yield 10
    service.wanted = False
    assert service.process is not None
    assert service.process.wait(120) not in (0, None), "a worker of an older schema did not refuse the file"
    log = (house.folder / f"{service.name}.log").read_text()
    refusals = ("made by a newer Celeriac", str(house.jobs))  # which may be broken at this moment, too
    assert any(refusal in log for refusal in refusals), f"a worker of an older schema said: {log[-300:]}"


def _visit(house: House, random: Random, service: Service) -> Iterator[float]:
    house.visitors.append(service)
    service.start()
    yield random.uniform(10, 25)
    service.stop(patience_seconds=20)
