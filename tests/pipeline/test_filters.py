from __future__ import annotations

import pickle
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidFilterError
from pipeline.filter_values import Value
from pipeline.filter_words import FILTER_WORDS, ValueKind
from pipeline.filters import EVERYTHING, Filter, Term, make_term, parse_filter

EXAMPLE = (
    'job:hn stage:article status:failed error:Timeout host:x.org age:>2d version:<3 cost:>0.10 text:"a b"'
)


def parse_one(text):
    (term,) = parse_filter(text).terms
    return term


def refuse(text):
    with pytest.raises(InvalidFilterError) as refused:
        parse_filter(text)
    return refused.value


def test_the_filter_of_the_handbook_is_read_and_written_the_same():
    assert str(parse_filter(EXAMPLE)) == EXAMPLE
    words = [term.word for term in parse_filter(EXAMPLE).terms]
    assert words == ["job", "stage", "status", "error", "host", "age", "version", "cost", "text"]


@pytest.mark.parametrize("word", FILTER_WORDS)
def test_the_example_of_each_word_is_read(word):
    assert parse_one(FILTER_WORDS[word].example).word == word


def test_several_values_are_alternatives():
    assert parse_one("status:failed,skipped") == Term("status", (Value("failed"), Value("skipped")))


def test_a_minus_turns_a_term_round():
    assert parse_one("-host:x.org") == Term("host", (Value("x.org"),), negated=True)


def test_a_star_at_the_end_means_any_that_begins_so():
    assert parse_one("key:2026-*").values == (Value("2026-", is_prefix=True),)
    assert parse_one("source:*").values == (Value("", is_prefix=True),)
    assert parse_one('key:"a b"*').values == (Value("a b", is_prefix=True),)


def test_in_quotes_a_star_is_a_star():
    assert parse_one('key:"2026-*"').values == (Value("2026-*"),)


def test_in_quotes_a_backslash_spells_a_quote():
    assert parse_one(r'text:"say \"yes\" or \\"').values == (Value('say "yes" or \\'),)


def test_a_colon_and_a_minus_within_a_value_are_its_own():
    assert parse_one("source:https://a.org/-x:80").values == (Value("https://a.org/-x:80"),)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("age:>2d", Value("2d", ">", number=172_800.0)),
        ("age:<=1h30m", Value("1h30m", "<=", number=5400.0)),
        ("version:<3", Value("3", "<", number=3)),
        ("version:=v2-beta", Value("v2-beta")),
        ("cost:>0.10", Value("0.10", ">", number=0.1)),
        ("cost:0", Value("0", number=0.0)),
        ("priority:>=-5", Value("-5", ">=", number=-5)),
        ("attempt:3", Value("3", number=3)),
    ],
)
def test_a_compared_value_has_an_operator_and_a_number(text, value):
    assert parse_one(text).values == (value,)


def test_a_word_about_a_stage_makes_the_filter_select_stages():
    assert not parse_filter("job:hn status:failed age:>2d").selects_stages
    assert parse_filter("job:hn -stage:fetch").selects_stages
    assert not EVERYTHING.selects_stages


@pytest.mark.parametrize(
    ("text", "at", "problem", "nearest"),
    [
        ("job:hn stge:fetch", 7, "no word 'stge'", "stage"),
        ("STAGE:fetch", 0, "no word 'STAGE'", "stage"),
        ("-hots:x", 1, "no word 'hots'", "host"),
        ("status:faild", 7, "no status 'faild'", "failed"),
        ("status:failed,dnoe", 14, "no status 'dnoe'", "done"),
        ("backfill:maybe", 9, "no backfill 'maybe'", None),
        ("timeout", 0, "'timeout' does not begin with a word and a colon", "text:timeout"),
        ("job:hn two words", 7, "'two' does not begin with a word and a colon", "text:two"),
        ('text:"open', 5, "this quote is not closed", None),
        ('key:"a"b', 7, "a space or a comma belongs here", None),
        ("key:", 4, "nothing stands behind key:", None),
        ("key:a,", 6, "nothing stands behind key:", None),
        ("key:,a", 4, "nothing stands behind key:", None),
        ("age:2d", 4, "age:2d says neither longer nor shorter", None),
        ("age:>2", 4, "'2' cannot be compared as age", None),
        ("age:>", 4, "'' cannot be compared as age", None),
        ("version:<v3", 8, "'v3' cannot be compared as version", None),
        ("cost:>ten", 5, "'ten' cannot be compared as cost", None),
        ("cost:>-1", 5, "'-1' cannot be compared as cost", None),
        ("attempt:>1.5", 8, "'1.5' cannot be compared as attempt", None),
        ("attempt:>99999999999999999999", 8, "'99999999999999999999' cannot be compared as attempt", None),
        ('text:"x"*', 5, "text: takes no beginning of a word with *", None),
        ("key:caf\udce9", 4, "this is no text: it holds bytes that are no UTF-8", None),
        (f"key:{'a' * 2001}", 4, "this is longer than 2,000 characters", None),
        ("", 0, "the filter is empty", None),
        ("  ", 0, "the filter is empty", None),
    ],
)
def test_what_cannot_be_read_is_shown_at_its_place(text, at, problem, nearest):
    error = refuse(text)
    assert (error.at, error.problem, error.nearest) == (at, problem, nearest)
    said, shown, caret, allowed = str(error).split("\n")
    assert said == problem + (f"; did you mean {nearest!r}?" if nearest else "")
    assert shown == f"  {text}"
    assert caret == f"  {' ' * at}^"
    assert allowed == f"  allowed: {error.allowed}"
    assert error.allowed


