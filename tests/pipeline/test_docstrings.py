from __future__ import annotations

from pipeline.docstrings import read_docstring


class Whole:
    """
    Find things.

    One that fails does not stop
    the others.

    Key: the thing's id. Order: newest first.
    Data: `{"url": str, "Key": str}`: the address; note: it may
    be empty. One request a page, at most ten requests.
    Example: {strategy: whole, note: "Order: none"}

    Source: example.org.
    """


class Labelled:
    """
    Find things.

    Data: `{"n": int}`. Nothing else. Requests: two.
    """


class Bare:
    """Find things."""


def test_a_docstring_is_taken_apart_entry_by_entry():
    said = read_docstring(Whole)
    assert said.summary == "Find things."
    assert said.about == "One that fails does not stop the others."
    assert said.entries["Key"] == "the thing's id."
    assert said.entries["Order"] == "newest first."
    assert said.entries["Source"] == "example.org."


def test_what_is_quoted_in_an_entry_begins_no_other():
    said = read_docstring(Whole)
    assert said.entries["Data"] == '`{"url": str, "Key": str}`: the address; note: it may be empty.'
    assert said.entries["Example"] == '{strategy: whole, note: "Order: none"}'


def test_what_a_run_costs_may_be_said_at_the_end_of_another_entry():
    assert read_docstring(Whole).entries["Requests"] == "One request a page, at most ten requests."


def test_what_a_run_costs_may_have_an_entry_of_its_own():
    entries = read_docstring(Labelled).entries
    assert (entries["Data"], entries["Requests"]) == ('`{"n": int}`. Nothing else.', "two.")


def test_a_class_without_entries_has_none():
    assert (read_docstring(Bare).summary, read_docstring(Bare).entries) == ("Find things.", {})
