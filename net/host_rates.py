"""How often each host may be asked: what hosts publish, what jobs.yaml says, and what is decent elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.rate import Rate

DEFAULT_RATE = Rate.parse("2/s")

PRESETS = {
    name: Rate.parse(rate)
    for name, rate in {
        "api.crossref.org": "5/s",  # without a key; api.crossref.org, "Rate limits"
        "api.gdeltproject.org": "1/5s",
        "api.github.com": "1/s",  # docs.github.com: one at a time, 60 an hour without a token, 900 points a minute
        "api.openalex.org": "10/s",
        "api.semanticscholar.org": "1/s",
        "api.stackexchange.com": "10/s",  # bans an address above 30 a second
        "arxiv.org": "1/3s",  # info.arxiv.org/help/api/tou: all its hosts together
        "crates.io": "1/s",  # crates.io/data-access
        "eutils.ncbi.nlm.nih.gov": "3/s",
        "google.serper.dev": "5/s",  # the smallest of its plans
        "googleapis.com": "5/s",  # counted by the day, by quota
        "hacker-news.firebaseio.com": "50/s",  # github.com/HackerNews/API: "no rate limit"
        "itunes.apple.com": "20/m",
        "musicbrainz.org": "1/s",
        "nominatim.openstreetmap.org": "1/s",
        "oauth.reddit.com": "100/m",
        "reddit.com": "10/m",  # without a login
        "sec.gov": "10/s",  # sec.gov/os/accessing-edgar-data: all its hosts together
        "web.archive.org": "24/m",  # an hour's ban for who ignores its 429s for a minute
        "wikimedia.org": "2/s",  # wikitech.wikimedia.org/wiki/Robot_policy
        "wikipedia.org": "2/s",
        "youtube.com": "1/s",
    }.items()
}
"""By domain, which covers its subdomains: they share the one limit. Source: each host's own rules."""


@dataclass(frozen=True, slots=True)
class HostRate:
    """
    How often a host may be asked, and the name under which those that share the limit are counted.

    It `is_known` when the host or jobs.yaml says so; else it is what is decent towards a website.
    """

    name: str
    interval_seconds: float
    is_known: bool = True


FindRate = Callable[[str], HostRate]
"""Finds the rate of a host, by its name."""


def find_host_rate(host: str, own: Mapping[str, Rate] | None = None) -> HostRate:
    """
    Find how often a host may be asked: by the longest domain that covers it, `own` before presets.

    >>> find_host_rate("export.arxiv.org")
    HostRate(name='arxiv.org', interval_seconds=3.0, is_known=True)
    >>> find_host_rate("example.org")
    HostRate(name='example.org', interval_seconds=0.5, is_known=False)
    """
    own, plain = own or {}, host.strip("[]").rstrip(".").lower()
    for name in _list_domains(plain):
        if (rate := own.get(name) or PRESETS.get(name)) is not None:
            return HostRate(name, 1 / rate.per_second)
    return HostRate(plain, 1 / DEFAULT_RATE.per_second, is_known=False)


def _list_domains(host: str) -> list[str]:
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]
