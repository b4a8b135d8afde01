"""The handler `write_file`: a file of the user's own in the data folder."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from handlers.base import Handler, HandlerParams
from handlers.expressions import Expression, evaluate
from handlers.places import BadPlaceError, open_folder, read_place
from handlers.templates import PlaceTemplate, Template, describe, render
from pipeline.errors import ArtifactError
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from handlers.base import HandlerContext
    from handlers.places import Place
    from pipeline.outcomes import Outcome

PIECE_BYTES = 1024 * 1024


class WriteFile(Handler):
    """
    Write a file into the folder `files` of the data folder.

    The path is below that folder and cannot lead out of it, not by `..` and not through a link. The file is there
    whole or not at all, and is on the disk when the stage is done. One that has the same content is left alone,
    another content is replaced; folders on the way are made.

    Input: the template `content`, or what `value` leads to: a text is written as UTF-8, the pointer to an artifact as
    the artifact's bytes, anything else as JSON. Result: `{"path" (below the data folder), "bytes", "sha256"}`.
    Endings: GiveUp for a path that leads out of the folder or that no file can have, for what a template or path names
    and is not there, and for an artifact that is gone. A full disk and other errors of the system are raised, for the
    stage's retries.
    Idempotent: the same item gives the same file.
    Example: {handler: write_file, params: {path: "notes/{{ item.key | replace('/', '-') }}.md",
    content: "{{ results.article.text }}"}}
    """

    TIMEOUT = "5m"

    class Params(HandlerParams):
        """The parameters of `write_file`."""

        path: PlaceTemplate = Field(description="Where to, below the folder `files`; a template.")
        content: Template | None = Field(None, description="What to write, a template; or give `value`.")
        value: Expression | None = Field(
            None, description="What to write, a JMESPath such as results.fetch.body; or give `content`."
        )

        @model_validator(mode="after")
        def _need_one_source(self) -> Self:
            if (self.content is None) == (self.value is None):
                raise ValueError("give either `content` or `value`")
            return self

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Find out where and what, and write it."""
        path = render(self.params.path, context, self.params)
        if isinstance(path, GiveUp):
            return path
        content = self._find_content(context)
        if isinstance(content, GiveUp):
            return content
        root = context.find_folder("files")
        try:
            place = read_place(path.strip())
            size, sha256 = write_file(root, place, content)
        except BadPlaceError as error:
            return GiveUp(str(error))
        return {"path": f"{root.name}/{place}", "bytes": size, "sha256": sha256}

    def _find_content(self, context: HandlerContext) -> bytes | Path | GiveUp:
        if self.params.content is not None:
            text = render(self.params.content, context, self.params)
            return text if isinstance(text, GiveUp) else text.encode(errors="replace")
        found: Any = evaluate(str(self.params.value), describe(context))
        if found is None:
            return GiveUp(f"nothing to write: {self.params.value} leads to nothing")
        return found if isinstance(found, GiveUp) else _write_out(context, found)


def _write_out(context: HandlerContext, found: Any) -> bytes | Path | GiveUp:
    if isinstance(found, str):
        return found.encode(errors="replace")
    if isinstance(found, dict) and "artifact" in found:
        try:
            return context.open_artifact(found)
        except ArtifactError as error:
            return GiveUp(str(error))
    return (json.dumps(found, ensure_ascii=False, indent=2) + "\n").encode(errors="replace")


def write_file(root: Path, place: Place, content: bytes | Path) -> tuple[int, str]:
    """
    Write a file below `root`, unless it has that content already; its size in bytes and its SHA-256.

    Raises `BadPlaceError` as `open_folder` does, and OSError; then the file is as it was.
    """
    with open_folder(root, place) as folder:
        incoming = f".{secrets.token_hex(8)}.incoming"
        try:
            size, sha256 = _write_pieces(folder, incoming, content)
            if _hash(folder, place.name) != sha256:
                os.replace(incoming, place.name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(incoming, dir_fd=folder)
    return size, sha256


def _write_pieces(folder: int, name: str, content: bytes | Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(name, flags, 0o666, dir_fd=folder), "wb") as file:  # noqa: PTH123
        for piece in _read_pieces(content):
            file.write(piece)
            digest.update(piece)
            size += len(piece)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def _read_pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _hash(folder: int, name: str) -> str | None:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").hexdigest()
