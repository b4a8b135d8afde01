"""Fingerprints: the nearest of an earlier item, found without reading all of a job's, however often it is noted."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

import tracker
from pipeline.errors import NotFoundError
from tests.waiting import PATIENCE_SECONDS
from tracker.fingerprints import LIST_ALIKE, _list_probes, _sign, count_different_bits, find_twin

SAME = 0xDEAD_BEEF_0123_4567
ROOT = Path(tracker.__file__).parents[1]

NOTE_ALL = """
import json, sys, tracker
from tracker.fingerprints import find_twin
with tracker.open_db(sys.argv[1]) as conn:
    print(json.dumps([find_twin(conn, item_id, "fetch", 77, 3) for item_id in json.loads(sys.argv[2])]))
"""


def differing(fingerprint, bits, seed=0):
    """Give a fingerprint that differs in so many bits."""
    for bit in random.Random(seed).sample(range(64), bits):
        fingerprint ^= 1 << bit
    return fingerprint


@pytest.fixture
def note(conn, add_items):
    """Note an item's fingerprint and look for its twin; the item is made if need be."""

    def run(key, fingerprint, distance=3, stage="fetch", job_id="papers"):
        return find_twin(conn, add_items(key, job_id=job_id)[0], stage, fingerprint, distance)

    return run


@pytest.mark.parametrize("bits", range(8))
def test_a_twin_is_found_up_to_its_distance_and_not_beyond(note, bits):
    for seed in range(40):
        one = random.Random(f"{bits} {seed}").getrandbits(64)
        note(f"first {seed}", one, distance=0, stage=f"s{seed}")
        other = differing(one, bits, seed)
        assert note(f"second {seed}", other, distance=bits, stage=f"s{seed}") == f"first {seed}"
        if bits:
            assert note(f"third {seed}", other, distance=0, stage=f"s{seed}") == f"second {seed}"
            assert note(f"fourth {seed}", differing(one, 12, seed + 99), bits, stage=f"s{seed}") is None


def test_the_nearest_is_chosen_and_of_several_the_earliest(note):
    note("far", differing(SAME, 6, seed=1), 0)
    note("near", differing(SAME, 2, seed=2), 0)
    note("near too", differing(SAME, 2, seed=3), 0)
    assert note("new", SAME, 7) == "near"
    assert note("newer", SAME, 7) == "new"
    assert note("newest", SAME, 7) == "new"


def test_an_item_is_not_its_own_twin_and_knows_only_those_before_it(note):
    assert note("a", SAME) is None
    assert note("b", SAME) == "a"
    assert note("a", SAME) is None
    assert note("b", SAME) == "a"


def test_an_item_whose_fingerprint_changed_keeps_its_place(note):
    note("a", 1)
    note("b", SAME)
    assert note("a", SAME) is None
    assert note("b", SAME) == "a"
    assert note("c", 1, 0) is None


def test_one_of_two_that_changes_leaves_the_other_to_be_found(note):
    note("a", SAME)
    note("b", SAME)
    note("a", 1)
    assert note("c", differing(SAME, 3)) == "b"


def test_jobs_and_stages_know_nothing_of_each_other(note):
    note("a", SAME)
    assert note("b", SAME, stage="extract") is None
    assert note("c", SAME, job_id="others") is None


def test_the_highest_bit_is_a_bit_like_any_other(note):
    note("a", 1 << 63)
    assert note("b", 0, 1) == "a"
    assert note("c", (1 << 64) - 1, 0) is None
    assert note("d", (1 << 64) - 2, 1) == "c"


def test_an_item_that_is_deleted_is_nobodys_twin(note, conn):
    note("a", SAME)
    with tracker.write(conn):
        conn.execute("DELETE FROM work_items WHERE key = 'a'")
    assert conn.execute("SELECT count(*) FROM fingerprint_bands").fetchone() == (0,)
    assert note("b", SAME) is None
    with pytest.raises(NotFoundError):
        find_twin(conn, 99, "fetch", SAME, 3)


def test_a_random_history_finds_what_comparing_all_would_find(note):
    chance, centre, seen = random.Random(5), SAME, {}
    for number in range(150):
        key = f"k{chance.randrange(100)}"
        fingerprint = differing(centre, chance.randrange(10), seed=number)
        distance = chance.randrange(8)
        seen[key] = fingerprint  # one that is there keeps its place
        before = list(seen)[: list(seen).index(key)]
        near = [(count_different_bits(seen[one], fingerprint), at, one) for at, one in enumerate(before)]
        nearest = min(near, default=(64, 0, None))
        assert note(key, fingerprint, distance) == (nearest[2] if nearest[0] <= distance else None)


def test_a_look_up_reads_a_small_part_of_what_a_job_has_noted(conn, add_items):
    chance = random.Random(1)
    rows = [(number, _sign(chance.getrandbits(64))) for number in add_items(*map(str, range(20_000)))]
    with tracker.write(conn):
        conn.executemany(
            "INSERT INTO fingerprints (job_id, stage, item_id, fingerprint) VALUES ('papers', 'fetch', ?, ?)",
            rows,
        )
    asked = {"job_id": "papers", "stage": "fetch"}
    for spread, most in ((0, 15), (1, 60)):  # on average 1.2 and 21
        probes = json.dumps(_list_probes(chance.getrandbits(64), spread))
        assert len(conn.execute(LIST_ALIKE, asked | {"probes": probes}).fetchall()) < most


def test_two_processes_that_note_the_same_at_once_never_both_take_themselves_for_the_first(
    db_path, add_items
):
    item_ids = add_items(*(f"item {number}" for number in range(60)))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", NOTE_ALL, db_path, json.dumps(part)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in (item_ids[::2], item_ids[1::2])
    ]
    found = [
        twin for process in started for twin in json.loads(process.communicate(timeout=PATIENCE_SECONDS)[0])
    ]
    assert found.count(None) == 1
    assert len({twin for twin in found if twin}) == 1
