"""Lines that somebody pipes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from pydantic import Field, model_validator

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from discovery.json_lines import JsonLinesReader
from discovery.rows import Columns, as_text, make_key
from discovery.stdin_pipe import IncomingLines
from discovery.text_lines import TextLines
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

BATCH = 1000
ENCODING = "utf-8"


class StdinLines(BaseDiscovery):
    """
    Find what is piped into `celeriac discover JOB`: a line each, or a JSON object a line.

    `tail -f urls.txt | celeriac discover JOB`: each line is stored when it comes, or a thousand in one
    transaction when they come fast. What has been read and stored stays when the rest does not come. The job
    needs no schedule; where nothing is piped in, as in a worker, its discovery ends with a word of that.

    Of a JSON object, `key` says which fields make the key. Left out, the object is an item as `celeriac enqueue`
    takes it: `{"key": "…", "data": {…}, "priority": 5}`. Blank lines are passed over; a line over 2 MiB and one
    that is no JSON object are left out and counted. Text that is not UTF-8 is read as Windows-1252.

    Key: the line, without the blanks around it; of an object, the text in its `key` fields, joined by `|`.
    Order: as they come.
    Data: `{"line": str}`, under the name that `field` gives; of an object, the object as it is. No request.
    Example: {strategy: stdin_lines, field: url}

    Source: JSON lines, jsonlines.org.
    """

    class Params(StrategyParams):
        """How to read what comes."""

        format: Literal["lines", "jsonl"] = Field(
            "lines", description="lines, or jsonl: a JSON object on each."
        )
        key: Columns | None = Field(
            None, description="Of jsonl, the field that identifies an object, or several that do together."
        )
        version: str | None = Field(
            None, description="Of jsonl with a key, a field that changes whenever the object does."
        )
        field: str = Field(
            "line", min_length=1, description="Of lines, the name of the line in the data, such as url."
        )

        @model_validator(mode="after")
        def _fit_together(self) -> Self:
            if self.format == "lines" and (self.key is not None or self.version is not None):
                raise ValueError("key and version are fields of jsonl; a line is its own key")
            if self.key is None and self.version is not None:
                raise ValueError("version needs a key beside it")
            return self

    params: Params

    async def discover(self) -> list[FoundItem]:
        """Read to the end. Raises `SourceRejectedError` where nothing is piped in."""
        if self.access.stdin is None:
            job = self.access.job or "JOB"
            raise SourceRejectedError(f"nothing is piped in here; pipe it in: … | celeriac discover {job}")
        async with self.looking():
            incoming = IncomingLines(self.access.stdin)
            lines = TextLines(cast("BinaryIO", incoming), ENCODING, guessed=True)
            try:
                await self._read(lines, incoming)
            finally:
                self._tell_what_was_lost(lines)
        return self.kept

    async def _read(self, lines: TextLines, incoming: IncomingLines) -> None:
        batch: list[FoundItem | dict[str, Any]] = []
        for item in self._read_items(lines):
            batch.append(item)
            if len(batch) == BATCH or not incoming.has_more_now():
                await self.hand_over(batch)
                batch = []
        await self.hand_over(batch)

    def _read_items(self, lines: TextLines) -> Iterator[FoundItem | dict[str, Any]]:
        if self.params.format == "jsonl":
            yield from map(self._make_item, JsonLinesReader(lines, self._note).read())
            return
        for text in lines.read():
            lines.recent.clear()
            if line := text.strip():
                yield FoundItem(line, {self.params.field: line})

    def _make_item(self, found: dict[str, Any]) -> FoundItem | dict[str, Any]:
        key, version = self.params.key, self.params.version
        if key is None:
            return found
        mark = None if version is None else as_text(found.get(version)) or None
        return FoundItem(make_key([found.get(name) for name in key]), found, None, mark)

    def _note(self, reason: str, line: int) -> None:
        if not self.refused[reason]:  # one example is enough
            self.problems.append(f"line {line:,}: {reason}")
        self.refused[reason] += 1

    def _tell_what_was_lost(self, lines: TextLines) -> None:
        self.refused.update(lines.refused)
        if lines.misfits:
            self.problems.append(f"{lines.misfits:,} lines are not UTF-8, and were read as Windows-1252")
