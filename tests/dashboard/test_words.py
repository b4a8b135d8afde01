"""What pages tell people to type."""

from __future__ import annotations

import re
from pathlib import Path

from cli.main import COMMANDS

TEMPLATES = Path(__file__).parents[2] / "dashboard" / "templates"
NAMED = re.compile(r"<code>celeriac ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)")


def test_every_command_that_a_page_names_is_one():
    named = {found for page in TEMPLATES.glob("*.html") for found in NAMED.findall(page.read_text())}
    assert {name for name in named if name not in COMMANDS and name.split()[0] not in COMMANDS} == set()
    assert "up" in named
