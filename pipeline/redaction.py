"""Keep what `${NAME}` stands for out of everything that is written down: errors, logs, reasons, costs, results."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from pydantic import BaseModel, SecretBytes, SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHORTEST = 6
"""What has fewer characters is not struck out: a `1` or a `true` stands in too much that has nothing to do with it."""

_SECRET_NAME = re.compile(
    r"secret|token|passw|pwd|passphrase|credential|bearer|cookie|dsn|auth(?!or(?!i[sz]))|(?<![a-z])key$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """
    Tell whether a variable or parameter of this name holds a secret.

    >>> [is_secret_name(name) for name in ("OPENAI_API_KEY", "Authorization", "AUTHOR", "MONKEY", "SITE")]
    [True, True, False, False, False]
    """
    return _SECRET_NAME.search(name) is not None


@cache
def list_spellings(secret: str) -> tuple[str, ...]:
    """
    List how a secret may be spelled, longest first: as it is, quoted, escaped, in base64, and line by line.

    A secret shorter than `SHORTEST` has none.
    """
    if len(secret) < SHORTEST:
        return ()
    lines = [line for line in secret.splitlines() if len(line) > SHORTEST and not line.startswith("-----")]
    found: set[str] = set()
    for text in (secret, *lines):
        found |= {text, *_list_quoted(text), *_list_base64(text)}
        for escaped in {text, *_list_escaped(text)}:
            found |= {escaped, *_list_escaped(escaped)}  # twice, as a JSON text in a line of JSON is
    return tuple(
        sorted((each for each in found if len(each) >= SHORTEST), key=lambda each: (-len(each), each))
    )


def _list_escaped(text: str) -> Iterator[str]:
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    yield ascii(text)[1:-1]
    yield html.escape(text)


def _list_quoted(text: str) -> Iterator[str]:
    for quoted in (
        quote(text, errors="replace"),
        quote(text, safe="", errors="replace"),
        quote_plus(text, errors="replace"),
    ):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted)


def _list_base64(text: str) -> Iterator[str]:
    """Spell in base64 what does not depend on the neighbours, wherever in an encoded text the secret begins."""
    raw = text.encode(errors="replace")
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + raw).decode()[first:last]


@dataclass(slots=True)
class Redactor:
    """
    Knows what variables stand for, and writes the variables back.

    Errors, logs and the like are cleared of all variables; results only of secrets, since an address or a
    language that comes from a variable may well belong there.
    """

    _names: dict[str, str] = field(default_factory=dict)
    _secrets: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, name: str, value: str, *, is_secret: bool) -> None:
        """Learn what a variable stands for."""
        spelled = dict.fromkeys(list_spellings(value), f"${{{name}}}")
        if is_secret and (password := _find_password(value)):
            spelled = dict.fromkeys(list_spellings(password), "***") | spelled
        with self._lock:  # replaced whole: others may be reading
            self._names = spelled | self._names
            if is_secret:
                self._secrets = spelled | self._secrets

    def learn_model(self, model: Any) -> None:
        """Learn the secrets that a model of parameters holds, whether or not they came from a variable."""
        for secret in _list_secret_fields(model):
            spelled = dict.fromkeys(list_spellings(secret), "***")
            with self._lock:
                self._names = spelled | self._names
                inside = {name for one, name in self._names.items() if one in secret}
                self._secrets |= {one: name for one, name in self._names.items() if name in inside}

    def hide(self, text: str) -> str:
        """Write the variables back into a text that may hold what they stand for."""
        return _strike_out(text, self._names)

    def hide_in(self, value: Any) -> Any:
        """Write the variables that are secrets back into JSON; what holds none is given back as it is."""
        if not self._secrets or not _holds(json.dumps(value, ensure_ascii=False), self._secrets):
            return value
        return _strike_out_inside(value, self._secrets)


def _find_password(value: str) -> str | None:
    try:
        return urlsplit(value).password
    except ValueError:
        return None


def has_password(value: str) -> bool:
    """Tell whether a text is an address with a password."""
    return bool(_find_password(value))


def _list_secret_fields(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode(errors="replace")
    elif isinstance(value, BaseModel):
        for _, inner in value:
            yield from _list_secret_fields(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _list_secret_fields(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _list_secret_fields(inner)


def strike_out(text: str, secret: str, name: str) -> str:
    """Write `name` in the place of a secret, however it is spelled."""
    return _strike_out(text, dict.fromkeys(list_spellings(secret), name))


def _holds(text: str, spelled: Mapping[str, str]) -> bool:
    return any(one in text for one in spelled)


def _strike_out(text: str, spelled: Mapping[str, str]) -> str:
    present = [one for one in spelled if one in text]
    if not present:
        return text
    longest_first = "|".join(map(re.escape, sorted(present, key=len, reverse=True)))
    return re.sub(longest_first, lambda found: spelled[found[0]], text)


def _strike_out_inside(value: Any, spelled: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _strike_out(value, spelled)
    if isinstance(value, dict):
        return {_strike_out(key, spelled): _strike_out_inside(inner, spelled) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_strike_out_inside(inner, spelled) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        written = json.dumps(value)
        return _strike_out(written, spelled) if _holds(written, spelled) else value
    return value


KNOWN = Redactor()
"""What this process knows: every variable that it has resolved for a strategy or a handler."""
