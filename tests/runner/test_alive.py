"""Which processes live."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.alive import is_alive

ROOT = Path(__file__).parents[2]


def test_a_process_lives_until_it_has_ended():
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    assert is_alive(process.pid)
    process.communicate()
    assert not is_alive(process.pid)


@pytest.mark.parametrize("what", [None, "1", "", 2**80, -(2**40)])
def test_what_is_no_process_id_does_not_live(what):
    assert not is_alive(what)


AS_ANOTHER = """
import os, sys
from runner.alive import is_alive
os.setuid(65534)
print(is_alive(int(sys.argv[1])))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_a_process_of_another_user_lives():
    asked = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER, str(os.getpid())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout == "True\n"
