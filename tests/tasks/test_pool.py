from __future__ import annotations

import pytest

from tasks.pool import REMEMBERED, SHORT_SECONDS, Durations


@pytest.fixture
def durations():
    return Durations()


def test_a_kind_is_short_once_enough_of_its_tasks_were(durations):
    for _ in range(REMEMBERED - 1):
        durations.note("papers.read", SHORT_SECONDS)
    assert not durations.are_short("papers.read")
    durations.note("papers.read", SHORT_SECONDS)
    assert durations.are_short("papers.read")


def test_one_long_task_makes_its_kind_prove_itself_anew_and_no_other(durations):
    for kind in ("papers.read", "papers.note"):
        for _ in range(REMEMBERED):
            durations.note(kind, 0.001)
    durations.note("papers.read", SHORT_SECONDS * 1.1)
    assert not durations.are_short("papers.read")
    assert durations.are_short("papers.note")


def test_what_never_ran_is_not_taken_for_short(durations):
    assert not durations.are_short("papers.read")
