"""What `celeriac new` writes: for a project of a user's own, or inside Celeriac's own checkout."""

from __future__ import annotations

import keyword
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Literal

import click

from cli import new_texts
from pipeline.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}")
_FOLDERS = {"handler": "handlers", "strategy": "discovery"}
OWN_PACKAGES = frozenset({"discovery", "handlers", "pipeline", "runner"})
_TABLES = {"handler": "HANDLERS", "strategy": "STRATEGIES"}


@dataclass(frozen=True, slots=True)
class NewFiles:
    """Files to write, by path from the working folder; how the plugin is named in jobs.yaml; what to do next."""

    path: str
    files: dict[Path, str]
    edits: dict[Path, str] = field(default_factory=dict)
    hints: tuple[str, ...] = ()

    def write(self) -> None:
        """
        Write all; nothing where a file is there already, which is a usage error.

        Raises `OperatorError` where something cannot be written.
        """
        if taken := [str(path) for path in self.files if os.path.lexists(path)]:
            verb = "exists" if len(taken) == 1 else "exist"
            raise click.UsageError(f"{', '.join(taken)} {verb} already; nothing was written")
        try:
            for path, text in self.files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("x", encoding="utf-8") as file:
                    file.write(text)
            for path, text in self.edits.items():
                path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OperatorError(f"cannot write {error.filename}: {error.strerror}") from error


def plan(word: Literal["handler", "strategy"], name: str) -> NewFiles:
    """Plan the files for a new handler or strategy. Raises a usage error for a name that cannot be one."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise click.UsageError(
            f"{name!r} is no name for a module: small letters, digits and _, such as word_count"
        )
    return _plan_for_checkout(word, name) if _is_checkout() else _plan_for_project(word, name)


def _is_checkout() -> bool:
    import pipeline

    here = Path.cwd()
    return Path(pipeline.__file__).parent.parent == here.resolve() and (here / "tests" / "handlers").is_dir()


def _fill(text: str, name: str, path: str) -> str:
    class_name, module = name_class(name), path.partition(":")[0]
    head, marked, rest = text.partition("$imports\n")
    if marked:
        lines, end, rest = rest.partition("\n\n")
        text = head + group_imports(lines.replace("$module", module), module) + end + rest
    return Template(text).substitute(name=name, Name=class_name, path=path, module=module)


def group_imports(lines: str, module: str) -> str:
    r"""
    Group imports by whose they are, and sort them: in a project of one's own, Celeriac is one of its libraries.

    >>> group_imports("from handlers.base import Handler\nimport pytest", "my_handlers.shout")
    'import pytest\nfrom handlers.base import Handler'
    """
    ours = OWN_PACKAGES if module.partition(".")[0] in OWN_PACKAGES else {module.partition(".")[0]}
    groups: tuple[list[str], list[str]] = [], []
    for line in sorted(lines.splitlines(), key=lambda line: (line.startswith("from"), line)):
        groups[line.split()[1].partition(".")[0] in ours].append(line)
    return "\n\n".join("\n".join(group) for group in groups if group)


def name_class(name: str) -> str:
    """
    Name the class of a module.

    >>> name_class("word_count")
    'WordCount'
    """
    return "".join(part.capitalize() for part in name.split("_"))


# -- a project of a user's own ----------------------------------------------------------------------------


def _plan_for_project(word: Literal["handler", "strategy"], name: str) -> NewFiles:
    folder = Path("my_handlers" if word == "handler" else "my_strategies")
    if (module := folder.with_suffix(".py")).exists():
        raise click.UsageError(
            f"a folder {folder}/ would hide {module} from Python: give that file another name; nothing was written"
        )
    path = f"{folder}.{name}:{name_class(name)}"
    texts = {"handler": (new_texts.HANDLER, new_texts.HANDLER_TEST)}
    source, test = texts.get(word, (new_texts.STRATEGY, new_texts.STRATEGY_TEST))
    files = {
        folder / f"{name}.py": _fill(source, name, path),
        folder / f"test_{name}.py": _fill(test, name, path),
    }
    if not (package := folder / "__init__.py").exists():
        files[package] = f'"""What this project brings to Celeriac: its own {_FOLDERS_OF[word]}."""\n'
    hints = (
        f"test it:  pytest {folder}",
        "if pytest is not there:  pip install pytest",
        *_show_use(word, name, path),
    )
    return NewFiles(path, files, hints=hints)


_FOLDERS_OF = {"handler": "handlers", "strategy": "strategies"}


def _show_use(word: Literal["handler", "strategy"], name: str, path: str) -> Iterator[str]:
    if word == "handler":
        yield f"""try it:   echo '{{"text": "one two three"}}' | celeriac try {path}"""
        yield f'use it, under stages: in jobs.yaml:  - {{name: {name}, handler: "{path}"}}'
    else:
        yield f"try it:   celeriac sources test {path} url=https://example.org/list.json"
        yield f'use it, in jobs.yaml:  discovery: {{strategy: "{path}", url: "https://example.org/list.json"}}'


# -- Celeriac's own checkout ------------------------------------------------------------------------------


def _plan_for_checkout(word: Literal["handler", "strategy"], name: str) -> NewFiles:
    module = f"{_FOLDERS[word]}.{name}"
    path, tests = f"{module}:{name_class(name)}", Path("tests") / _FOLDERS[word]
    catalog = Path("pipeline") / "catalog.py"
    edits = {catalog: add_to_table(catalog.read_text(encoding="utf-8"), _TABLES[word], name, path)}
    source = new_texts.HANDLER if word == "handler" else new_texts.STRATEGY
    # in the catalogue a plugin goes by its short name
    files = {Path(_FOLDERS[word]) / f"{name}.py": _fill(source, name, path).replace(f'"{path}"', name)}
    files |= dict(_list_tests(word, name, path, tests))
    conformance = "test_handlers_conform.py" if word == "handler" else "test_strategy_conformance.py"
    hints = (
        f"test it:  pytest {tests / conformance} -k {name}",
        "place it in a family in pipeline/plugin_pages.py, then:  python -m pipeline.plugin_pages",
        "if it needs packages beyond the core, add it to EXTRAS, and if it asks nobody on the web, to OFFLINE",
    )
    return NewFiles(name, files, edits, hints)


def _list_tests(word: str, name: str, path: str, tests: Path) -> Iterator[tuple[Path, str]]:
    if word == "handler":
        yield tests / "cases" / f"{name}.py", new_texts.HANDLER_CASE
        yield tests / f"test_{name}.py", _fill(new_texts.HANDLER_TEST, name, path)
        return
    yield tests / "cases" / f"{name}.py", new_texts.STRATEGY_CASE
    yield tests / f"test_{name}.py", _fill(new_texts.STRATEGY_TEST, name, path)
    for recording, answer in new_texts.RECORDINGS.items():
        yield tests / "recordings" / name / f"{recording}.http", f"HTTP/1.1 {answer}"


def add_to_table(source: str, table: str, name: str, path: str) -> str:
    """Add a line to a table of the catalogue, in its place by name. Raises a usage error for a name that is taken."""
    head, start, rest = source.partition(f"{table} = {{\n")
    body, end, tail = rest.partition("}\n")
    lines = body.splitlines(keepends=True)
    if any(line.startswith(f'    "{name}":') for line in lines):
        raise click.UsageError(f"{name!r} is in the catalogue already; nothing was written")
    lines = sorted([*lines, f'    "{name}": "{path}",\n'])
    return f"{head}{start}{''.join(lines)}{end}{tail}"
