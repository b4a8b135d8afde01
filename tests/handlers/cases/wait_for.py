from __future__ import annotations

NAMED_BY_USER = True


def make_sample(house):
    return {
        "params": {"until": "{{ item.published_at }}", "after": "1h", "condition": "item.published_at"},
        "data": {"published_at": "2026-01-31T12:00:00Z"},
        "results": {"fetch": {"text": "Roots"}},
    }


def make_endings(house):
    return {
        "later": {"params": {"after": "1h"}},
        "never": {"params": {"until": "{{ item.title }}"}, "data": {"title": "soon"}},
    }
