"""The tracker does what the machine does: random walks through it, replayed on a real file, step by step."""

from __future__ import annotations

import random
from collections import Counter

from tests.model.protocol import Protocol
from tests.model.replay import OUTSIDE, OpenHouse
from tests.model.states import FAIR, Message

SEEDS, STEPS = 25, 80

EXPECTED = FAIR | OUTSIDE | {
    "stop", "die", "hand back", "claim while paused", "find the broker away", "publish, and hear nothing",
    "hear of the death twice",
}  # fmt: skip
ENDINGS = {"finish", "skip", "skip with the rest", "give up", "error", "later", "stopped"}


COMMON = {"duplicate": 4, "publish": 4, "hand back": 2, "lose": 0.3, "flush": 0.1}
"""How often a kind of step is taken for each time that another is: late and doubled messages are what is hard."""

ON = {"error", "later", "stopped"}
"""Endings after which the stage goes on, which three of four attempts have."""


def choose(steps, chance):
    """Choose a kind of step first, so that the rare ones are not drowned by the many ways to settle."""
    names = sorted({step.name for step, _ in steps})
    (name,) = chance.choices(names, [COMMON.get(name, 1) for name in names])
    of_it = [pair for pair in steps if pair[0].name == name]
    going_on = [pair for pair in of_it if pair[0].ending in ON]
    return chance.choice(going_on if going_on and chance.random() < 0.75 else of_it)


def test_random_walks_through_the_machine_are_what_the_tracker_does(tmp_path):
    protocol, taken, endings = Protocol(attempts=5, messages=3, retries=2), Counter(), Counter()
    for seed in range(SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        chance = random.Random(seed)
        with OpenHouse(folder, retries=2) as house:
            state, walked = protocol.start(), []
            for _ in range(STEPS):
                steps = list(protocol.steps(state))
                if not steps:
                    break
                step, state = choose(steps, chance)
                walked.append(str(step))
                stamped = house.do(step)
                assert house.read_rows() == state.rows, (seed, walked)
                assert stamped == ([_announced(state)] if step.stamps else []), (seed, walked)
                taken[step.name] += 1
                endings[step.ending] += 1
            assert house.list_broken() == [], (seed, walked)
    assert EXPECTED - set(taken) == set()
    assert ENDINGS - set(endings) == set()


def _announced(state):
    """Give the message that a step stamped: of the two stages one at most is on its way."""
    return next(Message(stage, row.attempt + 1) for stage, row in enumerate(state.rows) if row.stamped)
