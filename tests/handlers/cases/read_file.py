from __future__ import annotations


def make_sample(house):
    path = house.folder / "roots.txt"
    path.write_text("Celeriac.\n")
    return {"data": {"path": str(path)}}


def make_endings(house):
    return {"never": {"data": {"path": str(house.folder / "no-such-file")}}}
