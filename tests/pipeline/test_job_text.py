from __future__ import annotations

import pytest

from pipeline.job_text import AROUND_LINES, MOST_LINES, read_job_text
from pipeline.problems import Problem

TEXT = """\
version: 1
jobs:
  # what is first
  first:
    schedule: "@daily"

  second:
    stages: [fetch]

notify: []
"""


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "jobs.yaml"
    made.write_text(TEXT)
    return made


def test_a_job_has_the_lines_from_its_name_to_the_next_key_as_high(path):
    assert [(line.number, line.text) for line in read_job_text(path, "first").lines] == [
        (4, "  first:"),
        (5, '    schedule: "@daily"'),
    ]
    assert [line.number for line in read_job_text(path, "second").lines] == [7, 8]


def test_a_job_that_is_not_there_has_no_lines(path):
    assert read_job_text(path, "third").lines == ()


def test_what_is_wrong_stands_at_its_line_and_what_is_elsewhere_by_itself(path):
    here, elsewhere = (
        Problem(5, 5, "jobs.first.schedule", "no schedule"),
        Problem(10, 1, "notify", "no channel"),
    )
    text = read_job_text(path, "first", [here, elsewhere])
    assert [line.problems for line in text.lines] == [(), (here,)]
    assert text.elsewhere == (elsewhere,)


def test_of_a_file_that_is_no_yaml_the_lines_around_the_fault_are_shown(path):
    path.write_text("# a comment\n" * 100 + "jobs: [\n")
    text = read_job_text(path, "first")
    assert len(text.lines) <= 2 * AROUND_LINES + 1
    assert [line.number for line in text.lines if line.problems] == [101]


def test_lines_that_never_end_are_cut(path):
    path.write_text("jobs:\n  first:\n" + "    # more\n" * (2 * MOST_LINES) + "    schedule: x\n")
    assert len(read_job_text(path, "first").lines) == MOST_LINES


def test_bytes_that_are_no_text_are_shown_as_that(path):
    path.write_bytes(b"jobs:\n  first: \xff\n")
    assert "\ufffd" in read_job_text(path, "first").lines[1].text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Authorization: Bearer abcdef", "Authorization: ***"),
        ("password: 'abc, def'", "password: ***"),
        ('"api-key": "abcdef" # mine', '"api-key": *** # mine'),
        ("cookie: ${COOKIE}", "cookie: ${COOKIE}"),
        ("key: '{{ item.url }}'", "key: '{{ item.url }}'"),
        ("max_tokens: 500", "max_tokens: 500"),
        ("title: Tokens and cookies", "title: Tokens and cookies"),
    ],
)
def test_a_secret_that_is_written_out_is_not_shown(path, written, shown):
    path.write_text(f"jobs:\n  first:\n    {written}\n")
    assert read_job_text(path, "first").lines[1].text == f"    {shown}"


def test_an_empty_file_has_nothing(path):
    path.write_text("")
    assert read_job_text(path, "first").lines == ()
