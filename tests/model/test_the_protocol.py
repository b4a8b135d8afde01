"""The protocol is right, as a machine: no state of it is bad, and each fault that it could have is found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.model.properties import explore_protocol
from tests.model.protocol import Fault, Protocol

ROOT = Path(__file__).parents[2]

FOUND_BY = {
    Fault.ATTEMPT_NOT_CHECKED: "a late word changes nothing",
    Fault.CLAIM_NOT_COMPARED: "an attempt has one worker",
    Fault.PUBLISHED_BEFORE_COMMIT: "no message runs ahead",
    Fault.LEASE_NOT_RENEWED: "who lives keeps its claim",
    Fault.LEASE_NOT_LOOKED_AT: "who lives keeps its claim",
}


@pytest.mark.timeout(600)  # some 20 seconds of a processor; on a busy machine that is minutes
def test_no_state_of_the_protocol_is_bad_and_from_each_fair_steps_lead_to_the_end():
    protocol = Protocol()
    found = explore_protocol(protocol.start(), protocol.steps)
    how_many = f"{found.states:,} states and {found.edges:,} steps"
    sys.stdout.write(f"{how_many}\n")
    assert found.counterexample is None, str(found.counterexample)
    assert how_many in (ROOT / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_in_the_protocol_is_found_with_the_shortest_way_to_it(fault):
    protocol = Protocol(fault=fault)
    found = explore_protocol(protocol.start(), protocol.steps).counterexample
    sys.stdout.write(f"{found}\n")
    assert found is not None
    assert found.wrong == f"broken: {FOUND_BY[fault]}"
    assert len(found.trace) <= 12


def test_a_stage_that_nobody_sends_again_is_found_to_be_stuck():
    def forgetful(state):
        return [(step, after) for step, after in sound.steps(state) if not step.name.startswith("take back")]

    sound = Protocol(attempts=1, messages=1)
    assert explore_protocol(sound.start(), sound.steps).counterexample is None
    found = explore_protocol(sound.start(), forgetful).counterexample
    assert found.wrong == "no fair steps lead to an end"
    assert [step.name for step, _ in found.trace[1:]] == ["dispatch", "die before publishing"]
