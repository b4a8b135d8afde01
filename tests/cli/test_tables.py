"""How tables fit a terminal."""

from __future__ import annotations

import pytest

from cli import render

NOTE = "9 held: celeriac approve feed; the next stage is due 2026-11-26 22:37:40 UTC, in 1 m 15 s"
COLUMNS = ["job", "#items", "last look", "note"]
ROWS = [("feed", 12, "12 found, 3 new, 17 s ago", NOTE), ("notes", 7, "7 found, 7 new, 3 s ago", None)]


@pytest.fixture
def write(monkeypatch, capsys):
    """Write a table to a terminal of so many columns, or with None to a pipe; its lines."""

    def run(width, columns=COLUMNS, rows=ROWS, **how):
        terminal = {"force_terminal": width is not None, "width": width, "color_system": None}
        monkeypatch.setattr(render, "out", render.Output(soft_wrap=True, **terminal))
        render.write_noted_table(columns, rows, **how)
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return run


def test_notes_that_a_narrow_terminal_has_no_room_for_stand_below_the_table(write):
    assert write(60) == [
        "job    items  last look",
        "feed      12  12 found, 3 new, 17 s ago",
        "notes      7  7 found, 7 new, 3 s ago",
        "",
        f"feed: {NOTE}",
    ]


def test_notes_stand_in_the_table_where_a_part_of_each_can_be_read(write):
    lines = write(80)
    assert lines[0] == "job    items  last look                  note"
    assert lines[1].endswith("  9 held: celeriac approve feed; the next")
    assert len(write(160)) == len(write(None)) == 3
    assert write(None)[1].endswith(NOTE)


def test_a_short_note_needs_no_more_room_than_it_has(write):
    assert write(50, rows=[("feed", 12, "12 found, 3 new, 17 s ago", "off")])[1].endswith("ago  off")


def test_a_note_is_named_by_as_many_cells_as_tell_its_row(write):
    rows = [("feed", "a", "empty 3 times in a row"), ("feed", "b", "")]
    assert write(20, ["job", "source", "trouble"], rows, named_by=2)[3:] == [
        "",
        "feed a: empty 3 times in a row",
    ]


@pytest.mark.parametrize("width", [None, 200, 30])
def test_a_row_is_one_line_whatever_a_stranger_wrote_into_it(write, width):
    rows = [("a\nnotes", 7, "b\u2028\tdone", "c\nd")]
    lines = write(width, rows=rows)
    assert lines[1].split() == ["a\\nnotes", "7", "b\\u2028\\tdone", *(["c\\nd"] if width != 30 else [])]
    assert lines[2:] == ([] if width != 30 else ["", "a\\nnotes: c\\nd"])
