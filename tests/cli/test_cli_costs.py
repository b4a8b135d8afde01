"""`celeriac costs` and `celeriac stale`: what was spent, and what an older version made."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import time_machine

import tracker
from cli import exit_codes


@pytest.fixture
def spent(tracked):
    with time_machine.travel(datetime.now(UTC).replace(year=2020), tick=False):
        tracker.log_cost(tracked, "notes", 3, "openai", stage="read_file", model="big")
    tracker.log_cost(
        tracked, "notes", 1.234, "openai", stage="summarise_text", model="big", units={"input_tokens": 1200}
    )
    tracker.log_cost(tracked, "notes", None, "local", stage="summarise_text", units={"input_tokens": 5})
    tracker.log_cost(tracked, "hand", 0.01, "deepl")
    return tracked


@pytest.mark.usefixtures("spent")
def test_costs_are_shown_with_the_unknown_beside_the_sum(call):
    lines = call("costs", "notes", "--since", "7d").out.splitlines()
    assert lines[0].split() == ["job", "stage", "spent", "costs", "units"]
    assert lines[1].split("  ")[-1].strip() == "1,205 input tokens"
    assert "$1.23 and 1 of unknown price" in lines[1]
    assert lines[-1] == "total: $1.23 and 1 of unknown price"


@pytest.mark.usefixtures("spent")
def test_costs_of_all_jobs_are_one_json_object_with_their_total(call):
    told = json.loads(call("costs", "--json").out)
    assert told["by"] == "job"
    assert [(one["job"], one["usd"], one["unknown"]) for one in told["costs"]] == [
        ("hand", 0.01, 0),
        ("notes", 4.234, 1),
    ]
    assert told["total"]["costs"] == 4


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize(
    ("by", "heads"),
    [
        ("model", {"big": 4.234, None: 0.01}),
        ("day", {"2020": 3.0, "today": 1.244}),
        ("stage", {"read_file": 3.0, "summarise_text": 1.234, None: 0.01}),
        ("job", {"notes": 4.234, "hand": 0.01}),
    ],
)
def test_costs_can_be_added_up_by_any_heading(call, by, heads):
    told = json.loads(call("costs", "--by", by, "--json").out)
    added = {}
    for one in told["costs"]:
        head = one[by] if by != "day" else "2020" if one[by].startswith("2020") else "today"
        added[head] = round(added.get(head, 0) + one["usd"], 3)
    assert added == heads


@pytest.mark.usefixtures("spent")
def test_what_was_spent_today_is_a_note_in_the_status(call):
    assert "spent today: $1.23 and 1 of unknown price" in call("status", "notes").out


@pytest.mark.usefixtures("tracked")
def test_nothing_spent_is_said_and_is_no_error(call):
    assert call("costs").out == "nothing was spent\n"


@pytest.mark.usefixtures("tracked")
@pytest.mark.parametrize("since", ["soon", "-3d", "2026-13-01"])
def test_a_since_that_is_no_time_is_refused_with_what_is_allowed(call, since):
    ended = call("costs", f"--since={since}")
    assert ended.code == 2  # as click has it
    assert "a span such as" in ended.err


@pytest.mark.parametrize("command", ["costs", "stale"])
@pytest.mark.usefixtures("tracked")
def test_an_unknown_job_is_not_found_with_the_likeliest_name(call, command):
    ended = call(command, "note")
    assert ended.code == exit_codes.NOT_FOUND
    assert "did you mean 'notes'?" in ended.err


def test_results_of_another_version_are_stale_and_those_of_this_one_are_not(call, tracked):
    told = {
        one["stage"]: one
        for one in json.loads(call("stale", "notes", "--json").out)
        if one["state"] == "current"
    }
    version = told["read_file"]["version"]
    tracked.execute("UPDATE results SET handler_version = ? WHERE stage = 'read_file'", (version,))
    told = json.loads(call("stale", "notes", "--json").out)
    assert [(one["stage"], one["state"], one["results"]) for one in told] == [
        ("read_file", "current", 1),
        ("summarise_text", "current", 0),
        ("summarise_text", "stale", 1),
    ]
    assert call("stale").out.splitlines()[-1] == "stale: 1 of 2 results"


def test_a_stage_that_is_not_in_jobs_yaml_or_cannot_be_imported_is_of_unknown_state(call, tracked, folder):
    tracker.store_result(tracked, "notes", "a.txt", "gone", {}, "v1")
    jobs = (folder / "jobs.yaml").read_text()
    (folder / "jobs.yaml").write_text(
        jobs.replace("root: files}\n    stages: [read_file,", "root: files}\n    stages: [")
    )
    told = {one["stage"]: one for one in json.loads(call("stale", "notes", "--json").out)}
    assert (told["gone"]["state"], told["gone"]["reason"]) == ("unknown", "not in jobs.yaml")
    assert told["read_file"]["state"] == "unknown"
    assert "stale: 1 of 3 results" in call("stale", "notes").out
