from __future__ import annotations


def make_case(sources, case):
    for name in ("full", "bare"):
        (sources.folder / name).mkdir(exist_ok=True)
    (sources.folder / "full" / "a.txt").write_text("hello")
    place = f"file://{sources.folder}"
    return case(
        good={"url": f"{place}/full"}, empty={"url": f"{place}/bare"}, broken={"url": f"{place}/absent"}
    )
