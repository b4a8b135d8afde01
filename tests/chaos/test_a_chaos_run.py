"""The chaos run in a minute: the same house, fewer items, no waiting at the end; `make chaos` is the long one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.chaos.house import ROOT

LIMIT_SECONDS = 900
"""It runs beside other tests; alone it takes about two minutes."""


@pytest.mark.timeout(LIMIT_SECONDS + 60)
def test_every_promise_is_kept_through_a_minute_of_chaos(tmp_path):
    run = subprocess.run(
        [
            *(sys.executable, "-m", "tests.chaos"),
            *(
                "--seed",
                "7",
                "--seconds",
                "60",
                "--items",
                "2000",
                "--finish",
                "600",
                "--resend",
                "10",
                "--folder",
                str(tmp_path),
            ),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr
