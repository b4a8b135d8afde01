"""The handler `pdf_text`: the text of a PDF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr

from handlers import pdf_child
from handlers.base import Handler, HandlerParams
from handlers.confining import ask_confined
from handlers.inputs import File, find_file
from handlers.sentences import count_words
from pipeline.confined import ChildEnd
from pipeline.outcomes import GiveUp, Skip

if TYPE_CHECKING:
    from handlers.base import HandlerContext
    from pipeline.outcomes import Outcome

MIB = 1024 * 1024


class PdfText(Handler):
    """
    Read the text of a PDF, in a process of its own, which is stopped when it takes too long or too much memory.

    Input: a needed result with the pointer to an artifact, such as that of `fetch`, or of `read_file` with `as_file`,
    or with `body_base64`. Result: `{"text", "title", "author", "created_at", "pages", "pages_read", "words", "url"}`;
    between the texts of two pages is an empty line; title, author and date are None where the file names none;
    `pages_read` is less than `pages` where `max_pages` or `max_chars` ended it. Endings: Skip when there is no text
    in it, as in a scan, or no file; GiveUp when the file is no PDF, is encrypted with a password that is not
    `password`, is larger than `max_bytes`, or reading it took longer than `max_seconds` or more memory than
    `max_memory_mib`.
    Idempotent: it only reads; the same file gives the same result.
    Example: {handler: pdf_text, params: {max_pages: 50}, timeout: 2m}
    """

    TIMEOUT = "5m"

    class Params(HandlerParams):
        """The parameters of `pdf_text`."""

        file_from: str | None = Field(
            None, description="The needed stage whose file is taken; by default the nearest that has one."
        )
        password: SecretStr | None = Field(None, description="What opens it, if it is encrypted.")
        max_bytes: int = Field(
            100 * MIB, ge=1, le=1024 * MIB, description="A file larger than this many bytes is given up."
        )
        max_pages: int = Field(500, ge=1, le=100_000, description="How many pages are read, from the first.")
        max_chars: int = Field(2_000_000, ge=1, le=50_000_000, description="How much text is read.")
        max_seconds: float = Field(
            120, gt=0, le=86_400, description="How long reading may take, within the stage's timeout."
        )
        max_memory_mib: int = Field(512, ge=128, le=16_384, description="How much memory reading may take.")

    params: Params

    def run(self, context: HandlerContext) -> Outcome:
        """Find the file, and have it read."""
        file = find_file(context, self.params.file_from)
        if not isinstance(file, File):
            return file
        if file.size > self.params.max_bytes:
            return GiveUp(
                f"{file.name!r} has {file.size:,} bytes, more than max_bytes ({self.params.max_bytes:,})"
            )
        read = self._read(context, file)
        if isinstance(read, ChildEnd):
            return GiveUp(f"{file.name!r} cannot be read: {self._explain(read)}")
        if "problem" in read:
            return GiveUp(f"{file.name!r} cannot be read: {read['problem']}")
        if not read["text"]:
            return Skip(f"no text in the {read['pages_read']:,} pages of {file.name!r}; it may be a scan")
        title = read["title"] or context.data.get("title")
        url = file.around.get("url") or context.data.get("url")
        return {**read, "title": title, "words": count_words(read["text"]), "url": url}

    def _read(self, context: HandlerContext, file: File) -> dict[str, Any] | ChildEnd:
        password = self.params.password
        question = {
            "path": None if file.path is None else str(file.path.absolute()),
            "password": None if password is None else password.get_secret_value(),
            "max_pages": self.params.max_pages,
            "max_chars": self.params.max_chars,
        }
        memory, seconds = self.params.max_memory_mib * MIB, self.params.max_seconds
        return ask_confined(
            context, pdf_child.__name__, question, file.body, memory_bytes=memory, max_seconds=seconds
        )

    def _explain(self, end: ChildEnd) -> str:
        if end.late:
            return f"it took longer than max_seconds ({self.params.max_seconds:g}), or than the stage has"
        return f"its reader fell over it, or needed more than max_memory_mib ({self.params.max_memory_mib:,})"
