"""Texts of strangers before a terminal: what would steer it, or turn round what is read, is seen and not obeyed."""

from __future__ import annotations

import re

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_BREAKS = str.maketrans({"\n": "\\n", "\t": "\\t", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_COLOURS = re.compile("(\x1b\\[[0-9;]*m)")


def make_visible(text: str) -> str:
    r"""
    Write control characters, and those that turn round a text, as JSON does; line feeds and tabs stay.

    So JSON stays the same JSON.

    >>> make_visible("\x1b[2Jred\r\n\tand \u202eder")
    '\\u001b[2Jred\\u000d\n\tand \\u202eder'

    Source: ECMA-48, control functions; Unicode Standard Annex 9, explicit directional formatting characters.
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def make_visible_in_line(text: str) -> str:
    r"""
    Do so with line feeds and tabs too: a text that stands in one line of several must not look like another of them.

    >>> make_visible_in_line("a\nb\tdone\u2028c")
    'a\\nb\\tdone\\u2028c'
    """
    return make_visible(text.translate(_BREAKS))


def make_visible_but_colours(text: str) -> str:
    r"""
    Do so with what a library has coloured for a terminal: it may go on changing colours, and nothing else.

    >>> make_visible_but_colours("\x1b[1;31mred\x1b[0m\x1b]0;title\x07")
    '\x1b[1;31mred\x1b[0m\\u001b]0;title\\u0007'
    """
    parts = _COLOURS.split(text)
    return "".join(part if number % 2 else make_visible(part) for number, part in enumerate(parts))
