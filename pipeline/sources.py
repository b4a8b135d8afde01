"""The source that makes what a plugin makes: its module's, and that of the modules beside it that it imports from."""

from __future__ import annotations

import ast
import sysconfig
from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType

CONTRACT = frozenset(
    f"handlers.{name}" for name in ("base", "contract", "desk", "prices", "running", "spent")
)
"""What handlers stand on: it says how they are run, kept and charged for, not what they make."""

OWN_PACKAGES = frozenset(
    ("cli", "dashboard", "discovery", "handlers", "net", "pipeline", "runner", "tasks", "tracker")
)


def spell_sources(modules: Sequence[ModuleType]) -> list[str]:
    """
    Spell the code of modules, and of those that these import from: the same however it is laid out and commented.

    Followed are imports within the same package; of a module outside any package, also those of what lies in its
    folder. Only files are read: nothing is imported for it, and imports for type checkers do not count.
    """
    # typed at a prompt, or shipped compiled: then only its name is known
    return [source.code if source else name for name, _, source in _walk(modules)]


def list_own_files(modules: Sequence[ModuleType]) -> list[Path]:
    """List the files of these sources that somebody may edit: what is installed, and our own packages, left out."""
    return [
        path
        for name, path, source in _walk(modules)
        if path and source and name.partition(".")[0] not in OWN_PACKAGES and not _is_installed(name, path)
    ]


def remember_sources(modules: Iterable[ModuleType]) -> None:
    """Read now what modules were just loaded from: an edit that comes later is not what this process runs."""
    deque(_walk([each for each in modules if each.__name__.partition(".")[0] not in OWN_PACKAGES]), maxlen=0)


def _walk(modules: Sequence[ModuleType]) -> Iterator[tuple[str, Path | None, _Source | None]]:
    seen = set[str]()
    waiting = deque((module.__name__, _find_own_file(module)) for module in modules)
    while waiting:
        name, path = waiting.popleft()
        if name in seen or name in CONTRACT:
            continue
        seen.add(name)
        source = _read_source(path) if path else None
        yield name, path, source
        if path and source:
            waiting += _list_beside(name, path, source)


def _find_own_file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if file else None


@dataclass(frozen=True, slots=True)
class _Import:
    """`import module`, or `from module import names`; `level` counts the leading dots."""

    level: int
    module: str
    names: tuple[str, ...] = ()

    def list_modules(self, package: str) -> Iterator[str]:
        """List what may be a module here, as seen from a module in `package`."""
        above = package.rsplit(".", self.level - 1)[0] if self.level > 1 else package if self.level else ""
        origin = ".".join(part for part in (above, self.module) if part)
        yield from (origin, *(f"{origin}.{name}" for name in self.names))


@dataclass(frozen=True, slots=True)
class _Source:
    """What a file says."""

    code: str
    imports: tuple[_Import, ...]


def _list_beside(name: str, path: Path, source: _Source) -> Iterator[tuple[str, Path]]:
    folder, package = _find_folder(name, path), name if _is_package(path) else name.rpartition(".")[0]
    is_installed = _is_installed(name, path)
    for found in dict.fromkeys(module for each in source.imports for module in each.list_modules(package)):
        top = found.partition(".")[0]
        may_lie_beside = not package and not is_installed and top not in OWN_PACKAGES
        file = _find_file(found, folder) if top == name.partition(".")[0] or may_lie_beside else None
        if file is not None:
            yield found, file


def _is_package(path: Path) -> bool:
    return path.name == "__init__.py"


def _find_folder(name: str, path: Path) -> Path:
    """Find the folder that a module, or the package that it is in, is imported from."""
    return path.parents[name.count(".") + _is_package(path)]


def _is_installed(name: str, path: Path) -> bool:
    folder = _find_folder(name, path)
    return folder.name in {"site-packages", "dist-packages"} or folder == _STANDARD_LIBRARY


_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


def _find_file(name: str, folder: Path) -> Path | None:
    place = folder.joinpath(*name.split("."))
    both = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((path for path in both if path.is_file()), None)


@cache
def _read_source(path: Path) -> _Source | None:
    try:
        tree = ast.parse(path.read_bytes())
        return _Source(_spell(tree), tuple(_list_imports(tree)))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _list_imports(node: ast.AST) -> Iterator[_Import]:
    if isinstance(node, ast.Import):
        yield from (_Import(0, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield _Import(node.level, node.module or "", tuple(alias.name for alias in node.names))
    elif not _is_for_type_checkers(node):
        for inner in ast.iter_child_nodes(node):
            yield from _list_imports(inner)


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _spell(value: Any) -> str:
    """Spell a tree without docstrings, and without what is absent: the same in every version of Python."""
    if isinstance(value, list):
        return f"[{','.join(map(_spell, value))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = dict(ast.iter_fields(value))
    if isinstance(
        value, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    ) and _has_docstring(value):
        fields["body"] = fields["body"][1:]
    said = (f"{name}={_spell(inner)}" for name, inner in fields.items() if inner not in (None, []))
    return f"{type(value).__name__}({','.join(said)})"


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
