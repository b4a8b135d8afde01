from __future__ import annotations

import gc

import pytest

from cli.collecting import USUAL, collect_as_usual, collect_seldom


@pytest.fixture(autouse=True)
def _as_usual_afterwards():
    yield
    collect_as_usual()


def test_a_process_that_stays_collects_as_usual_again():
    collect_seldom()
    assert gc.get_threshold() != USUAL
    collect_as_usual()
    assert gc.get_threshold() == USUAL
