"""
YAML as JSON-like data, with the line and column of everything in it.

YAML 1.2's core rules, not PyYAML's 1.1: `on` and `no` are texts, `12:30:00` and `2026-01-01` too, `010` is
ten. Keys are texts. A key given twice is a problem, not a silent loss, and aliases cannot blow the document
up.

Source: YAML 1.2.2, section 10.3, yaml.org/spec/1.2.2/#103-core-schema.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.problems import Finding, KeyPath, Problem, show_path, value_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_NODES = 100_000
"""Values in one document, each alias counted as often as it is used."""
MAX_DEPTH = 50
MAX_DIGITS = 3000
"""Of a whole number; Python writes none of over 4,300, and a message has to."""

Position = tuple[int, int]
"""A line and a column, both from 1."""

_TAG = "tag:yaml.org,2002:"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"


class _CoreLoader(yaml.CSafeLoader):
    """PyYAML's C loader with the core rules in place of its own."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own hook


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
):
    _CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})\Z"), _first)


def _read_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(text)
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _read_float(text: str) -> float:
    # Python spells infinity without the dot; no number of a JSON document is infinite anyway
    value = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_SCALARS: dict[str, Callable[[str], Any]] = {
    _TAG + "str": str,
    _TAG + "null": lambda _: None,
    _TAG + "bool": lambda text: text.lower() == "true",
    _TAG + "int": _read_int,
    _TAG + "float": _read_float,
}


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """What a YAML text says, and where it says it."""

    data: Any
    """Dicts with text keys, lists, texts, numbers, booleans and None; None if it could not be read at all."""
    problems: tuple[Problem, ...] = ()
    keys: Mapping[KeyPath, Position] = field(default_factory=dict)
    values: Mapping[KeyPath, Position] = field(default_factory=dict)

    def locate(self, path: KeyPath, *, at_key: bool = False) -> Position:
        """Find where a path stands, or else the nearest thing above it that is there."""
        if at_key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        # an empty value has no place of its own worth showing, and a mapping is best shown by its key
        is_plain = path in self.values and not isinstance(value_at(self.data, path), dict | None)
        return self.values[path] if is_plain else self.keys.get(path, self.values.get(path, (1, 1)))

    def place(self, finding: Finding) -> Problem:
        """Turn a finding into a problem with its line."""
        line, column = self.locate(finding.path, at_key=finding.at_key)
        value = value_at(self.data, finding.path)
        return Problem(line, column, show_path(finding.path), finding.message, value, finding.allowed)


def parse_yaml(source: bytes) -> YamlDocument:
    """Read one YAML document in UTF-8. What is wrong with it is in its `problems`; nothing is raised."""
    try:
        text = source.decode("utf-8").removeprefix("\ufeff")  # libyaml does not count it
        root = yaml.compose(text, Loader=_CoreLoader)
        return _Builder().build_document(root)
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        return YamlDocument(None, (Problem(line, 1, "", "not UTF-8 text", allowed="UTF-8"),))
    except yaml.reader.ReaderError as error:
        line = source[: error.position].count(b"\n") + 1
        return YamlDocument(
            None, (Problem(line, 1, "", f"a character that YAML does not allow: {error.reason}"),)
        )
    except yaml.MarkedYAMLError as error:
        return YamlDocument(None, (_explain_syntax(error, text),))


def _explain_syntax(error: yaml.MarkedYAMLError, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    if mark and isinstance(error, yaml.scanner.ScannerError) and text[mark.index : mark.index + 1] == "\t":
        return Problem(line, column, "", "YAML takes no tabs for indentation", allowed="spaces")
    return Problem(line, column, "", ", ".join(part for part in (error.problem, error.context) if part))


def _at(node: yaml.Node) -> Position:
    return node.start_mark.line + 1, node.start_mark.column + 1


@dataclass(slots=True)
class _Builder:
    """Walks the nodes once, and notes where each stands."""

    keys: dict[KeyPath, Position] = field(default_factory=dict)
    values: dict[KeyPath, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def build_document(self, root: yaml.Node | None) -> YamlDocument:
        data = self._build(root, ()) if root is not None else None
        return YamlDocument(data, tuple(self.problems), self.keys, self.values)

    def _build(self, node: yaml.Node, path: KeyPath) -> Any:
        if len(self.values) >= MAX_NODES:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_NODES} values", problem_mark=node.start_mark)
        if len(path) > MAX_DEPTH:  # an alias inside of what it stands for ends here, too
            raise yaml.MarkedYAMLError(problem=f"nested over {MAX_DEPTH} deep", problem_mark=node.start_mark)
        self.values[path] = _at(node)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._build_mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._build(entry, (*path, index)) for index, entry in enumerate(node.value)]
        return self._build_scalar(node, path)

    def _build_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            inner = (*path, key)
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, path, "a list or mapping as a key", "a text")
            elif key in found:
                first = self.keys[inner][0]
                self._refuse(
                    key_node, inner, f"duplicate key {key!r}, first on line {first}", "each key once"
                )
            else:
                self.keys[inner] = _at(key_node)
                found[key] = self._build(value_node, inner)
        return found

    def _build_scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        read = _SCALARS.get(node.tag)
        if read is None or not isinstance(node, yaml.ScalarNode):
            self._refuse(node, path, f"tag {node.tag!r} is not known", "plain YAML, without tags")
            return None
        try:
            return read(node.value)
        except ValueError:
            self._refuse(node, path, f"{node.value[:60]!r} is no number here", "a finite number")
            return None

    def _refuse(self, node: yaml.Node, path: KeyPath, message: str, allowed: str) -> None:
        line, column = _at(node)
        value = node.value if isinstance(node, yaml.ScalarNode) else None
        self.problems.append(Problem(line, column, show_path(path), message, value, allowed))
