"""The handler `python_outline`: what a Python module defines, imports and says of itself."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING, Any

from pydantic import Field

from handlers.base import Handler, HandlerParams
from handlers.inputs import TEXT_FROM, Input, find_input
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class PythonOutline(Handler):
    """
    Outline a Python module from its source, without running it.

    Input: a needed result with `text` (and `path`), else the item's data. Result: `{"module", "docstring",
    "classes": [{"name", "line", "docstring", "methods": [{"name", "line", "docstring"}]}], "functions":
    [like methods], "imports": [sorted names], "lines", "code_lines"}`. Only what the module itself defines
    counts, also under `if` and `try`; imports count anywhere. `code_lines` leaves out blank lines,
    comments, docstrings. Endings: GiveUp for what is not valid Python, or nested too deeply for its parser;
    Skip without any input. Idempotent: it only computes; the same text gives the same result.
    Example: {name: outline, handler: python_outline, params: {text_from: read_file}}
    """

    class Params(HandlerParams):
        """The parameters of `python_outline`."""

        text_from: str | None = Field(None, description=TEXT_FROM)

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Parse, then walk the tree."""
        found = find_input(context, self.params.text_from)
        if not isinstance(found, Input):
            return found
        text = found.text.replace("\r\n", "\n").replace("\r", "\n")
        try:
            tree = _parse(text)
        except SyntaxError as error:
            return GiveUp(f"not valid Python: line {error.lineno or 1}: {error.msg}")
        except ValueError as error:
            return GiveUp(f"not valid Python: {error}")
        except (RecursionError, MemoryError):
            # The parser's MemoryError means its own stack, not the machine's memory.
            return GiveUp("nested too deeply for Python's own parser")
        return {"module": _name_module(found, context.key), **outline(tree, text)}


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        # An invalid escape in somebody's source is not our warning.
        warnings.simplefilter("ignore")
        return ast.parse(text)


def outline(tree: ast.Module, text: str) -> dict[str, object]:
    """Outline a parsed module; `text` is what it was parsed from, with Unix newlines."""
    defined = list(_walk_definitions(tree.body))
    return {
        "docstring": ast.get_docstring(tree),
        "classes": [_outline_class(node) for node in defined if isinstance(node, ast.ClassDef)],
        "functions": [_outline_named(node) for node in defined if isinstance(node, _Function)],
        "imports": sorted({name for node in ast.walk(tree) for name in _list_imported(node)}),
        "lines": text.count("\n") + (text != "" and not text.endswith("\n")),
        "code_lines": _count_code_lines(tree, text),
    }


def _walk_definitions(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Walk the classes and functions of one scope, in order; their own bodies are other scopes."""
    waiting = body[::-1]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef | _Function):
            yield node
        else:
            branches = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
            waiting += list(_list_statements(branches))[::-1]


def _list_statements(nodes: list[ast.AST]) -> Iterator[ast.stmt]:
    for node in nodes:
        if isinstance(node, ast.stmt):
            yield node
        else:  # an `except` or `case`, which holds statements
            yield from getattr(node, "body", [])


def _outline_named(node: Any) -> dict[str, object]:
    return {"name": node.name, "line": node.lineno, "docstring": ast.get_docstring(node)}


def _outline_class(node: ast.ClassDef) -> dict[str, object]:
    methods = [found for found in _walk_definitions(node.body) if isinstance(found, _Function)]
    return {**_outline_named(node), "methods": [_outline_named(method) for method in methods]}


def _list_imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return []


def _count_code_lines(tree: ast.Module, text: str) -> int:
    docstrings: set[int] = set()
    strings: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, _Documented) and (first := _find_docstring(node)) is not None:
            docstrings.update(_list_lines(first))
        elif isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno:
            strings.update(_list_lines(node))
    numbered = ((number, line.strip()) for number, line in enumerate(text.split("\n"), start=1))
    return sum(
        1
        for number, line in numbered
        if line and number not in docstrings and (number in strings or not line.startswith("#"))
    )


def _find_docstring(node: _Documented) -> ast.Expr | None:
    first = node.body[0] if node.body else None
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first if isinstance(first, ast.Expr) and is_text and ast.get_docstring(node) is not None else None


def _list_lines(node: ast.expr | ast.Expr) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _name_module(found: Input, key: str) -> str:
    """Name the module as an import would, as far as the key, a path below some folder, tells."""
    path = str(found.around.get("path") or key).replace("\\", "/")
    levels_known = key.count("/") + 1 if path.endswith(key) and not key.startswith("/") else 1
    levels = path.removesuffix(".py").split("/")
    if levels[-1] == "__init__" and len(levels) > 1:
        levels_known, levels = max(1, levels_known - 1), levels[:-1]
    return ".".join(levels[-levels_known:])
