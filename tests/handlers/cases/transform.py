from __future__ import annotations

NAMED_BY_USER = True


def make_sample(house):
    params = {"fields": {"tags": "item.tags"}, "templates": {"text": "{{ results.fetch.text }}!"}}
    return {"params": params, "data": {"tags": ["a", "b"]}, "results": {"fetch": {"text": "Roots"}}}


def make_endings(house):
    return {"never": {"params": {"templates": {"text": "{{ item.no_such_field }}"}}}}
