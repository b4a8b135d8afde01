from __future__ import annotations

import pytest

from net.host_rates import PRESETS, find_host_rate
from pipeline.rate import Rate


@pytest.mark.parametrize(
    ("host", "name", "interval_seconds"),
    [
        ("www.sec.gov", "sec.gov", 0.1),
        ("efts.sec.gov", "sec.gov", 0.1),
        ("export.arxiv.org", "arxiv.org", 3),
        ("web.archive.org", "web.archive.org", 2.5),
        ("EN.Wikipedia.org.", "wikipedia.org", 0.5),
        ("old.reddit.com", "reddit.com", 6),
        ("oauth.reddit.com", "oauth.reddit.com", 0.6),
        ("example.org", "example.org", 0.5),
        ("www.example.org", "www.example.org", 0.5),
        ("notsec.gov", "notsec.gov", 0.5),
        ("127.0.0.1", "127.0.0.1", 0.5),
        ("::1", "::1", 0.5),
    ],
)
def test_a_host_has_the_rate_of_the_longest_domain_that_covers_it(host, name, interval_seconds):
    rate = find_host_rate(host)
    assert (rate.name, rate.interval_seconds) == (name, pytest.approx(interval_seconds))


def test_a_rate_of_ones_own_goes_before_a_preset_and_covers_subdomains():
    own = {"sec.gov": Rate.parse("1/s"), "example.org": Rate.parse("1/5s")}
    assert find_host_rate("www.sec.gov", own).interval_seconds == 1
    assert find_host_rate("a.b.example.org", own).name == "example.org"


def test_a_longer_name_goes_before_one_of_ones_own():
    assert find_host_rate("api.github.com", {"github.com": Rate.parse("1/5s")}).name == "api.github.com"


def test_the_presets_are_sorted_and_in_lower_case():
    assert list(PRESETS) == sorted(name.lower() for name in PRESETS)
