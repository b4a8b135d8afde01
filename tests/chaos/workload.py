"""The work of the chaos run: its jobs.yaml, its items, and what each of them must come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.chaos_handlers import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DONE, FAILED, SKIPPED, PENDING = (
    frozenset({"done"}),
    frozenset({"failed"}),
    frozenset({"skipped"}),
    frozenset({"pending"}),
)

KINDS: Mapping[str, Mapping[str, float]] = {
    "swift": {"swift": 0.70},
    "paid": {"paid": 0.12},
    "branched": {"branched": 0.06},
    "changing": {"changing": 0.02},
    "rough": {
        "flaky": 0.03,
        "fails": 0.01,
        "gives-up": 0.01,
        "skips": 0.01,
        "skips-rest": 0.01,
        "later": 0.0163,
        "kills": 0.0005,
        "kills-once": 0.001,
    },
    "slow": {"doze": 0.004},
    "lengthy": {"long": 3},  # the last one is added when all is healed
    "late": {"brink": 0.001},
}
"""Which kinds of items each job has, and what share of all they are; from 1 on, how many."""

ROUGH_ENDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "flaky": (DONE, DONE),
    "fails": (FAILED, PENDING),
    "gives-up": (FAILED, PENDING),
    "skips": (SKIPPED, DONE),
    "skips-rest": (SKIPPED, SKIPPED),
    "later": (DONE, DONE),
    "kills": (FAILED, PENDING),
    "kills-once": (DONE, DONE),
}

ENDS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "swift": {"read": DONE, "weigh": DONE},
    "paid": {"ask": DONE, "keep": DONE},
    "branched": dict.fromkeys(("root", "left", "right", "both"), DONE),
    "changing": dict.fromkeys(("first", "second", "third"), DONE),
    "slow": {"doze": DONE},
    "lengthy": {"long": DONE},
    "late": {"brink": DONE | FAILED},  # the limit strikes just before or after the end
}
"""How the stages of each job must end; those of `rough` by the kind of the item."""

JOBS = """\
version: 1
defaults: {{retries: 2, backoff: 1s}}
apply_above: 1000000
jobs:
  swift:
    {found_in} swift.csv, key: key}}
    schedule: {{every: 20s}}
    first_run_max: null
    priority: {priority}
    stages:
      - {{name: read, handler: "tests.chaos.chaos_handlers:Fast"{swift_limit}}}
      - {{name: weigh, handler: "tests.chaos.chaos_handlers:Weigh", batch: {batch}}}
  paid:
    {found_in} paid.csv, key: key}}
    schedule: {{every: 20s}}
    first_run_max: null
    budget: {{usd_per_day: 100000}}
    stages:
      - {{name: ask, handler: "tests.chaos.chaos_handlers:Ask"}}
      - {{name: keep, handler: "tests.chaos.chaos_handlers:Keep"}}
  branched:
    {found_in} branched.csv, key: key}}
    schedule: {{every: 20s}}
    first_run_max: null
    stages:
      - {{name: root, handler: "tests.chaos.chaos_handlers:Fast"}}
      - {{name: left, handler: "tests.chaos.chaos_handlers:Fast", needs: root}}
      - {{name: right, handler: "tests.chaos.chaos_handlers:Fast", needs: root}}
      - {{name: both, handler: "tests.chaos.chaos_handlers:Fast", needs: [left, right]}}
  changing:
    {found_in} changing.csv, key: key}}
    schedule: {{every: 20s}}
    first_run_max: null
    stages:
      - {{name: first, handler: "tests.chaos.chaos_handlers:Fast"}}
      - {{name: second, handler: "tests.chaos.chaos_handlers:Fast"}}
{third}
  rough:
    {found_in} rough.csv, key: key}}
    schedule: {{every: 20s}}
    first_run_max: null
    stages:
      - {{name: try, handler: "tests.chaos.chaos_handlers:Rough"}}
      - {{name: after, handler: "tests.chaos.chaos_handlers:Fast"}}
  slow:
    {found_in} slow.csv, key: key}}
    schedule: {{every: 20s}}
    first_run_max: null
    stages:
      - {{name: doze, handler: "tests.chaos.chaos_handlers:Doze", concurrency: {concurrency}}}
  lengthy:
    {found_in} lengthy.csv, key: key}}
    schedule: {{every: 20s}}
    first_run_max: null
    stages:
      - {{name: long, handler: "tests.chaos.chaos_handlers:Doze", timeout: 2h}}
  late:
    {found_in} late.csv, key: key}}
    schedule: {{every: 20s}}
    first_run_max: null
    stages:
      - {{name: brink, handler: "tests.chaos.chaos_handlers:Brink", timeout: 1s, retries: 1}}
"""

THIRD = '      - {name: third, handler: "tests.chaos.chaos_handlers:Fast", enabled: true}'


@dataclass(frozen=True, slots=True)
class Edit:
    """What an editor may have made of jobs.yaml; the one without arguments is the last."""

    priority: int = 0
    batch: int = 20
    concurrency: int = 4
    swift_limit: str = ""
    third: str = THIRD

    def text(self) -> str:
        """Write jobs.yaml."""
        return JOBS.format(
            found_in="discovery: {strategy: csv_rows, path:",
            priority=self.priority,
            batch=self.batch,
            concurrency=self.concurrency,
            swift_limit=self.swift_limit,
            third=self.third,
        )


def list_keys(items: int) -> Iterator[tuple[str, str]]:
    """List every item as (job, key), of each kind at least one."""
    for job, shares in KINDS.items():
        for kind, share in shares.items():
            for number in range(int(share) or max(1, round(items * share))):
                yield job, f"{kind}-{number:05}"


def write_items(folder: Path, items: int) -> int:
    """Write the files that the jobs read their items from, without the one that comes late; how many items in all."""
    keys = list(list_keys(items))
    for job in KINDS:
        rows = [key for owner, key in keys if owner == job]
        found = rows[:-1] if job == "lengthy" else rows
        (folder / f"{job}.csv").write_text("\n".join(["key", *found]) + "\n")
    return len(keys)


def add_late_item(folder: Path) -> None:
    """Let the last of the long items be found: whoever takes it must keep its lease, now that all is well."""
    with (folder / "lengthy.csv").open("a") as rows:
        rows.write(f"long-{KINDS['lengthy']['long'] - 1:05}\n")


def must_end(job: str, key: str) -> Mapping[str, frozenset[str]]:
    """Tell in which status each stage of an item must end."""
    return ENDS[job] if job in ENDS else dict(zip(("try", "after"), ROUGH_ENDS[kind_of(key)], strict=True))
