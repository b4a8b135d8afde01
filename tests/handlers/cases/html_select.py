from __future__ import annotations

NAMED_BY_USER = True

PAGE = "<html><body><h1>Roots</h1><a href=/a>A</a><a href=/b>B</a></body></html>"


def make_sample(house):
    fields = {"title": "h1", "links": {"select": "a@href", "all": True}}
    return {
        "params": {"fields": fields},
        "results": {"fetch": {"text": PAGE, "url": "https://garden.example/"}},
    }


def make_endings(house):
    return {
        "skip": {"params": {"fields": {"title": "h6"}}, "data": {"text": PAGE}},
        "never": {
            "params": {"fields": {"title": {"select": "h6", "required": True}}},
            "data": {"text": PAGE},
        },
    }
