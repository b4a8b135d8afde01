from __future__ import annotations


def make_sample(house):
    return {
        "params": {
            "command": ["sh", "-c", 'printf "%s: " "$1"; cat; test -n "$TOKEN"', "-", "{{ item.title }}"],
            "stdin": "{{ results.fetch.text }}",
            "env": {"TOKEN": "s3cret"},
        },
        "data": {"title": "Grüße"},
        "results": {"fetch": {"text": "from the root"}},
    }


def make_endings(house):
    ends = {"skip_codes": [3], "give_up_codes": [4], "later_codes": [75], "env": {"TOKEN": "s3cret"}}
    return {
        kind: {"params": {"command": ["sh", "-c", f"echo $TOKEN >&2; exit {code}"], **ends}}
        for kind, code in {"skip": 3, "never": 4, "later": 75, "unexpected": 1}.items()
    }
