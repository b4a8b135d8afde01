"""Words for a shell, as the commands that people are told to type have them."""

from __future__ import annotations

import shlex


def quote(text: str) -> str:
    r"""
    Quote a word for bash, zsh and other shells that know `$'…'`, which shows what cannot be printed.

    >>> print(quote("a.txt"), quote("it's"), quote("a\x1bb"))
    a.txt 'it'"'"'s' $'a\x1bb'
    """
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escape, text))}'"


def quote_argument(text: str) -> str:
    """
    Quote a word that stands last in a command: one that looks like an option gets the mark that it is none.

    >>> print(quote_argument("a b"), quote_argument("-3"))
    'a b' -- -3
    """
    return f"-- {quote(text)}" if text.startswith("-") else quote(text)


def _escape(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    return (
        char
        if char.isprintable()
        else "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogatepass"))
    )
