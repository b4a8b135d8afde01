"""Texts of strangers that would do something, or break something, if a page let them."""

from __future__ import annotations

from html.parser import HTMLParser

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"

TEXTS = {
    "script": SCRIPT,
    "backwards": "\u202etxt.exe \u0645\u0631\u062d\u0628\u0627",
    "long": "x" * 1_000_000,
    "address": "a/b?c=d&e=f#g%2F..",
    "lines": " one\r\ntwo\n\tthree ",
    "braces": "{{ 7 * 7 }}{% raw %}",
    "control": "\x01\x7f",
    "arrows": '-dash, comma:"quote" back\\slash',
}


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.scripts, self.handlers, self.links, self.text, self._in_script = [], [], [], [], False

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self._in_script = tag == "script"
        if tag == "script":
            self.scripts.append(found.get("src"))
        self.handlers += [name for name in found if name.startswith("on") or name == "style"]
        self.links += [found[name] for name in ("href", "src", "action", "formaction") if found.get(name)]

    def handle_endtag(self, _):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script and data.strip():
            self.scripts.append(data)
        self.text.append(data)


def read_page(answer, status=200):
    """Read a page as a browser would, and see that nothing of a stranger's would run in it."""
    assert answer.status_code == status, answer.text[:2000]
    reader = _Reader()
    reader.feed(answer.text)
    assert all(one and one.startswith("/static/") for one in reader.scripts), reader.scripts
    assert reader.handlers == []
    assert not [one for one in reader.links if one.lower().startswith(("javascript:", "data:"))]
    return "".join(reader.text), reader.links
