from __future__ import annotations

import pytest

from tasks.durations import SHORT_SECONDS, Durations


@pytest.fixture
def durations():
    return Durations()


def note(durations, kind, *seconds):
    for one in seconds:
        durations.note(kind, one)


SHORT, LONG = [SHORT_SECONDS], [SHORT_SECONDS * 1.1]


def test_what_never_ran_is_not_taken_for_short(durations):
    assert not durations.are_short("papers.read")
    assert not durations.all_are_short()


def test_a_kind_is_short_once_enough_of_its_tasks_were(durations):
    note(durations, "papers.read", *SHORT * 30)
    assert not durations.are_short("papers.read")
    note(durations, "papers.read", *SHORT * 20)
    assert durations.are_short("papers.read")
    assert durations.all_are_short()


def test_a_long_one_now_and_then_is_overlooked(durations):
    note(durations, "papers.read", *SHORT * 50, *(SHORT * 19 + LONG) * 20)
    assert durations.are_short("papers.read")


def test_several_long_ones_make_their_kind_prove_itself_anew_and_no_other(durations):
    for kind in ("papers.read", "papers.note"):
        note(durations, kind, *SHORT * 100)
    note(durations, "papers.read", *LONG * 4)
    assert not durations.are_short("papers.read")
    assert not durations.all_are_short()
    assert durations.are_short("papers.note")
    note(durations, "papers.read", *SHORT * 20)
    assert durations.are_short("papers.read")
