"""A child process for the bytes of strangers: it answers, and it can be stopped."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pipeline.confined import ChildEnd, ConfinedChild
from tests.waiting import PATIENCE_SECONDS

CHILD = """
import os, time
from pipeline.confined import answer_questions

def answer(question, body):
    if question["do"] == "wait":
        time.sleep(60)
    if question["do"] == "raise":
        raise ValueError("no")
    if question["do"] == "eat":
        bytearray(1 << 30)
    return {"pid": os.getpid(), "body": body.decode()}

if __name__ == "__main__":
    answer_questions(answer)
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    (tmp_path / "sample_child.py").write_text(CHILD)
    monkeypatch.syspath_prepend(tmp_path)
    with ConfinedChild("sample_child", 256 * 1024 * 1024) as child:
        yield child


def ask(child, what, body=b"", seconds=30.0):
    return child.ask({"do": what}, body, seconds)


def test_one_process_answers_one_question_after_another(child):
    first, second = ask(child, "say", b"a"), ask(child, "say", b"b" * 1_000_000)
    assert (first["body"], second["body"]) == ("a", "b" * 1_000_000)
    assert first["pid"] == second["pid"] != os.getpid()


@pytest.mark.parametrize(("what", "late"), [("raise", False), ("eat", False), ("wait", True)])
def test_a_question_that_costs_the_process_its_life_is_answered_by_that_and_the_next_gets_a_new_one(
    child, what, late
):
    before = ask(child, "say")["pid"]
    assert ask(child, what, seconds=1.0 if late else 30.0) == ChildEnd(late=late)
    assert ask(child, "say", b"again")["body"] == "again"
    assert ask(child, "say")["pid"] != before


def test_a_process_that_nobody_stops_ends_of_itself(tmp_path, child):
    source = CHILD.replace("    answer_questions", "    confined._ORPHAN_SECONDS = 0\n    answer_questions")
    source = source.replace("import os, time\n", "import os, time\nfrom pipeline import confined\n")
    (tmp_path / "sample_orphan.py").write_text(source)
    asked = b'{"bytes": 0, "seconds": 1, "question": {"do": "wait"}}\n'
    with subprocess.Popen(
        [sys.executable, "-m", "sample_orphan", str(256 * 1024 * 1024)],
        stdin=subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as orphan:
        orphan.stdin.write(asked)
        orphan.stdin.flush()
        assert orphan.wait(timeout=PATIENCE_SECONDS) != 0
