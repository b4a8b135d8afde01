"""The tests can fail: in a copy of the code one line is broken, and what happens then breaks a promise."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import tracker
from tests.model.protocol import Fault
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(tracker.__file__).parents[1]
FLOORS = ("pipeline", "tracker", "net", "discovery", "handlers", "runner")


@dataclass(frozen=True)
class Breakage:
    """Text of a file that stands there once, what to put in its place, and a word of the promise that breaks."""

    file: str
    text: str
    instead: str
    broken: str


BREAKAGES = {
    Fault.ATTEMPT_NOT_CHECKED: Breakage(
        "tracker/moves.py",
        'return row["status"] == ended.ending.source and ended.attempt in (None, row["attempt"])',
        'return row["status"] == ended.ending.source',
        "its result is refused",
    ),
    Fault.CLAIM_NOT_COMPARED: Breakage(
        "tracker/claims.py",
        "s.status = :source AND s.attempt = (asked.value ->> 2) - 1 AND s.needs_left = 0",
        "s.needs_left = 0",
        "claim of attempt 1 found it in_progress",
    ),
    Fault.PUBLISHED_BEFORE_COMMIT: Breakage(
        "runner/advance.py",
        "        own[job.name] += refill(runtime, conn, job, queue)\n",
        "        publish(runtime, job, refill(runtime, conn, job, queue))\n",
        "runs ahead of the record",
    ),
    Fault.LEASE_NOT_RENEWED: Breakage(
        "tracker/claims.py",
        "UPDATE item_stages\n   SET leased_until = :leased_until\n WHERE",
        "UPDATE item_stages\n   SET leased_until = leased_until\n WHERE",
        "its result is refused",
    ),
    Fault.LEASE_NOT_LOOKED_AT: Breakage(
        "tracker/recovery.py",
        " WHERE status = 'in_progress' AND leased_until < :now\n",
        " WHERE status = 'in_progress' AND :now\n",
        "its result is refused",
    ),
}


def break_copy(folder: Path, breakage: Breakage) -> None:
    """Copy the code, and break one line of the copy."""
    for floor in FLOORS:
        shutil.copytree(ROOT / floor, folder / floor, ignore=shutil.ignore_patterns("__pycache__"))
    broken = folder / breakage.file
    source = broken.read_text()
    assert source.count(breakage.text) == 1, f"{breakage.file} no longer has, once: {breakage.text}"
    broken.write_text(source.replace(breakage.text, breakage.instead))


def replay(fault: Fault, code: Path, folder: Path) -> list[str]:
    """Go the machine's shortest way to a fault with some code, and give what is broken then."""
    folder.mkdir()
    ran = subprocess.run(
        [sys.executable, "-m", "tests.model.broken_copy", fault.name, str(folder)],
        cwd=code,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(code), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["code"] == str(code)
    return told["broken"]


@pytest.mark.parametrize("fault", Fault)
def test_a_broken_line_breaks_a_promise_and_the_code_as_it_is_none(fault, tmp_path):
    copy = tmp_path / "copy"
    break_copy(copy, BREAKAGES[fault])
    found = replay(fault, copy, tmp_path / "broken")
    assert any(BREAKAGES[fault].broken in one for one in found), found
    assert replay(fault, ROOT, tmp_path / "sound") == []
