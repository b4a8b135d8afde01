from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from dashboard import graph, sparklines
from dashboard.stage_facts import StageFacts, find_narrow
from tracker.activity import Slot


def stage(name, *needs, **more):
    return StageFacts(name, needs, "on", "read_file", "celery", None, None, **more)


@st.composite
def pipelines(draw):
    count = draw(st.integers(1, 12))
    return [
        stage(
            str(place),
            *draw(st.sets(st.sampled_from([str(n) for n in range(place)])) if place else st.just(())),
        )
        for place in range(count)
    ]


@given(pipelines())
def test_each_stage_stands_right_of_all_that_it_needs_and_no_two_boxes_meet(stages):
    drawn = graph.draw(stages)
    where = {box.stage.name: box for box in drawn.boxes}
    assert len(drawn.arrows) == sum(len(one.needs) for one in stages)
    assert all(where[need].x + drawn.box_width < where[one.name].x for one in stages for need in one.needs)
    for one, other in itertools.combinations(drawn.boxes, 2):
        assert abs(one.x - other.x) >= drawn.box_width or abs(one.y - other.y) >= drawn.box_height
    assert all(
        box.x + drawn.box_width <= drawn.width and box.y + drawn.box_height <= drawn.height
        for box in drawn.boxes
    )


def test_a_long_name_is_cut_to_what_fits():
    (box,) = graph.draw([stage("a" * 63)]).boxes
    assert len(box.name) == graph.SHOWN_CHARS


def test_a_job_without_stages_is_an_empty_picture():
    assert graph.draw([]).boxes == ()


def test_a_job_queues_up_where_what_waits_takes_longest_not_where_most_waits():
    fast = stage("fast", waiting=1000, rate_per_minute=1000.0)
    slow = stage("slow", waiting=100, rate_per_minute=10.0)
    parked = stage("parked", waiting=1, rate_per_minute=0.0)
    assert find_narrow([fast, slow, parked]) == "slow"
    assert find_narrow([stage("idle")]) is None


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=48))
def test_every_bar_stays_within_the_picture(counts):
    drawn = sparklines.draw([Slot(at, done, failed) for at, (done, failed) in enumerate(counts)])
    for path, number in ((drawn.done, 0), (drawn.failed, 1)):
        bars = re.findall(r"M([\d.e-]+) ([\d.e-]+)h([\d.]+)v([\d.]+)h-\3z", path)
        assert "".join(bars[0]) if (any(pair[number] for pair in counts)) else not path
        for x, y, width, height in [map(float, bar) for bar in bars]:
            assert 0 <= x <= x + width <= drawn.width
            assert -0.01 <= y <= y + height <= drawn.height + 0.01
