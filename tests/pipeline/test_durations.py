from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1.5 hours", 5400),
        ("2 Days", 172_800),
        (7, 7),
    ],
)
def test_a_duration_is_read_in_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "soon", "5", "5 parsecs", "-5m", "5m later", "m", True, None])
def test_what_is_no_duration_is_refused_with_what_is_allowed(text):
    with pytest.raises(ValueError, match=r"is not a duration; write 30s, 15m"):
        parse_duration(text)


@given(st.integers(1, 10**7))
def test_a_formatted_duration_reads_back_to_within_its_two_units(seconds):
    read_back = parse_duration(format_duration(seconds).replace(" ", ""))
    assert read_back <= seconds < read_back + 3600
