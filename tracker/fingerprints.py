"""
Fingerprints: 64-bit SimHashes by which an item is known that is nearly the same as an earlier one.

Two that differ in at most 7 bits differ in at most one bit of one of their four bands of 16 bits, by the
pigeonhole principle. So a look-up asks for 17 values of each band, and sees about one in a thousand of what a job
has noted; with a distance of at most 3, which leaves one band alike, one in sixteen thousand.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING

from pipeline.errors import NotFoundError
from tracker.connection import write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.connection import Connection

BANDS, BAND_BITS = 4, 16


def find_twin(conn: Connection, item_id: int, stage: str, fingerprint: int, distance: int) -> str | None:
    """
    Note an item's fingerprint (0 to 2**64 - 1), and find the key of the nearest noted earlier, or None.

    Among the items of its job at this stage, at most `distance` (0 to 7) bits away; of several, the earliest. An item
    that was noted before keeps its place, with the new fingerprint. One transaction. Commits. Raises `NotFoundError`
    for an item that is gone.
    """
    with write(conn):
        job_id, place = _note(conn, item_id, stage, _sign(fingerprint))
        return _find(conn, {"job_id": job_id, "stage": stage, "place": place}, fingerprint, distance)


READ_PLACE = """
SELECT i.job_id, coalesce(f.place, 9223372036854775807)
  FROM work_items i
  LEFT JOIN fingerprints f ON f.item_id = i.item_id AND f.stage = :stage
 WHERE i.item_id = :item_id
"""


def look_for_twin(conn: Connection, item_id: int, stage: str, fingerprint: int, distance: int) -> str | None:
    """Find what `find_twin` would, noting nothing."""
    row = conn.execute(READ_PLACE, {"item_id": item_id, "stage": stage}).fetchone()
    if row is None:
        raise NotFoundError("item with id", str(item_id))
    return _find(conn, {"job_id": row[0], "stage": stage, "place": row[1]}, fingerprint, distance)


def _find(conn: Connection, asked: dict[str, object], fingerprint: int, distance: int) -> str | None:
    for near in _list_near(conn, asked, fingerprint, distance):
        row = conn.execute(FIND_EARLIEST, asked | {"fingerprints": json.dumps(near)}).fetchone()
        if row is not None:
            return str(row[0])
    return None


NOTE_FINGERPRINT = """
INSERT INTO fingerprints (job_id, stage, item_id, fingerprint)
SELECT job_id, :stage, item_id, :fingerprint
  FROM work_items
 WHERE item_id = :item_id
    ON CONFLICT (item_id, stage) DO UPDATE
   SET fingerprint = excluded.fingerprint
RETURNING job_id, place
"""


def _note(conn: Connection, item_id: int, stage: str, fingerprint: int) -> tuple[str, int]:
    asked = {"item_id": item_id, "stage": stage, "fingerprint": fingerprint}
    row = conn.execute(NOTE_FINGERPRINT, asked).fetchone()
    if row is None:
        raise NotFoundError("item with id", str(item_id))
    return row[0], row[1]


FIND_EARLIEST = """
SELECT i.key
  FROM json_each(:fingerprints) near
 CROSS JOIN fingerprints f ON f.job_id = :job_id AND f.stage = :stage AND f.fingerprint = near.value
   AND f.place < :place
 CROSS JOIN work_items i ON i.item_id = f.item_id
 ORDER BY f.place
 LIMIT 1
"""

LIST_ALIKE = """
SELECT DISTINCT b.fingerprint
  FROM json_each(:probes) probe
 CROSS JOIN fingerprint_bands b ON b.job_id = :job_id AND b.stage = :stage
   AND b.band = probe.value ->> 0 AND b.bits = probe.value ->> 1
"""


def _list_near(
    conn: Connection, asked: dict[str, object], fingerprint: int, distance: int
) -> Iterator[list[int]]:
    """List the fingerprints at most so far away, those of one distance together, the nearest first."""
    yield [_sign(fingerprint)]
    probes = json.dumps(_list_probes(fingerprint, distance // BANDS))
    found = conn.execute(LIST_ALIKE, asked | {"probes": probes}).fetchall()
    measured = sorted((count_different_bits(fingerprint, one), one) for (one,) in found)
    near = [(bits, one) for bits, one in measured if 0 < bits <= distance]
    for _, group in groupby(near, key=lambda pair: pair[0]):
        yield [one for _, one in group]


def _list_probes(fingerprint: int, spread: int) -> list[tuple[int, int]]:
    """List each band's bits, and with `spread` 1 what differs from these in one bit."""
    changes = [0, *(1 << bit for bit in range(BAND_BITS))] if spread else [0]
    return [
        (band, (fingerprint >> (BAND_BITS * band) & 0xFFFF) ^ change)
        for band in range(BANDS)
        for change in changes
    ]


def count_different_bits(one: int, other: int) -> int:
    """
    Count the bits in which two 64-bit fingerprints differ, signed or not.

    >>> count_different_bits(0b1010, 0b0011), count_different_bits(2**64 - 1, -1)
    (2, 0)
    """
    return ((one ^ other) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()


def _sign(fingerprint: int) -> int:
    return fingerprint - (1 << 64) if fingerprint >> 63 else fingerprint
