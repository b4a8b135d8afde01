from __future__ import annotations


def make_sample(house):
    path = house.folder / "roots.txt"
    path.write_text("Celeriac.\n")
    return {"params": {"folder": str(house.folder)}, "data": {"path": str(path)}}


def make_endings(house):
    return {"never": {"data": {"path": "../no-such-file"}}}
