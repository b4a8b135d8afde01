"""Subtitles of both forms, as people and programs write them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.subtitles import Cue, join_text, look_like_subtitles, read_subtitles

SRT = """1
00:00:01,000 --> 00:00:02,500
Good morning

2
00:01:00,000 --> 01:00:00,750
to all
roots
"""
VTT = """WEBVTT - a talk
Kind: captions
Language: en-GB

NOTE nobody says this

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start position:0%
<v Ada>Good</v> <b>morning</b>

01:00:00.000 --> 01:00:01.000
<v.loud Bo>to <00:00:01.500><c.yellow>all</c>&nbsp;&amp; roots
"""


def read(text):
    return [(cue.start_seconds, cue.end_seconds, cue.text) for cue in read_subtitles(text).cues]


def test_srt_is_read():
    found = read_subtitles(SRT)
    assert (found.format, found.language, found.broken) == ("srt", None, 0)
    assert read(SRT) == [(1.0, 2.5, "Good morning"), (60.0, 3600.75, "to all\nroots")]


def test_webvtt_is_read_without_what_is_not_said():
    found = read_subtitles(VTT)
    assert (found.format, found.language, found.broken) == ("vtt", "en-GB", 0)
    assert found.cues == [
        Cue(1.0, 2.5, "Good morning", "Ada"),
        Cue(3600.0, 3601.0, "to all & roots", "Bo"),
    ]


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
@pytest.mark.parametrize("text", [SRT, VTT])
def test_a_mark_and_windows_newlines_do_no_harm(text, change):
    assert read(change(text)) == read(text)


@pytest.mark.parametrize(
    "text",
    [
        "00:00:01,000 --> 00:00:02,000\nno number\n",
        "1\n00:00:01.000 --> 00:00:02.000\nno number\n",
        "1\n0:00:01,0 --> 0:00:02\nno number\n",
        "1\n00:00:01,000-->00:00:02,000 X1:1 X2:2\nno number\n",
        "WEBVTT\n\n00:01.000 --> 00:02.000\nno number",
    ],
)
def test_times_in_other_spellings_are_read(text):
    assert read(text) == [(1.0, 2.0, "no number")]


def test_missing_empty_lines_and_numbers_among_the_words_do_no_harm():
    text = "1\n00:00:01,000 --> 00:00:02,000\none\n\nmore\n2\n00:00:03,000 --> 00:00:04,000\n7"
    assert read(text) == [(1.0, 2.0, "one\nmore"), (3.0, 4.0, "7")]


@pytest.mark.parametrize(
    "timing",
    [
        "00:00:05,000 --> 00:00:04,000",
        "00:00:61,000 --> 00:00:62,000",
        "00:99:01,000 --> 01:00:00,000",
        "soon --> later",
        "00:00:01,000 -->",
        "-1:00 --> 00:01",
    ],
)
def test_a_cue_whose_times_make_no_sense_is_left_out_and_counted(timing):
    found = read_subtitles(f"1\n{timing}\nlost\n\n{SRT}")
    assert found.broken == 1
    assert "lost" not in join_text(found.cues)
    assert len(found.cues) == 2


@pytest.mark.parametrize(
    ("dressed", "said"),
    [
        ("<i>a</i> <font color='#fff'>b</font>", "a b"),
        (r"{\an8}{\pos(1,2)}up there", "up there"),
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("&lt;b&gt;", "<b>"),
        ("a\u200b\x00b\u202e", "ab"),
        ("  a \t b ", "a b"),
        ("<c.colorE5E5E5>a</c><00:00:01.000>", "a"),
    ],
)
def test_the_dress_is_taken_off(dressed, said):
    assert read(f"1\n00:00:01,000 --> 00:00:02,000\n{dressed}\n") == [(1.0, 2.0, said)]


def test_captions_that_roll_say_each_line_once():
    cues = [
        Cue(0, 1, "one"),
        Cue(1, 2, "one\ntwo"),
        Cue(2, 3, "two"),
        Cue(3, 4, "two\nthree"),
        Cue(4, 5, "one"),
    ]
    assert join_text(cues) == "one\ntwo\nthree\none"


def test_another_speaker_is_named():
    cues = [Cue(0, 1, "hi", "Ada"), Cue(1, 2, "there", "Ada"), Cue(2, 3, "hi", "Bo"), Cue(3, 4, "so")]
    assert join_text(cues) == "Ada: hi\nthere\nBo: hi\nso"


@pytest.mark.parametrize("text", [SRT, VTT, "\ufeff\r\n" + SRT, "WEBVTT"])
def test_subtitles_are_told_by_their_beginning(text):
    assert look_like_subtitles(text)


@pytest.mark.parametrize("text", ["", "Go --> there", "<p>WEBVTT</p>", "00:01 and 00:02", SRT[:10]])
def test_other_text_is_not(text):
    assert not look_like_subtitles(text)


@given(
    st.lists(st.sampled_from(["1", "", "00:00:01,000 --> 00:00:02,000", "WEBVTT", "-->", "<v x>", "a", "\r"]))
)
def test_whatever_stands_there_is_read_to_its_end(lines):
    found = read_subtitles("\n".join(lines))
    assert found.broken + len(found.cues) <= len(lines)
    assert all(cue.text for cue in found.cues)


@pytest.mark.parametrize("piece", ["<", "{\\", "<v ", "-", "0:", "&", "00:00 --> ", "\n", "<c " + "a" * 50])
def test_a_hostile_file_takes_no_longer_than_its_length(piece):
    began = time.process_time()
    read_subtitles("1\n00:00:01,000 --> 00:00:02,000\n" + piece * (400_000 // len(piece)))
    assert time.process_time() - began < 5
