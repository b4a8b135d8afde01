from __future__ import annotations


def make_case(sources, case):
    for name in ("full", "bare"):
        (sources.folder / name).mkdir(exist_ok=True)
    (sources.folder / "full" / "a.txt").write_text("hello")
    root = sources.folder
    return case(good={"root": root / "full"}, empty={"root": root / "bare"}, broken={"root": root / "absent"})
