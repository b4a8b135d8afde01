"""When Python looks for garbage: seldom in a command that comes to its end, as usual in a process that stays."""

from __future__ import annotations

import gc

USUAL = gc.get_threshold()


def collect_seldom() -> None:
    """Look seldom: what importing makes stays, and to look for garbage in it takes a tenth of a command's time."""
    gc.set_threshold(100_000)


def collect_as_usual() -> None:
    """Look as usual, because this process stays for long."""
    gc.set_threshold(*USUAL)
