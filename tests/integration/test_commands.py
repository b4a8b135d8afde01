"""The handler `shell` in real prefork workers: exit codes are heard, and nothing stays behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.waiting import wait_until

if TYPE_CHECKING:
    from conftest import House

JOBS = """
version: 1
jobs:
  codes:
    discovery: {strategy: manual, items: ["0", "3", "4", "9"]}
    stages:
      - name: work
        handler: shell
        params: {command: [sh, -c, 'exit "$1"', "-", "{{ item.key }}"], skip_codes: [3], give_up_codes: [4]}
        retries: 0
  hangs:
    discovery: {strategy: manual, items: [only]}
    stages:
      - name: work
        handler: shell
        params: {command: [sh, -c, "echo $$ > leader; (setsid sleep 300 & echo $! > stray); sleep 300"]}
        retries: 0
        timeout: 3s
"""


def is_alive(pid_file: Path) -> bool:
    try:
        state = Path(f"/proc/{int(pid_file.read_text())}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_exit_codes_mean_the_same_in_a_worker_and_its_time_limit_ends_all_of_a_command(house: House) -> None:
    house.write_jobs(JOBS)
    worker = house.start_worker()
    house.start_beat()
    for job in ("codes", "hangs"):
        assert house.celery("call", "tasks.discover", "--args", f'["{job}"]').returncode == 0
    house.wait(lambda: house.settled() == 5)
    from tracker import open_readonly

    with open_readonly(house.db) as conn:
        ended = dict(
            conn.execute(
                "SELECT i.key, s.status || ': ' || coalesce(s.reason, '')"
                "  FROM work_items i JOIN item_stages s USING (item_id)"
            ).fetchall()
        )
    assert ended["0"] == "done: "
    assert ended["3"] == "skipped: sh ended with exit code 3"
    assert ended["4"] == "failed: sh ended with exit code 4"
    assert "CommandFailedError: sh ended with exit code 9" in ended["9"]
    assert "exceeded its timeout of 3 s" in ended["only"] or "its time was up" in ended["only"]
    wait_until(lambda: not any(is_alive(house.directory / name) for name in ("leader", "stray")))
    assert worker.poll() is None
