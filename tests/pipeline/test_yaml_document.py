from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.problems import Finding
from pipeline.yaml_document import MAX_DEPTH, MAX_NODES, parse_yaml


def read(text):
    document = parse_yaml(text.encode())
    assert document.problems == ()
    return document.data


def problem_of(source):
    (problem,) = parse_yaml(source if isinstance(source, bytes) else source.encode()).problems
    return problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("12:30:00", "12:30:00"),
        ("190:20:30.15", "190:20:30.15"),
        ("2026-01-01", "2026-01-01"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("-7", -7),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_a_plain_word_is_what_the_core_rules_of_yaml_1_2_make_it(text, value):
    found = read(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_texts_whatever_they_look_like():
    assert read("{1: a, on: b, null: c, 1.0: d}") == {"1": "a", "on": "b", "null": "c", "1.0": "d"}


def test_each_value_and_key_knows_its_line_and_column():
    document = parse_yaml(b"top:\n  list:\n    - a\n    - key: 5\n")
    assert document.locate(("top", "list", 1, "key")) == (4, 12)
    assert document.locate(("top", "list", 1, "key"), at_key=True) == (4, 7)
    assert document.locate(("top",)) == (1, 1)


def test_what_is_not_there_is_placed_at_what_it_is_missing_from():
    document = parse_yaml(b"a: 1\njob:\n  title: x\n")
    assert document.locate(("job", "stages")) == (2, 1)
    assert document.locate(("nowhere", 3)) == (1, 1)


def test_an_empty_value_is_placed_at_its_key():
    assert parse_yaml(b"a: 1\nb:\nc: 2\n").locate(("b",)) == (2, 1)


def test_a_finding_becomes_a_problem_with_the_value_that_stands_there():
    problem = parse_yaml(b"jobs:\n  a: {stages: [fetch]}\n").place(
        Finding(("jobs", "a", "stages", 0, "handler"), "no")
    )
    assert (problem.line, problem.column, problem.value) == (2, 16, "fetch")
    assert str(problem) == "jobs.a.stages[0].handler: no"


def test_a_key_given_twice_is_a_problem_that_names_both_lines():
    document = parse_yaml(b"a: 1\nb: 2\na: 3\nb: 4\n")
    assert [(problem.line, problem.message) for problem in document.problems] == [
        (3, "duplicate key 'a', first on line 1"),
        (4, "duplicate key 'b', first on line 2"),
    ]
    assert document.data == {"a": 1, "b": 2}


def test_aliases_stand_for_their_anchors():
    assert read("a: &x [1, {b: 2}]\nc: *x\n") == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


def test_aliases_cannot_blow_the_document_up():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert problem_of("\n".join(lines)).message == f"more than {MAX_NODES} values"


def test_an_alias_inside_of_what_it_stands_for_is_a_problem():
    assert problem_of("a: &x [1, *x]").message == f"nested over {MAX_DEPTH} deep"


@pytest.mark.parametrize("depth", [60, 900, 100_000])
def test_a_bottomless_document_is_a_problem(depth):
    assert problem_of("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("a: 1\nb: [1,\n", 3, "did not find expected"),
        ("a: 1\n\tb: 2\n", 2, "YAML takes no tabs for indentation"),
        ("\ufeffa: ü😀\nb:\n  \tc: 2\n", 3, "YAML takes no tabs for indentation"),
        ("a: |\n\tb\n", 2, "YAML takes no tabs for indentation"),
        ("a: 1\t\nb: @c\n", 2, "found character that cannot start any token"),
        ("a: 'x\n", 2, "unexpected end of stream"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, "but found another document"),
        ("a: 1\nb: !!python/name:os.system x\n", 2, "is not known"),
        ("a: !secret x\n", 1, "is not known"),
        ("a: !!int x\n", 1, "'x' is no number here"),
        (f"a: 0x{'f' * 5000}\n", 1, "is no number here"),
        ("a: .inf\n", 1, "'.inf' is no number here"),
        ("a: -.INF\n", 1, "'-.INF' is no number here"),
        ("a: .nan\n", 1, "'.nan' is no number here"),
        ("a: 1e999\n", 1, "'1e999' is no number here"),
        (f"a: {'9' * 5000}\n", 1, "is no number here"),
        ("? [a, b]\n: c\n", 1, "a list or mapping as a key"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8 text"),
        ("a: 1\nb: \x07\n", 2, "a character that YAML does not allow"),
    ],
)
def test_what_cannot_be_read_is_a_problem_with_its_line(source, line, words):
    problem = problem_of(source)
    assert problem.line == line
    assert words in problem.message


@pytest.mark.parametrize("source", ["a: !x [1]\n", "? [a, b]\n: c\n"])
def test_a_problem_holds_nothing_of_the_reader(source):
    assert problem_of(source).value is None


def test_a_byte_order_mark_is_no_problem():
    assert parse_yaml(b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


@given(
    st.one_of(st.binary(max_size=200), st.text("ab:-[]{}&*!|>'\"#%@ \n\t?,~0", max_size=60).map(str.encode))
)
def test_no_bytes_do_worse_than_a_problem(source):
    document = parse_yaml(source)
    assert document.data is None or document.values
    assert all(problem.line >= 1 and problem.message for problem in document.problems)
