"""The filter that a visitor wrote: empty means everything, which only reading may mean."""

from __future__ import annotations

from pipeline.filters import Filter, parse_filter


def read_filter(text: str, job: str = "") -> Filter:
    """Read a filter, narrowed to a job if one is given. Raises `InvalidFilterError`."""
    wanted = parse_filter(text) if text.strip() else Filter()
    return wanted.narrow("job", job) if job else wanted
