"""Values from a stranger's JSON, read by the shape that they should have; anything else reads as nothing."""

from __future__ import annotations

from typing import Any


def read_object(given: object) -> dict[str, Any]:
    """Read an object; empty when it is none."""
    return given if isinstance(given, dict) else {}


def read_list(given: object) -> list[Any]:
    """Read a list; empty when it is none."""
    return given if isinstance(given, list) else []


def read_objects(given: object) -> list[dict[str, Any]]:
    """Read a list of objects; what is no object is left out."""
    return [each for each in read_list(given) if isinstance(each, dict)]


def read_texts(given: object) -> list[str]:
    """Read a list of texts; what is no text, or blank, is left out."""
    return [text for each in read_list(given) if (text := read_text(each))]


def read_text(given: object) -> str:
    r"""
    Read a text, stripped; empty when it is none. What no database takes in it is replaced.

    >>> read_text(" a "), read_text(7), read_text("\ud800")
    ('a', '', '?')
    """
    return given.encode("utf-8", "replace").decode().strip() if isinstance(given, str) else ""


def read_whole(given: object) -> int | None:
    """Read a whole number that a database can hold; None when it is none."""
    return given if type(given) is int and abs(given) < 2**63 else None


def read_web_address(given: object) -> str | None:
    """Read an http or https address; None when it is none."""
    text = read_text(given)
    return text if text.lower().startswith(("http://", "https://")) else None
