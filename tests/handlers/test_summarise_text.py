"""The handler `summarise_text`, on prose and on outlines."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from handlers.python_outline import PythonOutline
from handlers.running import run_handler
from handlers.sentences import choose_sentences, cut_text, split_sentences
from handlers.summarise_text import SummariseText
from pipeline.outcomes import Skip

RECIPES = '''"""Parse recipes."""
import re
class Recipe:
    """Hold a recipe."""
    def cook(self): ...
'''

PROSE = """
Celery moves work between machines. The weather was fine that day.

A tracker remembers what Celery forgets. Somebody laughed. When a worker dies, the tracker gives its work to
another worker. Lunch was late.
"""


@pytest.fixture
def summarise(make_context):
    """Summarise a text that a stage `read` left."""

    def run(text: str, data: dict | None = None, **params):
        results = {"read": {"text": text}}
        return run_handler(SummariseText(params), make_context(results=results, data=data or {}))

    return run


@pytest.fixture
def summarise_python(make_context):
    """Outline Python source, then summarise the outline."""

    def run(text: str, key: str = "pkg/mod.py"):
        outline = run_handler(PythonOutline({}), make_context(key=key, data={"text": text}))
        return run_handler(SummariseText({}), make_context(key=key, results={"outline": outline}))

    return run


def test_a_summary_is_made_of_the_texts_own_sentences_in_their_order(summarise):
    summary = summarise(PROSE, sentences=2)["summary"]
    assert summary == ("Celery moves work between machines. A tracker remembers what Celery forgets.")


def test_keywords_are_the_most_frequent_words_that_mean_something(summarise):
    assert summarise(PROSE, keywords=4)["keywords"] == ["celery", "tracker", "work", "worker"]


def test_words_are_counted(summarise):
    assert summarise("It doesn't count twice: one, two.")["words"] == 6


def test_the_title_is_the_items(summarise):
    assert summarise("Some text.", {"title": "Mine"})["title"] == "Mine"
    assert summarise("Some text.")["title"] is None


def test_a_summary_is_cut_after_a_word(summarise):
    summary = summarise(PROSE, max_chars=30)["summary"]
    assert len(summary) <= 30
    assert summary.endswith("…")
    assert summary[:-1] in PROSE


@pytest.mark.parametrize(
    ("most", "cut"), [(7, "one…"), (8, "one two…"), (12, "one two…"), (13, "one two three")]
)
def test_a_text_is_cut_where_a_word_ends(most, cut):
    assert cut_text("one two three", most) == cut


def test_one_endless_word_is_cut_as_well():
    assert cut_text("x" * 100, 10) == "x" * 9 + "…"


def test_a_sentence_said_twice_is_chosen_once():
    assert choose_sentences(["Workers work hard.", "Workers work hard.", "Nothing else."], 3) == [
        "Workers work hard.",
        "Nothing else.",
    ]


def test_what_was_said_already_counts_less():
    sentences = ["Broker and tracker differ.", "Broker, tracker: both run.", "Leases expire by night."]
    assert choose_sentences(sentences, 2) == [sentences[0], sentences[2]]


def test_only_the_start_of_a_long_text_is_weighed_but_all_of_it_is_counted(summarise):
    result = summarise("alpha " * 40_000 + "omega " * 50_000)
    assert result["keywords"] == ["alpha"]
    assert result["words"] == 90_000


def test_only_so_many_sentences_are_compared(summarise):
    dull = "".join(f"No {number}. " for number in range(6_000))
    assert "Weighty" not in summarise(dull + "Weighty words without weight.", sentences=1)["summary"]


def test_sentences_of_languages_without_spaces_are_told_apart():
    assert split_sentences("今日は晴れ。明日は雨。") == ["今日は晴れ。", "明日は雨。"]


@pytest.mark.parametrize("text", ["", " \n\t", "... !!! ---"])
def test_a_text_without_words_is_skipped(summarise, text):
    assert summarise(text) == Skip("the text has no words")


def test_an_outline_is_summarised_by_its_docstrings(summarise_python):
    result = summarise_python(RECIPES)
    assert result == {
        "title": "pkg.mod",
        "summary": "Parse recipes. Hold a recipe.",
        "keywords": ["recipe", "hold", "parse", "recipes"],
        "words": 5,
        "counts": {"classes": 1, "functions": 0, "imports": 1, "methods": 1, "lines": 5, "code_lines": 3},
    }


def test_an_outline_without_docstrings_is_summarised_by_what_it_defines(summarise_python):
    result = summarise_python("class Oven: ...\ndef bake(): ...\n")
    assert result["summary"] == "Defines Oven bake."
    assert result["keywords"] == ["bake", "oven"]
    assert result["words"] == 0


def test_an_empty_module_still_has_a_result(summarise_python):
    assert summarise_python("")["summary"] == "Defines nothing."


def test_examples_in_a_docstring_are_not_prose(summarise_python):
    docstring = "Count things.\n\n>>> count_bananas([1, 2])\n\n    indented = bananas\n\nIt is quick."
    assert summarise_python(f'"""{docstring}"""')["summary"] == "Count things. It is quick."


def test_every_process_makes_the_same_summary():
    code = (
        f"from handlers.sentences import *\nprint(' '.join(choose_sentences(split_sentences({PROSE!r}), 3)))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Some words of prose. " * 100_000,
        "A b. " * 400_000,
        "word " * 400_000,
        "日本語のテキスト。" * 200_000,
        "\n " * 1_000_000,
        "." + " " * 2_000_000 + "a",
        "a'" * 1_000_000,
        '." ' * 700_000,
        "".join(f"Sentence number{number} says word{number}. " for number in range(60_000)),
    ],
    ids=["prose", "short", "one", "japanese", "blank", "space", "apostrophes", "quotes", "distinct"],
)
def test_two_megabytes_of_anything_take_bounded_time(summarise, text):
    began = time.process_time()
    summarise(text)
    assert time.process_time() - began < 10


def test_a_usual_module_takes_milliseconds(summarise_python, make_context):
    text = (Path(sysconfig.get_path("stdlib")) / "argparse.py").read_text()
    outline = run_handler(PythonOutline({}), make_context(data={"text": text}))
    context = make_context(results={"outline": outline})
    times = []
    for _ in range(5):
        began = time.process_time()
        run_handler(SummariseText({}), context)
        times.append(time.process_time() - began)
    assert min(times) < 0.010