def test_what_is_allowed_is_said_for_the_word_in_question():
    assert refuse("status:x").allowed == "pending, in_progress, done, failed, skipped"
    assert refuse("age:x").allowed == FILTER_WORDS["age"].kind.value
    assert refuse("x:y").allowed.startswith("job:, key:, status:")


def test_an_age_that_no_clock_can_tell_is_refused():
    assert refuse("age:>99999999999999999999999d").problem.endswith("cannot be compared as age")


def test_the_error_survives_pickling():
    error = refuse("job:hn stge:fetch")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own


def test_a_filter_is_narrowed_by_values_that_are_meant_letter_by_letter():
    narrowed = parse_filter("age:>2d").narrow("key", "a*", "two words")
    assert narrowed.terms[1] == Term("key", (Value("a*"), Value("two words")))
    assert parse_filter(str(narrowed)) == narrowed


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.text(
    st.sampled_from(string.punctuation + " aZ0\n"), min_size=1, max_size=8
)
NUMBERS = {
    ValueKind.WHOLE_NUMBER: st.integers(-(10**15) + 1, 10**15 - 1).map(str),
    ValueKind.AMOUNT: st.decimals(0, 10**6, places=4).map(lambda amount: f"{amount:f}"),
    ValueKind.DURATION: st.tuples(st.integers(0, 999), st.sampled_from(["s", "m", "h", "d"])).map(
        lambda pair: f"{pair[0]}{pair[1]}"
    ),
}
OPERATORS = st.sampled_from(["<", "<=", ">", ">="])


@st.composite
def written_terms(draw):
    """Write one term as a person might."""
    word = draw(st.sampled_from(list(FILTER_WORDS.values())))
    values = draw(st.lists(written_values(word), min_size=1, max_size=3))
    return f"{draw(st.sampled_from(['', '-']))}{word.name}:{','.join(values)}"


def written_values(word):
    if word.choices:
        return st.sampled_from(word.choices)
    if word.kind in NUMBERS:
        return st.tuples(OPERATORS, NUMBERS[word.kind]).map("".join)
    quoted = TEXTS.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
    if word.kind is ValueKind.VERSION:
        return st.sampled_from(["<3", "=<3", '"=> 1"', "v1.2", "=3", '"a b"'])
    if word.kind is ValueKind.TEXT:
        return quoted
    return st.tuples(quoted, st.sampled_from(["", "*"])).map("".join) | st.sampled_from(
        ["a*", "*", "a-b:c/*"]
    )


@given(st.lists(written_terms(), min_size=1, max_size=4).map(" ".join))
def test_a_filter_that_is_written_out_is_read_as_the_same(text):
    wanted = parse_filter(text)
    assert parse_filter(str(wanted)) == wanted
    assert str(parse_filter(str(wanted))) == str(wanted)


@given(st.sampled_from(["key", "host", "text", "error", "source"]), TEXTS)
def test_any_text_can_be_meant_letter_by_letter(word, text):
    term = make_term(word, text)
    assert term.values == (Value(text),)
    assert parse_filter(str(term)) == Filter((term,))


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_is_refused_at_a_place_within_it(text):
    try:
        parse_filter(text)
    except InvalidFilterError as error:
        assert 0 <= error.at <= len(text)  # noqa: PT017 - most are refused, some are not


# -- the page ---------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")


def test_the_page_says_of_each_word_what_the_table_says():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{word.name}:`{'*' * word.of_stages} | {word.help} | {word.allowed} | `{word.example}` |"
        for word in FILTER_WORDS.values()
    ]


@pytest.mark.parametrize(
    "text", re.findall(r"--filter '([^']+)'", PAGE) + re.findall(r"`(-?[a-z]+:[^` ]+)`", PAGE)
)
def test_the_filters_on_the_page_are_read(text):
    assert parse_filter(text)
