from __future__ import annotations

from itertools import combinations_with_replacement

import pytest

from pipeline.lifecycle import (
    ENDED,
    LEGAL,
    MOVES,
    SATISFIED,
    Status,
    derive_item_status,
    draw_diagram,
    draw_table,
)


def test_every_move_has_its_own_name_and_changes_something_or_restarts_it():
    names = [move.name for move in MOVES]
    assert len(set(names)) == len(names)
    assert all(move.target not in move.sources or move.name == "reset" for move in MOVES)


def test_every_status_can_be_reached_and_left():
    assert {target for _, target in LEGAL} == set(Status)
    assert {source for source, _ in LEGAL} == set(Status)


def test_only_a_pending_stage_can_be_claimed():
    assert {source for source, target in LEGAL if target is Status.IN_PROGRESS} == {Status.PENDING}


def test_an_ended_stage_moves_only_back_to_pending_or_is_left_out_when_it_failed():
    moves = {(source, target) for source, target in LEGAL if source in ENDED}
    assert moves == {*((source, Status.PENDING) for source in ENDED), (Status.FAILED, Status.SKIPPED)}


@pytest.mark.parametrize("stages", list(combinations_with_replacement(Status, 3)), ids="-".join)
def test_an_item_is_what_its_stages_make_it(stages):
    derived = derive_item_status(stages)
    assert (derived is Status.FAILED) == (Status.FAILED in stages)
    assert (derived is Status.DONE) == (set(stages) <= SATISFIED)
    assert (derived is Status.IN_PROGRESS) == (Status.FAILED not in stages and Status.IN_PROGRESS in stages)


def test_the_diagram_and_the_table_show_every_move():
    diagram, table = draw_diagram(), draw_table()
    for move in MOVES:
        assert all(f"{source} --> {move.target}: {move.name}" in diagram for source in move.sources)
        assert f"| `{move.name}` |" in table
