"""The handler `dedupe`, and the fingerprints that it compares."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from handlers.dedupe import Dedupe
from handlers.running import run_handler
from handlers.simhash import MAX_WORDS, list_words, make_fingerprint
from pipeline.outcomes import GiveUp, Skip

ROOT = Path(__file__).parents[2]


def make_text(seed: int, words: int = 400) -> list[str]:
    chooser = random.Random(seed)
    return ["".join(chooser.choices("aeioulnrst", k=chooser.randint(2, 9))) for _ in range(words)]


def change(words: list[str], share: float, seed: int = 1) -> list[str]:
    changed, chooser = list(words), random.Random(seed)
    for place in chooser.sample(range(len(words)), int(len(words) * share)):
        changed[place] = f"other{place}"
    return changed


@pytest.fixture
def dedupe(make_context):
    """Look for twins of an item's text, among the items before."""

    def run(key: str, text: str, **params):
        return run_handler(Dedupe(params), make_context(key=key, results={"article": {"text": text}}))

    return run


def test_a_nearly_equal_text_is_skipped_with_the_key_of_its_twin(dedupe):
    words = make_text(1)
    assert dedupe("a", " ".join(words))["text"] == " ".join(words)
    assert isinstance(dedupe("b", " ".join(make_text(2))), dict)
    twin = " ".join(change(words, 0.01))
    assert dedupe("c", twin.upper().replace(" ", ",\n")) == Skip("nearly the same text as 'a'", rest=True)
    assert dedupe("d", twin, rest=False) == Skip("nearly the same text as 'c'")


def test_the_same_item_again_is_no_twin_of_its_own(dedupe):
    text = " ".join(make_text(1))
    assert dedupe("a", text) == dedupe("a", text)


def test_a_hundred_different_texts_are_all_let_through(dedupe):
    assert all(isinstance(dedupe(f"k{seed}", " ".join(make_text(seed))), dict) for seed in range(100))


def test_the_distance_says_how_near_is_near(dedupe):
    words = make_text(1)
    dedupe("a", " ".join(words))
    assert isinstance(dedupe("b", " ".join(change(words, 0.02)), distance=0), dict)
    assert isinstance(dedupe("c", " ".join(words), distance=0), Skip)


def test_a_short_text_is_like_no_other(dedupe):
    for key in "ab":
        assert dedupe(key, "See you soon")["fingerprint"] is None
    assert isinstance(dedupe("c", "See you soon", min_words=3), dict)
    assert isinstance(dedupe("d", "See you soon", min_words=3), Skip)


def test_the_nearest_result_is_passed_on_or_not_as_chosen(dedupe):
    result = dedupe("a", " ".join(make_text(1)), pass_on=False)
    assert list(result) == ["fingerprint"]
    assert len(result["fingerprint"]) == 16


@pytest.mark.parametrize(("results", "ending"), [({}, Skip), ({"embed": {"vector": [1]}}, GiveUp)])
def test_without_a_text_it_says_so(make_context, results, ending):
    assert isinstance(run_handler(Dedupe({}), make_context(results=results)), ending)


def test_every_process_makes_the_same_fingerprint():
    script = "from handlers.simhash import *; print(make_fingerprint(list_words('Über 東京, do not panic! ' * 9), 2))"
    for seed in ("0", "1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        made = subprocess.run(
            [sys.executable, "-c", script], env=environment, check=True, capture_output=True
        )
        assert int(made.stdout) == make_fingerprint(list_words("Über 東京, do not panic! " * 9), 2)


@pytest.mark.parametrize(
    "sentence",
    [
        "Der Sellerie ist eine Wurzel, die sich den Winter über hält; ihre Stängel sind längst fort. ",
        "セロリアックは冬を越す根菜で、茎がなくなった後も長く保存できます。",
        "根芹菜是一种可以过冬的根茎，在茎叶枯萎之后仍能长期保存。",  # noqa: RUF001
        "Сельдерей — корень, который хранится всю зиму, когда стеблей давно уже нет. ",
        "الكرفس جذر يبقى طوال الشتاء بعد أن تذهب سيقانه بوقت طويل. ",
        "เซเลอริแอกเป็นรากที่เก็บไว้ได้ตลอดฤดูหนาวหลังจากก้านหายไปนานแล้ว",
    ],
)
def test_no_language_is_left_out(sentence):
    whole = list_words(sentence * 5)
    assert len(whole) >= 50
    near = make_fingerprint(list_words(sentence * 5 + "X"), 2)
    assert (make_fingerprint(whole, 2) ^ near).bit_count() <= 6


def test_of_an_endless_text_only_the_start_is_weighed():
    assert len(list_words("word " * (MAX_WORDS + 10))) == MAX_WORDS


def test_what_is_there_often_weighs_more():
    words = make_text(1, 40)
    often = make_fingerprint(words * 30, 1)
    assert (make_fingerprint([*words * 30, *make_text(2, 40)], 1) ^ often).bit_count() <= 6
    assert (make_fingerprint([*words, *make_text(2, 40)], 1) ^ often).bit_count() > 6
