"""A job's pipeline as a graph: stages in columns, each right of all that it needs, and an arrow for each need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dashboard.stage_facts import StageFacts

BOX_WIDTH, BOX_HEIGHT = 210, 146
BETWEEN_COLUMNS, BETWEEN_ROWS, MARGIN = 56, 20, 4
SHOWN_CHARS = 24


@dataclass(frozen=True, slots=True)
class Box:
    """One stage, and where its box stands."""

    stage: StageFacts
    x: int
    y: int

    @property
    def name(self) -> str:
        """The stage's name, cut to what fits."""
        name = self.stage.name
        return name if len(name) <= SHOWN_CHARS else f"{name[: SHOWN_CHARS - 1]}…"


@dataclass(frozen=True, slots=True)
class Arrow:
    """One need: the path from the stage that is needed to the one that needs it, and both in words."""

    path: str
    needed: str
    by: str


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole picture."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: int
    height: int
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


def draw(stages: Sequence[StageFacts]) -> Graph:
    """Draw stages, given in an order in which each comes after all that it needs."""
    columns = place(stages)
    rows: dict[int, int] = {}
    boxes = {}
    for stage in stages:
        column = columns[stage.name]
        row = rows.get(column, 0)
        rows[column] = row + 1
        x = MARGIN + column * (BOX_WIDTH + BETWEEN_COLUMNS)
        boxes[stage.name] = Box(stage, x, MARGIN + row * (BOX_HEIGHT + BETWEEN_ROWS))
    arrows = [
        _draw_arrow(boxes[need], boxes[stage.name])
        for stage in stages
        for need in stage.needs
        if need in boxes
    ]
    width = max((box.x for box in boxes.values()), default=0) + BOX_WIDTH + MARGIN
    height = max((box.y for box in boxes.values()), default=0) + BOX_HEIGHT + BETWEEN_ROWS
    return Graph(tuple(boxes.values()), tuple(arrows), width, height)


def place(stages: Sequence[StageFacts]) -> Mapping[str, int]:
    """Place each stage in a column, from 0: one right of the furthest that it needs."""
    columns: dict[str, int] = {}
    for stage in stages:
        columns[stage.name] = max((columns[need] + 1 for need in stage.needs if need in columns), default=0)
    return columns


def _draw_arrow(needed: Box, by: Box) -> Arrow:
    begin_x, begin_y = needed.x + BOX_WIDTH, needed.y + BOX_HEIGHT // 2
    end_x, end_y = by.x, by.y + BOX_HEIGHT // 2
    half = BETWEEN_COLUMNS // 2
    last = f"{end_x - half},{begin_y} {end_x - half},{end_y} {end_x - 3},{end_y}"
    if by.x - needed.x <= BOX_WIDTH + BETWEEN_COLUMNS:
        return Arrow(f"M{begin_x},{begin_y}C{last}", needed.stage.name, by.stage.name)
    lane = needed.y + BOX_HEIGHT + BETWEEN_ROWS // 2  # past the boxes between, not through them
    path = (
        f"M{begin_x},{begin_y}C{begin_x + half},{begin_y} {begin_x + half // 2},{lane} {begin_x + half},{lane}"
        f"H{end_x - half}C{end_x - half // 2},{lane} {end_x - half},{end_y} {end_x - 3},{end_y}"
    )
    return Arrow(path, needed.stage.name, by.stage.name)
