"""What plugins print stands beside a command's answer, not in it."""

from __future__ import annotations

import json

import pytest

PRINTING = """
import os
from discovery.base import BaseDiscovery, FoundItem

print("printed by the import")

class Printing(BaseDiscovery):
    async def fetch_items(self):
        print("printed by the strategy")
        os.system("echo printed by its child")
        return [FoundItem("a", {"n": 1})]

def cook(context):
    print("printed by the handler")
    os.system("echo printed by its child")
    return {"cooked": True}
"""

JOBS = """
version: 1
jobs:
  printing:
    discovery: {strategy: "printing:Printing"}
    stages: [{name: cook, handler: python, params: {function: "printing:cook"}}]
"""


@pytest.mark.parametrize(
    ("command", "speakers"),
    [
        ("check", ["import"]),
        ("handlers printing:Printing", ["import"]),
        ("plan", ["import"]),
        ("discover printing", ["strategy", "child"]),
        ("discover printing --dry-run", ["strategy", "child"]),
        ("sources test printing:Printing", ["strategy", "child"]),
        ("try python function=printing:cook", ["handler", "child"]),
        ("test printing", ["strategy", "handler", "child"]),
    ],
)
def test_what_plugins_print_does_not_stand_in_the_json(folder, shell, command, speakers):
    (folder / "printing.py").write_text(PRINTING)
    (folder / "jobs.yaml").write_text(JOBS)
    ended = shell(*command.split(), "--json", given="")
    json.loads(ended.out)
    for speaker in speakers:
        assert f"printed by the {speaker}" in ended.err or f"printed by its {speaker}" in ended.err


def test_a_dry_run_prints_nothing_but_what_each_stage_would_give(folder, shell):
    (folder / "printing.py").write_text(PRINTING)
    (folder / "jobs.yaml").write_text(JOBS)
    ended = shell("run", "printing", "--dry-run", "--json")
    assert [json.loads(line)["stage"] for line in ended.out.splitlines()] == ["cook"]
    assert "printed by the handler" in ended.err
