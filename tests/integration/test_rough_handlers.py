"""What handlers do to their worker, and what becomes of their stages: the stage ends, the worker lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import House

ROUGH = """
import os, signal, sys, time

def exits(context): sys.exit(3)
def interrupts(context): raise KeyboardInterrupt
def forks(context):
    os.fork()
    return {"forked": True}
def prints(context):
    print("hello from", "a handler,", 1)
    print("and to the end", end="")
    return {"printed": True}
def returns_nothing(context): return None
def raises(context): raise RuntimeError(f"no luck with {context.key}")
def dies(context): os.kill(os.getpid(), signal.SIGKILL)
def too_slow(context): time.sleep(60)
def too_slow_and_deaf(context):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


def jobs(*names: str, timeout: str = "30s") -> str:
    entries = "".join(
        f"""
  {name.replace("_", "-")}:
    discovery: {{strategy: manual, items: [only]}}
    stages:
      - name: work
        handler: python
        params: {{function: "rough:{name}"}}
        retries: 0
        timeout: {timeout}
"""
        for name in names
    )
    return f"version: 1\njobs:{entries}"


def run_jobs(house: House, *names: str, timeout: str = "30s") -> None:
    house.write_module("rough", ROUGH)
    house.write_jobs(jobs(*names, timeout=timeout))
    worker = house.start_worker()
    house.start_beat()
    for name in names:
        assert (
            house.celery("call", "tasks.discover", "--args", f'["{name.replace("_", "-")}"]').returncode == 0
        )
    house.wait(lambda: house.settled() == len(names))
    assert worker.poll() is None


def reason(house: House, name: str) -> str:
    from tracker import open_readonly

    with open_readonly(house.db) as conn:
        row = conn.execute(
            "SELECT status || ': ' || coalesce(reason, '') FROM item_stages WHERE job_id = :job",
            {"job": name.replace("_", "-")},
        ).fetchone()
        return str(row[0])


def test_a_handler_that_exits_forks_prints_raises_or_returns_nothing_ends_its_stage_alone(
    house: House,
) -> None:
    run_jobs(house, "exits", "interrupts", "forks", "prints", "returns_nothing", "raises")
    assert reason(house, "exits") == "failed: SystemExit: 3"
    assert "KeyboardInterrupt" in reason(house, "interrupts")
    assert reason(house, "forks") == "done: "
    assert reason(house, "prints") == "done: "
    assert house.count("SELECT lines FROM attempt_logs WHERE job_id = 'prints'") == 2
    assert "returned None" in reason(house, "returns_nothing")
    assert "RuntimeError: no luck with only" in reason(house, "raises")
    assert house.count("SELECT count(*) FROM failures WHERE traceback LIKE '%rough.py%'") >= 1
    assert house.count("SELECT count(*) FROM results") == 2


def test_a_handler_that_exceeds_its_time_ends_even_if_it_will_not_listen(house: House) -> None:
    run_jobs(house, "too_slow", "too_slow_and_deaf", timeout="1s")
    for name in ("too_slow", "too_slow_and_deaf"):
        assert reason(house, name) == "failed: StageTimeout: exceeded its timeout of 1 s"


def test_a_handler_that_kills_its_worker_three_times_is_poison(house: House) -> None:
    run_jobs(house, "dies")
    assert reason(house, "dies").startswith("failed: poison: its worker died under it 3 times")
    assert house.count("SELECT attempt FROM item_stages") == 3
