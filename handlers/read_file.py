"""The handler `read_file`: a text file on this machine."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import tokenize
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, field_validator

from handlers.base import Handler, HandlerParams
from handlers.content_types import SNIFFED_BYTES, find_content_type
from handlers.places import BadPlaceError
from pipeline.fields import FilePath, check_path
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

_HOPELESS = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "does not exist",
    errno.ENAMETOOLONG: "does not exist: the name is too long",
    errno.ELOOP: "leads through too many symbolic links",
    errno.EISDIR: "is a directory",
    errno.EACCES: "may not be read by this user",
    errno.EPERM: "may not be read by this user",
}
"""What trying again does not change. Any other error of the system is retried by the stage's policy."""


class ReadFile(Handler):
    """
    Read a text file; or with `as_file` any file, such as a PDF, for a handler that works on files.

    The path that an item names may not lead out of a folder, through links neither, because items may be sent in by
    strangers: `folder`, else the `root` of the job's own `local_files`. The data folder is closed to them, unless that
    folder is in it.

    Input: the parameter `path`, else the item's `data["path"]`. Result: `{"path", "text", "bytes", "lines",
    "sha256", "encoding"}`; newlines in `text` are Unix's; `bytes` and `sha256` are the file's own. With `as_file`:
    `{"path", "body", "bytes", "sha256"}`, where `body` is the pointer to an artifact with the file.
    Endings: GiveUp when the file is missing, no regular file, forbidden, outside of the folder, too large, or not in
    its encoding.
    Idempotent: it only reads; the same file gives the same result.
    Example: {handler: read_file, params: {encoding: latin-1, max_bytes: 1000000}}

    Source: PEP 263, for the encoding of Python files.
    """

    class Params(HandlerParams):
        """The parameters of `read_file`."""

        path: Annotated[str, AfterValidator(check_path)] | None = Field(
            None, description="The file; by default the item's data['path']."
        )
        folder: FilePath | None = Field(
            None,
            description="The folder whose files items may name; by default the `root` of the job's `local_files`.",
        )
        encoding: str | None = Field(
            None, description="By default what a .py file declares (PEP 263), and UTF-8 for any other file."
        )
        as_file: bool = Field(
            False, description="Keep the file as it is, whatever is in it, for stages such as `pdf_text`."
        )
        max_bytes: int = Field(2 * 2**20, ge=1, le=64 * 2**20, description="A larger file is given up.")

        @field_validator("encoding")
        @classmethod
        def _must_be_known(cls, value: str | None) -> str | None:
            try:
                "".encode(value or "utf-8")
            except LookupError as error:
                raise ValueError(f"{error}; write for example utf-8 or latin-1") from None
            return value

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Read, decode, count."""
        path = self.params.path or context.data.get("path")
        if not isinstance(path, str) or not path or "\0" in path:
            return GiveUp("no path: set the parameter `path`, or have discovery give data['path']")
        try:
            body = _read_regular_file(self._open(context, path), self.params.max_bytes + 1)
        except BadPlaceError as error:
            return GiveUp(f"{error}; set `folder` to the one that it is in")
        except OSError as error:
            if error.errno not in _HOPELESS:
                raise
            return GiveUp(f"{path!r} {_HOPELESS[error.errno]}")
        if body is None:
            return GiveUp(f"{path!r} is not a regular file")
        if len(body) > self.params.max_bytes:
            return GiveUp(
                f"{path!r} is larger than {self.params.max_bytes:,} bytes; raise max_bytes to read it"
            )
        return (
            _keep(context, path, body) if self.params.as_file else _describe(path, body, self.params.encoding)
        )

    def _open(self, context: HandlerContext, path: str) -> int:
        if self.params.path:
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        files = context.item_files
        if self.params.folder is not None:
            files = replace(files, root=self.params.folder.expanduser())
        return files.open(path)


def _read_regular_file(descriptor: int, most_bytes: int) -> bytes | None:
    with open(descriptor, "rb") as file:
        return file.read(most_bytes) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None


def _keep(context: HandlerContext, path: str, body: bytes) -> Outcome:
    pointer = context.artifact(Path(path).name, body, find_content_type("", body[:SNIFFED_BYTES]))
    return {"path": path, "body": pointer, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def _describe(path: str, body: bytes, encoding: str | None) -> Outcome:
    try:
        encoding = encoding or _detect_encoding(path, body)
        text = body.decode(encoding)
    except SyntaxError as error:
        return GiveUp(f"{path!r}: {error.msg}")
    except UnicodeDecodeError as error:
        return GiveUp(f"{path!r} is not {encoding}: {error.reason} at byte {error.start}; set `encoding`")
    except (LookupError, UnicodeError) as error:  # a .py file may declare what turns no bytes into text
        return GiveUp(f"{path!r} cannot be read as {encoding}: {error}; set `encoding`")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return {
        "path": path,
        "text": text,
        "bytes": len(body),
        "lines": text.count("\n") + (text != "" and not text.endswith("\n")),
        "sha256": hashlib.sha256(body).hexdigest(),
        "encoding": encoding,
    }


def _detect_encoding(path: str, body: bytes) -> str:
    if path.endswith((".py", ".pyi", ".pyw")):
        return tokenize.detect_encoding(io.BytesIO(body).readline)[0]
    return "utf-8-sig" if body.startswith(b"\xef\xbb\xbf") else "utf-8"
